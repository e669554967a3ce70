import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';
import { encode } from 'uqr';

/** Black on white whatever the theme: cameras expect it. */
@Component({
  selector: 'cop-qr-code',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (code(); as code) {
      <svg role="img" aria-label="QR code" shape-rendering="crispEdges" [attr.viewBox]="'0 0 ' + code.size + ' ' + code.size">
        <rect width="100%" height="100%" fill="#fff" />
        <path fill="#000" [attr.d]="code.path" />
      </svg>
    } @else {
      <p>This text is too long for a QR code. Copy it instead.</p>
    }
  `,
  styles: `
    svg {
      display: block;
      inline-size: 100%;
      border-radius: 0.75rem;
    }
  `,
})
export class QrCode {
  readonly text = input.required<string>();
  protected readonly code = computed(() => {
    try {
      const { data, size } = encode(this.text(), { border: 2 });
      const path = data.flatMap((row, y) => row.flatMap((on, x) => (on ? [`M${x} ${y}h1v1h-1z`] : []))).join('');
      return { size, path };
    } catch {
      return null;
    }
  });
}

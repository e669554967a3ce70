import { ChangeDetectionStrategy, Component } from '@angular/core';
import type { TuiDialogContext } from '@taiga-ui/core';
import { injectContext } from '@taiga-ui/polymorpheus';
import { QrCode } from './qr-code';

/** A text as a QR code, and as a text. */
@Component({
  selector: 'cop-qr-dialog',
  imports: [QrCode],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <cop-qr-code [text]="context.data" />
    <p class="mono muted">{{ context.data }}</p>
  `,
  styles: `
    p {
      margin-block-start: 0.75rem;
      text-align: center;
      overflow-wrap: anywhere;
    }
  `,
})
export class QrDialog {
  protected readonly context = injectContext<TuiDialogContext<void, string>>();
}

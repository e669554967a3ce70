import { ChangeDetectionStrategy, Component, DestroyRef, inject, input, signal } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { Notices } from '../state/notices';

/** Copies a text and shows for a moment that it did. */
@Component({
  selector: 'cop-copy-button',
  imports: [TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <button
      tuiIconButton
      type="button"
      size="s"
      appearance="flat-grayscale"
      [iconStart]="copied() ? '@tui.check' : '@tui.copy'"
      [attr.title]="'Copy ' + what()"
      (click)="copy()"
    >
      {{ copied() ? 'Copied' : 'Copy ' + what() }}
    </button>
  `,
})
export class CopyButton {
  readonly value = input.required<string>();
  readonly what = input('value');
  private readonly notices = inject(Notices);
  private timer: ReturnType<typeof setTimeout> | undefined;
  protected readonly copied = signal(false);

  constructor() {
    inject(DestroyRef).onDestroy(() => clearTimeout(this.timer));
  }

  protected async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.value());
    } catch {
      // Browsers give pages without TLS no clipboard.
      this.notices.failed(new Error('This browser does not let the page copy. Select the text and copy it by hand.'));
      return;
    }
    this.copied.set(true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.copied.set(false), 1500);
  }
}

import { ChangeDetectionStrategy, Component, inject, input } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { part } from '../state/again';
import { Notices } from '../state/notices';

/** Shows a text as a QR code in a dialog; the encoder is loaded on the first use. */
@Component({
  selector: 'cop-qr-button',
  imports: [TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <button tuiIconButton type="button" size="s" appearance="flat-grayscale" iconStart="@tui.qr-code" title="Show as QR code" (click)="show()">
      Show as QR code
    </button>
  `,
})
export class QrButton {
  readonly value = input.required<string>();
  private readonly notices = inject(Notices);

  protected async show(): Promise<void> {
    await this.notices.guard(async () => {
      const { QrDialog } = await part(() => import('./qr.dialog'));
      this.notices.dialog(QrDialog, 'Scan with a phone', { size: 's', data: this.value() });
    });
  }
}

import { ChangeDetectionStrategy, Component, inject, signal } from '@angular/core';
import { TuiButton, type TuiDialogContext } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import { injectContext } from '@taiga-ui/polymorpheus';
import type { OfferedApp } from '../api/access';
import { Access } from '../state/access';
import { Notices } from '../state/notices';
import { CopyButton } from '../ui/copy-button';
import { QrCode } from '../ui/qr-code';
import { loginSentence } from '../words/errors';

interface Asked {
  readonly enabled: boolean;
  /** Called once it was switched on or off. */
  readonly changed: () => void;
}

/**
 * ```text
 *  password ─┬─ was on ─► off, closed
 *            └─ was off ─► app: QR code, first code ─► recovery codes, shown this once ─► closed
 * ```
 */
@Component({
  selector: 'cop-two-step-dialog',
  imports: [CopyButton, QrCode, TuiButton, TuiButtonLoading],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (codes(); as codes) {
      <p>Two-step login is on. Keep these recovery codes where you find them without your phone; each works once.</p>
      <ul class="codes mono">
        @for (code of codes; track code) {
          <li>{{ code }}</li>
        }
      </ul>
      <div class="row">
        <cop-copy-button [value]="codes.join('\\n')" what="the codes" />
        <button tuiButton type="button" size="m" (click)="context.completeWith()">I have kept them</button>
      </div>
    } @else if (offered(); as offered) {
      <form (submit)="confirm($event, code.value)">
        <p>Scan this with your authenticator app, then type the code that it shows.</p>
        <cop-qr-code class="code" [text]="offered.uri" />
        <p class="secret small">
          <span>Or type <span class="mono">{{ offered.secret }}</span></span>
          <cop-copy-button [value]="offered.secret" what="the secret" />
        </p>
        <label>
          <span>Code</span>
          <input #code class="control" name="code" inputmode="numeric" autocomplete="one-time-code" required />
        </label>
        <p class="error" role="alert">{{ error() }}</p>
        <div class="row">
          <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="context.completeWith()">Cancel</button>
          <button tuiButton type="submit" size="m" [loading]="busy()">Switch on</button>
        </div>
      </form>
    } @else {
      <form (submit)="begin($event, password.value)">
        <p>Type your password again, in case somebody else sits at your browser.</p>
        <label>
          <span>Password</span>
          <input #password class="control" type="password" name="password" autocomplete="current-password" required />
        </label>
        <p class="error" role="alert">{{ error() }}</p>
        <div class="row">
          <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="context.completeWith()">Cancel</button>
          <button tuiButton type="submit" size="m" [loading]="busy()">{{ asked.enabled ? 'Switch off' : 'Go on' }}</button>
        </div>
      </form>
    }
  `,
  styleUrl: './dialog.less',
})
export class TwoStepDialog {
  private readonly access = inject(Access);
  private readonly notices = inject(Notices);
  protected readonly context = injectContext<TuiDialogContext<void, Asked>>();
  protected readonly asked = this.context.data;
  protected readonly busy = signal(false);
  protected readonly error = signal<string | null>(null);
  protected readonly offered = signal<OfferedApp | null>(null);
  protected readonly codes = signal<readonly string[] | null>(null);

  protected begin(event: Event, password: string): Promise<void> {
    return this.go(event, async () => {
      if (!this.asked.enabled) return this.offered.set(await this.access.offerApp(password));
      await this.access.twoStepOff(password);
      this.asked.changed();
      this.notices.done('Two-step login is off.');
      this.context.completeWith();
    });
  }

  protected confirm(event: Event, code: string): Promise<void> {
    return this.go(event, async () => {
      this.codes.set(await this.access.confirmApp(code));
      this.asked.changed();
    });
  }

  private async go(event: Event, work: () => Promise<void>): Promise<void> {
    event.preventDefault();
    this.busy.set(true);
    this.error.set(null);
    try {
      await work();
    } catch (error) {
      this.error.set(loginSentence(error));
    } finally {
      this.busy.set(false);
    }
  }
}

import { ChangeDetectionStrategy, Component, inject, signal } from '@angular/core';
import { TuiButton, type TuiDialogContext } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import { injectContext } from '@taiga-ui/polymorpheus';
import { Access, type Scope } from '../state/access';
import { Notices } from '../state/notices';
import { CopyButton } from '../ui/copy-button';
import { scopeWords } from '../words/access';

const SCOPES: readonly Scope[] = ['read', 'services', 'admin'];

/** Asks what a token is for, and shows it this once. */
@Component({
  selector: 'cop-token-dialog',
  imports: [CopyButton, TuiButton, TuiButtonLoading],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (token(); as token) {
      <p>Copy it to the program now: it is not shown again.</p>
      <p class="secret">
        <span class="mono">{{ token }}</span>
        <cop-copy-button [value]="token" what="the token" />
      </p>
      <div class="row">
        <button tuiButton type="button" size="m" (click)="context.completeWith()">Done</button>
      </div>
    } @else {
      <form (submit)="make($event, name.value, days.valueAsNumber)">
        <label>
          <span>What uses it</span>
          <input #name class="control" name="name" required maxlength="64" placeholder="Nightly backup" autocomplete="off" />
        </label>
        <fieldset>
          <legend class="visually-hidden">What it may do</legend>
          @for (one of scopes; track one.scope) {
            <label class="choice">
              <input type="radio" name="scope" [checked]="scope() === one.scope" (change)="scope.set(one.scope)" />
              <span>It {{ one.words }}</span>
            </label>
          }
        </fieldset>
        <label>
          <span>Days until it ends</span>
          <input #days class="control" type="number" name="days" min="1" max="3650" value="90" required />
        </label>
        <div class="row">
          <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="context.completeWith()">Cancel</button>
          <button tuiButton type="submit" size="m" [loading]="busy()">Make it</button>
        </div>
      </form>
    }
  `,
  styleUrl: './dialog.less',
})
export class TokenDialog {
  private readonly access = inject(Access);
  private readonly notices = inject(Notices);
  /** Called once a token was made. */
  protected readonly context = injectContext<TuiDialogContext<void, () => void>>();
  protected readonly scopes = SCOPES.map(scope => ({ scope, words: scopeWords(scope) }));
  protected readonly scope = signal<Scope>('read');
  protected readonly busy = signal(false);
  protected readonly token = signal<string | null>(null);

  protected async make(event: Event, name: string, days: number): Promise<void> {
    event.preventDefault();
    this.busy.set(true);
    await this.notices.guard(async () => {
      this.token.set(await this.access.makeToken(name, this.scope(), days));
      this.context.data();
    });
    this.busy.set(false);
  }
}

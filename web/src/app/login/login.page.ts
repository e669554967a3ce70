import { afterNextRender, ChangeDetectionStrategy, Component, effect, ElementRef, inject, signal, viewChild } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import { Server } from '../state/server';
import { Mark } from '../ui/mark';
import { loginSentence, needsCode } from '../words/errors';

@Component({
  selector: 'cop-login-page',
  imports: [Mark, TuiButton, TuiButtonLoading],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <main>
      <form class="card" (submit)="login($event)">
        <cop-mark />
        <div>
          <h1>Welcome back</h1>
          <p class="muted">Log in to <strong>{{ host }}</strong></p>
        </div>
        <!-- Password managers want to know whose password this is. -->
        <input class="visually-hidden" type="text" autocomplete="username" value="admin" tabindex="-1" aria-hidden="true" readonly />
        <label>
          <span>Password</span>
          <input
            #password
            class="control"
            type="password"
            name="password"
            autocomplete="current-password"
            required
            aria-describedby="login-error"
            [attr.aria-invalid]="error() !== null"
            (input)="error.set(null)"
          />
        </label>
        @if (wantsCode()) {
          <label>
            <span>Code</span>
            <input
              #code
              class="control"
              type="text"
              name="code"
              autocomplete="one-time-code"
              autocapitalize="characters"
              spellcheck="false"
              aria-describedby="code-help login-error"
              (input)="error.set(null)"
            />
          </label>
          <p id="code-help" class="small muted">From your authenticator app, or a recovery code.</p>
        }
        <p id="login-error" class="error" role="alert">{{ error() }}</p>
        <button tuiButton type="submit" [loading]="busy()">Log in</button>
        <p class="small muted">
          Forgot it? The first run printed it and keeps it in the file <span class="mono">password</span> of the data folder.
          <span class="mono">coppice auth set-password</span> on the server sets another.
        </p>
      </form>
    </main>
  `,
  styles: `
    main {
      min-block-size: 100dvh;
      display: grid;
      place-content: center;
      padding: 1rem;
    }

    form {
      --cop-mark: 3rem;

      display: flex;
      flex-direction: column;
      gap: 1rem;
      inline-size: min(24rem, calc(100vw - 2rem));
      padding: 2rem;
    }

    label span {
      display: block;
      margin-block-end: 0.375rem;
      font-weight: 600;
      font-size: 0.9375rem;
    }

    strong {
      color: var(--tui-text-primary);
      overflow-wrap: anywhere;
    }

    .error {
      min-block-size: 1.25rem;
      margin-block: -0.5rem;
      color: var(--cop-bad);
      font-size: 0.875rem;
      line-height: 1.25rem;
    }
  `,
})
export class LoginPage {
  private readonly server = inject(Server);
  private readonly password = viewChild.required<ElementRef<HTMLInputElement>>('password');
  private readonly code = viewChild<ElementRef<HTMLInputElement>>('code');
  protected readonly wantsCode = signal(false);
  protected readonly host = location.hostname;
  protected readonly busy = signal(false);
  protected readonly error = signal<string | null>(null);

  constructor() {
    afterNextRender(() => this.password().nativeElement.focus());
    effect(() => this.code()?.nativeElement.focus());
  }

  protected async login(event: Event): Promise<void> {
    event.preventDefault();
    const field = this.password().nativeElement;
    if (field.value === '') {
      this.error.set('Type the password first.');
      field.focus();
      return;
    }
    this.busy.set(true);
    this.error.set(null);
    try {
      await this.server.login(field.value, this.code()?.nativeElement.value.trim() || null);
    } catch (error) {
      // The field that then appears says what is wanted.
      if (needsCode(error) && !this.wantsCode()) return this.wantsCode.set(true);
      this.error.set(needsCode(error) ? 'Type the code, too.' : loginSentence(error));
      (this.code() ?? this.password()).nativeElement.select();
    } finally {
      this.busy.set(false);
    }
  }
}

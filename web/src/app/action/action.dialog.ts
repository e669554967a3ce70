import { ChangeDetectionStrategy, Component, ElementRef, inject, signal } from '@angular/core';
import { TuiButton, type TuiDialogContext, TuiLoader } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import { injectContext } from '@taiga-ui/polymorpheus';
import type { ActionResult } from '../api/schema';
import { FormFields } from '../form/form-fields';
import { FormState } from '../form/form-state';
import type { ActionInput } from '../form/spec';
import { merged, securePick, submitted } from '../form/value';
import { Notices } from '../state/notices';
import { Server } from '../state/server';
import { errorSentence } from '../words/errors';
import type { ActionCall } from './action-runner';
import { ResultView } from './result-view';

type Stage =
  | { readonly kind: 'confirm' | 'loading' | 'form' | 'running' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'result'; readonly result: ActionResult };

/**
 * One run of an action, from the warning to its result.
 *
 * ```text
 *   confirm ──► loading ──► form ──► running ──► result
 *                  │          ▲         │
 *                  ▼          └─refused─┘   (the words of the refusal stand above the form)
 *               failed
 * ```
 * Without a warning it begins at loading, without a form it goes straight to running.
 */
@Component({
  selector: 'cop-action-dialog',
  imports: [FormFields, ResultView, TuiButton, TuiButtonLoading, TuiLoader],
  providers: [FormState],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @let now = stage();
    @if (call.reason && (now.kind === 'form' || now.kind === 'confirm')) {
      <p class="note">{{ call.reason }}</p>
    } @else if (call.description && now.kind === 'form') {
      <p class="muted description">{{ call.description }}</p>
    }
    @switch (now.kind) {
      @case ('confirm') {
        <p class="note care" role="alert">{{ call.warning }}</p>
        <div class="row end">
          <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="close()">Cancel</button>
          <button tuiButton type="button" size="m" (click)="proceed()">Go on</button>
        </div>
      }
      @case ('failed') {
        <p class="note bad" role="alert">{{ failure() }}</p>
        <div class="row end">
          <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="close()">Close</button>
          <button tuiButton type="button" size="m" (click)="proceed()">Try again</button>
        </div>
      }
      @case ('result') {
        @if (result(); as result) {
          <cop-result-view [result]="result" />
        }
        <div class="row end">
          <button tuiButton type="button" size="m" (click)="close()">Done</button>
        </div>
      }
      @default {
        @if (input()) {
          <form (submit)="submit($event)" novalidate>
            @if (refusal(); as refusal) {
              <p class="note bad" role="alert">{{ refusal }}</p>
            }
            <cop-form-fields [spec]="form.spec()" path="" />
            <div class="row end">
              @if (form.asked() && form.problems().length > 0) {
                <p class="small problems" role="alert">
                  {{ form.problems().length === 1 ? 'One field needs' : form.problems().length + ' fields need' }} another look.
                </p>
              }
              <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="close()">Cancel</button>
              <button tuiButton type="submit" size="m" [loading]="now.kind === 'running'">Submit</button>
            </div>
          </form>
        } @else {
          <div class="wait" role="status">
            <tui-loader size="l" />
            <p class="muted">{{ now.kind === 'running' ? 'Running. This may take a moment.' : 'Getting the form' }}</p>
          </div>
        }
      }
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 1rem;
    }

    form {
      display: grid;
      gap: 1.25rem;
    }

    .note {
      padding: 0.75rem 1rem;
      border-radius: 0.75rem;
      background: var(--cop-quiet-pale);
      overflow-wrap: anywhere;
      white-space: pre-line;
    }

    .care {
      background: var(--cop-care-pale);
      color: var(--cop-care);
    }

    .bad {
      background: var(--cop-bad-pale);
      color: var(--cop-bad);
    }

    .end {
      justify-content: flex-end;
    }

    .problems {
      flex: 1 1 11rem;
      color: var(--cop-bad);
    }

    .wait {
      display: grid;
      justify-items: center;
      gap: 0.75rem;
      padding: 2rem 0;
    }
  `,
})
export class ActionDialog {
  private readonly context = injectContext<TuiDialogContext<void, ActionCall>>();
  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef);
  private readonly notices = inject(Notices);
  private readonly server = inject(Server);
  protected readonly form = inject(FormState);

  protected readonly call = this.context.data;
  protected readonly stage = signal<Stage>({ kind: this.call.warning ? 'confirm' : 'loading' });
  protected readonly input = signal<ActionInput | null>(null);
  protected readonly refusal = signal<string | null>(null);

  constructor() {
    if (!this.call.warning) void this.proceed();
  }

  protected failure(): string | null {
    const stage = this.stage();
    return stage.kind === 'failed' ? stage.message : null;
  }

  protected result(): ActionResult | null {
    const stage = this.stage();
    return stage.kind === 'result' ? stage.result : null;
  }

  protected close(): void {
    this.context.completeWith();
  }

  /** Past the warning: gets the form, or runs the action when it has none. */
  protected async proceed(): Promise<void> {
    const { packageId, actionId, prefill, hasInput } = this.call;
    if (!hasInput) return this.run(null, null);
    this.stage.set({ kind: 'loading' });
    try {
      const input = await this.server.getInput(packageId, actionId, prefill);
      if (input === null) return await this.run(null, null);
      this.form.open(input.spec, merged(input.value ?? {}, prefill ?? {}), input.value, securePick);
      this.input.set(input);
      this.stage.set({ kind: 'form' });
    } catch (error) {
      this.stage.set({ kind: 'failed', message: errorSentence(error) });
    }
  }

  protected async submit(event: Event): Promise<void> {
    event.preventDefault();
    const input = this.input();
    if (!input || this.stage().kind === 'running') return;
    this.form.asked.set(true);
    if (this.form.problems().length > 0) {
      setTimeout(() => this.host.nativeElement.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
      return;
    }
    await this.run(input.eventId, submitted(input.spec, this.form.value()));
  }

  private async run(eventId: string | null, value: Record<string, unknown> | null): Promise<void> {
    const { packageId, actionId, name } = this.call;
    this.stage.set({ kind: 'running' });
    this.refusal.set(null);
    try {
      const result = await this.server.runAction(packageId, actionId, eventId, value);
      if (result === null) {
        this.notices.done(`${name}: done.`);
        this.close();
      } else {
        this.stage.set({ kind: 'result', result });
      }
    } catch (error) {
      const message = errorSentence(error);
      if (value === null) {
        this.stage.set({ kind: 'failed', message });
      } else {
        this.refusal.set(message);
        this.stage.set({ kind: 'form' });
      }
    }
  }
}

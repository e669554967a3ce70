import { ChangeDetectionStrategy, Component, inject, signal } from '@angular/core';
import { Router } from '@angular/router';
import { TuiButton, type TuiDialogContext } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import { injectContext } from '@taiga-ui/polymorpheus';
import { Notices } from '../state/notices';
import { Server } from '../state/server';

export interface UninstallRequest {
  readonly id: string;
  readonly title: string;
  /** In an error state: its own code may not be able to say goodbye. */
  readonly broken: boolean;
}

/** Asks what happens to the data before anything is removed; keeping it is the first choice. */
@Component({
  selector: 'cop-uninstall-dialog',
  imports: [TuiButton, TuiButtonLoading],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <fieldset>
      <legend class="visually-hidden">What happens to its data</legend>
      <label>
        <input type="radio" name="data" [checked]="soft()" (change)="soft.set(true)" />
        <span>
          <strong>Keep the data</strong>
          <span class="muted small">Install {{ ask.title }} again later and it goes on where it was.</span>
        </span>
      </label>
      <label>
        <input type="radio" name="data" [checked]="!soft()" (change)="soft.set(false)" />
        <span>
          <strong>Delete the data</strong>
          <span class="muted small">Everything {{ ask.title }} has stored on this server is gone for good.</span>
        </span>
      </label>
    </fieldset>
    @if (ask.broken) {
      <label class="force">
        <input #box type="checkbox" [checked]="force()" (change)="force.set(box.checked)" />
        <span>
          <strong>By force</strong>
          <span class="muted small">Remove it even if its own code fails on the way out.</span>
        </span>
      </label>
    }
    <div class="row">
      <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="context.completeWith()">Cancel</button>
      <button tuiButton type="button" size="m" appearance="primary-destructive" [loading]="busy()" (click)="go()">
        {{ soft() ? 'Uninstall' : 'Uninstall and delete data' }}
      </button>
    </div>
  `,
  styles: `
    :host,
    fieldset {
      display: grid;
      gap: 1rem;
    }

    fieldset {
      margin: 0;
      padding: 0;
      border: 0;
    }

    label {
      display: grid;
      grid-template-columns: auto 1fr;
      gap: 0.75rem;
      align-items: start;

      span {
        display: grid;
      }
    }

    .row {
      justify-content: flex-end;
    }
  `,
})
export class UninstallDialog {
  private readonly notices = inject(Notices);
  private readonly router = inject(Router);
  private readonly server = inject(Server);
  protected readonly context = injectContext<TuiDialogContext<void, UninstallRequest>>();
  protected readonly ask = this.context.data;
  protected readonly soft = signal(true);
  protected readonly force = signal(false);
  protected readonly busy = signal(false);

  protected async go(): Promise<void> {
    const { id, title } = this.ask;
    this.busy.set(true);
    const options = { soft: this.soft(), force: this.force() };
    const done = await this.notices.guard(() => this.server.uninstall(id, options), `${title} is being uninstalled.`);
    this.busy.set(false);
    if (!done) return;
    this.context.completeWith();
    await this.router.navigate(['/services']);
  }
}

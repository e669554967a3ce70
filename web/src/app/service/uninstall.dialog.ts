import { ChangeDetectionStrategy, Component, computed, effect, inject, signal } from '@angular/core';
import { Router } from '@angular/router';
import { TuiButton, type TuiDialogContext } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import { injectContext } from '@taiga-ui/polymorpheus';
import { UnreachableError } from '../api/rpc';
import { Notices } from '../state/notices';
import { Server } from '../state/server';
import { Store } from '../state/store';

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
  private readonly store = inject(Store);
  protected readonly context = injectContext<TuiDialogContext<void, UninstallRequest>>();
  protected readonly ask = this.context.data;
  protected readonly soft = signal(true);
  protected readonly force = signal(false);
  protected readonly busy = signal(false);
  private readonly begun = computed(() => this.store.packages().get(this.ask.id)?.stateInfo.state !== 'installed');

  constructor() {
    // The call is answered when all is gone, which takes a while; the document says at once that it has begun.
    effect(() => {
      if (!this.busy() || !this.begun()) return;
      this.notices.done(`${this.ask.title} is being uninstalled.`);
      this.context.completeWith();
      void this.router.navigate(['/services']);
    });
  }

  protected async go(): Promise<void> {
    this.busy.set(true);
    try {
      await this.server.uninstall(this.ask.id, { soft: this.soft(), force: this.force() });
    } catch (error) {
      // An answer that got lost on the way says nothing about the removal; a browser on the server itself loses it
      // whenever a container's network comes or goes.
      if (error instanceof UnreachableError && this.begun()) return;
      this.notices.failed(error);
      this.busy.set(false);
    }
  }
}

import { inject, Injectable, type Type } from '@angular/core';
import { type TuiDialogOptions, TuiDialogService, TuiNotificationService } from '@taiga-ui/core';
import { PolymorpheusComponent } from '@taiga-ui/polymorpheus';
import { LOGGED_OUT, RpcError } from '../api/rpc';
import { errorSentence } from '../words/errors';
import { asMarkup } from '../words/markup';

/** Out of the way of headings and buttons. */
const CORNER = { block: 'end', inline: 'end' } as const;

/** Short messages that come and go, and dialogs. */
@Injectable({ providedIn: 'root' })
export class Notices {
  private readonly alerts = inject(TuiNotificationService);
  private readonly dialogs = inject(TuiDialogService);

  done(words: string): void {
    this.alerts.open(asMarkup(words), { ...CORNER, appearance: 'positive', autoClose: 4000 }).subscribe();
  }

  failed(error: unknown): void {
    this.alerts
      .open(asMarkup(errorSentence(error)), { ...CORNER, label: 'That did not work', appearance: 'negative', autoClose: 12_000 })
      .subscribe();
  }

  /** Runs `work`; says what went wrong, or `words` when it went well. True when it did. */
  async guard(work: () => Promise<unknown>, words?: string): Promise<boolean> {
    try {
      await work();
      if (words) this.done(words);
      return true;
    } catch (error) {
      // The login page that follows says it better.
      if (!(error instanceof RpcError && error.code === LOGGED_OUT)) this.failed(error);
      return false;
    }
  }

  /** Opens a dialog around `component`, which gets `options.data` from its context. */
  dialog<T>(component: Type<unknown>, label: string, options: Partial<TuiDialogOptions<T>>): void {
    this.dialogs.open(new PolymorpheusComponent(component), { ...options, label: asMarkup(label) }).subscribe();
  }
}

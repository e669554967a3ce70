import { inject, Injectable } from '@angular/core';
import { TuiDialogService, TuiNotificationService } from '@taiga-ui/core';
import { TUI_CONFIRM, type TuiConfirmData } from '@taiga-ui/kit';
import { firstValueFrom } from 'rxjs';
import { LOGGED_OUT, RpcError } from '../api/rpc';
import { errorSentence } from '../words/errors';

/** Short messages that come and go, and questions with two answers. */
@Injectable({ providedIn: 'root' })
export class Notices {
  private readonly alerts = inject(TuiNotificationService);
  private readonly dialogs = inject(TuiDialogService);

  done(words: string): void {
    this.alerts.open(words, { appearance: 'positive', autoClose: 4000 }).subscribe();
  }

  failed(error: unknown): void {
    this.alerts
      .open(errorSentence(error), { label: 'That did not work', appearance: 'negative', autoClose: 12_000 })
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

  /** False when dismissed in any way. */
  confirm(label: string, question: TuiConfirmData): Promise<boolean> {
    return firstValueFrom(this.dialogs.open<boolean>(TUI_CONFIRM, { label, size: 's', data: question }), {
      defaultValue: false,
    });
  }
}

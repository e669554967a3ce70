import { inject, Injectable } from '@angular/core';
import { part } from '../state/again';
import { Notices } from '../state/notices';
import { Store } from '../state/store';
import { actionBlocked } from '../words/actions';
import { manifestOf } from '../words/manifest';

export interface ActionRequest {
  readonly packageId: string;
  readonly actionId: string;
  /** Laid over what the service has; from a task. */
  readonly prefill: Record<string, unknown> | null;
  /** Why the user is asked; from a task. */
  readonly reason: string | null;
}

/** What the dialog is opened with. */
export interface ActionCall extends ActionRequest {
  readonly name: string;
  readonly description: string;
  readonly warning: string | null;
  readonly hasInput: boolean;
}

/** Opens an action; the dialog with its forms is loaded on the first use. */
@Injectable({ providedIn: 'root' })
export class ActionRunner {
  private readonly notices = inject(Notices);
  private readonly store = inject(Store);

  async run(request: ActionRequest): Promise<void> {
    const entry = this.store.packages().get(request.packageId);
    const action = entry?.actions[request.actionId];
    if (!entry || !action) {
      this.notices.failed(new Error(`The action ${request.actionId} of ${request.packageId} is not there.`));
      return;
    }
    const blocked = actionBlocked(action, entry);
    if (blocked !== null) {
      this.notices.failed(new Error(`${action.name}: ${blocked}`));
      return;
    }
    const { name, description, warning, hasInput } = action;
    const data: ActionCall = { ...request, name, description, warning, hasInput };
    await this.notices.guard(async () => {
      const { ActionDialog } = await part(() => import('./action.dialog'));
      // A slip of the mouse must not cost a filled-in form: only the buttons close it.
      this.notices.dialog(ActionDialog, `${name} – ${manifestOf(entry).title}`, { size: 'm', dismissible: false, data });
    });
  }
}

import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { ActionRunner } from '../action/action-runner';
import { Notices } from '../state/notices';
import { actionGroups } from '../words/actions';
import { Current } from './current';
import { UninstallDialog } from './uninstall.dialog';

@Component({
  selector: 'cop-actions-page',
  imports: [TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @for (group of groups(); track group.name) {
      <section class="card">
        <h2>{{ group.name }}</h2>
        <ul>
          @for (action of group.actions; track action.id) {
            <li>
              <div>
                <h3>{{ action.name }}</h3>
                <p class="muted small">{{ action.description }}</p>
                @if (action.blocked) {
                  <p class="small blocked">{{ action.blocked }}</p>
                }
              </div>
              <button
                tuiButton
                type="button"
                size="s"
                appearance="secondary-grayscale"
                [disabled]="action.blocked !== null"
                [attr.aria-label]="'Run ' + action.name"
                (click)="run(action.id)"
              >
                {{ action.hasInput ? 'Open' : 'Run' }}
              </button>
            </li>
          }
        </ul>
      </section>
    }
    <section class="card">
      <h2>Care</h2>
      <ul>
        <li>
          <div>
            <h3>Uninstall</h3>
            <p class="muted small">Removes {{ current.title() }} from this server. You choose what happens to its data.</p>
          </div>
          <button tuiButton type="button" size="s" appearance="secondary-destructive" aria-label="Uninstall the service" (click)="uninstall()">Uninstall</button>
        </li>
      </ul>
    </section>
  `,
  styles: `
    :host {
      display: flex;
      flex-direction: column;
      gap: 1rem;
    }

    li {
      display: flex;
      align-items: center;
      justify-content: space-between;
      gap: 1rem;
      padding-block: 0.75rem;
    }

    li + li {
      border-block-start: 1px solid var(--cop-line);
    }

    li:last-child {
      padding-block-end: 0;
    }

    .blocked {
      color: var(--cop-care);
    }
  `,
})
export class ActionsPage {
  private readonly notices = inject(Notices);
  private readonly runner = inject(ActionRunner);
  protected readonly current = inject(Current);

  protected readonly groups = computed(() => {
    const entry = this.current.entry();
    return entry ? actionGroups(entry) : [];
  });

  protected run(actionId: string): void {
    void this.runner.run({ packageId: this.current.id(), actionId, prefill: null, reason: null });
  }

  protected uninstall(): void {
    const data = {
      id: this.current.id(),
      title: this.current.title(),
      broken: this.current.entry()?.statusInfo.error != null,
    };
    this.notices.dialog(UninstallDialog, `Uninstall ${data.title}?`, { size: 's', data });
  }
}

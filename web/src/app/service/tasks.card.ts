import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { ActionRunner } from '../action/action-runner';
import { Notices } from '../state/notices';
import { Server } from '../state/server';
import { Store } from '../state/store';
import { StatusPill } from '../ui/status-pill';
import { manifestOf } from '../words/manifest';
import { openTasks, type TaskRow } from '../words/tasks';
import { Current } from './current';

/** What the service asks its owner to do; nothing at all while it asks for nothing. */
@Component({
  selector: 'cop-tasks-card',
  imports: [StatusPill, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (tasks().length > 0) {
      <section class="card" aria-labelledby="tasks-title">
        <h2 id="tasks-title">{{ tasks().length === 1 ? 'One thing to do' : tasks().length + ' things to do' }}</h2>
        <ul>
          @for (task of tasks(); track task.replayId) {
            <li>
              <div class="what">
                <h3>
                  {{ task.title }}
                  @if (elsewhere(task); as other) {
                    <span class="muted">in {{ other }}</span>
                  }
                </h3>
                <p class="muted small">{{ task.blocked ?? task.reason }}</p>
              </div>
              <cop-status-pill [fixed]="true" [look]="{ tone: task.tone, word: task.severityWord, sentence: '' }" />
              <div class="row buttons">
                <button tuiButton type="button" size="s" [disabled]="task.blocked !== null" (click)="run(task)">Run</button>
                @if (task.dismissible) {
                  <button tuiButton type="button" size="s" appearance="flat-grayscale" (click)="dismiss(task)">Dismiss</button>
                }
              </div>
            </li>
          }
        </ul>
      </section>
    }
  `,
  styles: `
    /* An empty card must not take a gap of the page's column. */
    :host {
      display: contents;
    }

    li {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      gap: 0.5rem 1rem;
      padding-block: 0.75rem;
    }

    li + li {
      border-block-start: 1px solid var(--cop-line);
    }

    li:last-child {
      padding-block-end: 0;
    }

    .what {
      flex: 1 1 16rem;
    }

    h3 .muted {
      font-weight: normal;
    }

    .buttons {
      flex-direction: row-reverse;
      min-inline-size: 9rem;
    }

    @media (max-width: 40rem) {
      .buttons {
        flex-direction: row;
        min-inline-size: 0;
      }
    }
  `,
})
export class TasksCard {
  private readonly current = inject(Current);
  private readonly notices = inject(Notices);
  private readonly runner = inject(ActionRunner);
  private readonly server = inject(Server);
  private readonly store = inject(Store);

  protected readonly tasks = computed(() => {
    const entry = this.current.entry();
    return entry ? openTasks(entry, this.store.packages()) : [];
  });

  /** The title of the other service a task acts on; null when it is this one. */
  protected elsewhere(task: TaskRow): string | null {
    if (task.packageId === this.current.id()) return null;
    const target = this.store.packages().get(task.packageId);
    return target ? manifestOf(target).title : task.packageId;
  }

  protected run(task: TaskRow): void {
    void this.runner.run({
      packageId: task.packageId,
      actionId: task.actionId,
      prefill: task.prefill,
      reason: task.reason || null,
    });
  }

  protected async dismiss(task: TaskRow): Promise<void> {
    await this.notices.guard(() => this.server.dismissTask(this.current.id(), task.replayId));
  }
}

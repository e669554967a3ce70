import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { Clock } from '../state/clock';
import { Store } from '../state/store';
import { OpenUi } from '../ui/open-ui';
import { ProgressLine } from '../ui/progress-line';
import { ServiceControls } from '../ui/service-controls';
import { StatusPill } from '../ui/status-pill';
import { openTargets } from '../words/addresses';
import { progressLook } from '../words/progress';
import { restartStories } from '../words/restarts';
import { healthLook } from '../words/status';
import { ago, fullTime, uptime } from '../words/time';
import { RouterLink } from '@angular/router';
import { AddressesCard } from './addresses.card';
import { Current } from './current';
import { DaemonsCard } from './daemons.card';
import { DependenciesCard } from './dependencies.card';
import { TasksCard } from './tasks.card';

@Component({
  selector: 'cop-overview-page',
  imports: [
    AddressesCard,
    DaemonsCard,
    DependenciesCard,
    OpenUi,
    ProgressLine,
    RouterLink,
    ServiceControls,
    StatusPill,
    TasksCard,
  ],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (current.entry(); as entry) {
      @if (current.look(); as look) {
        <section class="card edge status" [attr.data-tone]="look.tone" aria-labelledby="status-title">
          <div class="words">
            <h2 id="status-title">{{ look.word }}</h2>
            <p class="muted sentence" role="status">{{ look.sentence }}</p>
            @if (since(); as since) {
              <p class="muted small" [attr.title]="since.exact">Up for {{ since.words }}</p>
            }
          </div>
          @if (progress(); as progress) {
            <cop-progress-line [percent]="progress.percent" label="Install progress" />
            <ol class="phases small">
              @for (phase of progress.phases; track phase.name) {
                <li [class.done]="phase.done" [class.now]="phase.now">{{ phase.name }}</li>
              }
            </ol>
          } @else {
            <div class="row">
              <cop-open-ui [id]="current.id()" [title]="current.title()" [entry]="entry" />
              <cop-service-controls [id]="current.id()" [title]="current.title()" [entry]="entry" />
            </div>
          }
          @if (entry.statusInfo.error; as error) {
            <p class="small muted">The <a routerLink="logs">logs</a> may say more. Restart tries again; all data is kept.</p>
            @if (error.debug && error.debug !== error.details) {
              <details class="small">
                <summary>Full message</summary>
                <pre class="mono">{{ error.debug }}</pre>
              </details>
            }
          }
          @if (lastRestart(); as last) {
            <p class="small last">
              <span class="muted">{{ last.when }}:</span> {{ last.headline }} <a routerLink="why">Why?</a>
            </p>
          }
        </section>
      }
      <cop-tasks-card />
      @if (health().length > 0) {
        <section class="card" aria-labelledby="health-title">
          <h2 id="health-title">Health</h2>
          <table>
            <thead class="visually-hidden">
              <tr>
                <th scope="col">Check</th>
                <th scope="col">State</th>
                <th scope="col">Message</th>
              </tr>
            </thead>
            <tbody>
              @for (check of health(); track check.id) {
                <tr>
                  <th scope="row">{{ check.name }}</th>
                  <td><cop-status-pill [look]="check.look" /></td>
                  <td class="muted">{{ check.look.sentence }}</td>
                </tr>
              }
            </tbody>
          </table>
        </section>
      }
      <cop-addresses-card [targets]="targets()" />
      <cop-daemons-card />
      <cop-dependencies-card />
    }
  `,
  styles: `
    :host {
      display: flex;
      flex-direction: column;
      gap: 1rem;
    }

    .status {
      display: grid;
      gap: 1rem;
    }

    .words h2 {
      font-size: 1.25rem;
    }

    .sentence {
      overflow-wrap: anywhere;
    }

    .last {
      padding-block-start: 0.875rem;
      border-block-start: 1px solid var(--cop-line);
    }

    .phases {
      display: grid;
      gap: 0.25rem;
      color: var(--tui-text-tertiary);

      li::before {
        content: '○';
        display: inline-block;
        inline-size: 1.25rem;
      }

      .done::before {
        content: '✓';
        color: var(--cop-good);
      }

      .now {
        color: var(--tui-text-primary);
        font-weight: 600;

        &::before {
          content: '•';
        }
      }
    }

    pre {
      margin: 0.5rem 0 0;
      max-block-size: 16rem;
      overflow: auto;
      white-space: pre-wrap;
    }

    table {
      inline-size: 100%;
      margin-block-start: 0.5rem;
      border-collapse: collapse;
    }

    th,
    td {
      padding: 0.5rem 1rem 0.5rem 0;
      border-block-start: 1px solid var(--cop-line);
      text-align: start;
      vertical-align: baseline;
      font-weight: normal;
      overflow-wrap: anywhere;
    }

    tr:first-child > * {
      border-block-start: 0;
    }

    td:last-child {
      inline-size: 55%;
      padding-inline-end: 0;
    }

    @media (max-width: 40rem) {
      tr {
        display: grid;
        grid-template-columns: 1fr auto;
        padding-block: 0.5rem;
        border-block-start: 1px solid var(--cop-line);
      }

      tr:first-child {
        border-block-start: 0;
      }

      th,
      td {
        padding: 0;
        border: 0;
      }

      td:last-child {
        grid-column: 1 / -1;
        inline-size: auto;
        font-size: 0.875rem;
      }
    }
  `,
})
export class OverviewPage {
  private readonly clock = inject(Clock);
  private readonly store = inject(Store);
  protected readonly current = inject(Current);

  protected readonly since = computed(() => {
    const started = this.current.entry()?.statusInfo.started;
    const words = started ? uptime(started, this.clock.now()) : null;
    return started && words !== null ? { words, exact: `Since ${fullTime(started)}` } : null;
  });

  protected readonly progress = computed(() => {
    const stateInfo = this.current.entry()?.stateInfo;
    if (!stateInfo || !('installingInfo' in stateInfo)) return null;
    const { progress } = stateInfo.installingInfo;
    const { percent } = progressLook(progress);
    const first = progress.phases.findIndex(p => p.progress !== true);
    return {
      percent,
      phases: progress.phases.map((p, i) => ({ name: p.name, done: p.progress === true, now: i === first })),
    };
  });

  protected readonly health = computed(() =>
    Object.entries(this.current.entry()?.statusInfo.health ?? {})
      .map(([id, check]) => ({ id, name: check.name, look: healthLook(check) }))
      .sort((a, b) => a.name.localeCompare(b.name)),
  );

  protected readonly targets = computed(() => {
    const entry = this.current.entry();
    const hostname = this.store.server()?.hostname ?? '';
    return entry ? openTargets(this.current.id(), entry, hostname, location) : [];
  });

  protected readonly lastRestart = computed(() => {
    const [last] = restartStories(this.current.entry()?.restarts ?? {});
    return last && { headline: last.headline, when: ago(last.at, this.clock.now()) };
  });
}

import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { RouterLink } from '@angular/router';
import { Store } from '../state/store';
import { StatusPill } from '../ui/status-pill';
import { dependencyRows } from '../words/dependencies';
import { Current } from './current';

/** The services this one leans on, and whether they are there. */
@Component({
  selector: 'cop-dependencies-card',
  imports: [RouterLink, StatusPill],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (rows().length > 0) {
      <section class="card" aria-labelledby="dependencies-title">
        <h2 id="dependencies-title">Needs</h2>
        <ul>
          @for (row of rows(); track row.id) {
            <li>
              <span>
                @if (row.installed) {
                  <a [routerLink]="['/services', row.id]">{{ row.title }}</a>
                } @else {
                  {{ row.title }}
                }
                <span class="muted small">{{ row.versionRange }}</span>
              </span>
              <cop-status-pill [look]="row.look" />
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
      align-items: center;
      justify-content: space-between;
      gap: 1rem;
      padding-block: 0.5rem;
    }
  `,
})
export class DependenciesCard {
  private readonly current = inject(Current);
  private readonly store = inject(Store);
  protected readonly rows = computed(() => {
    const entry = this.current.entry();
    return entry ? dependencyRows(entry, this.store.packages()) : [];
  });
}

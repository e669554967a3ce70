import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { daemonRows } from '../words/daemons';
import { Current } from './current';

/** The processes of this service that last, and what they use. */
@Component({
  selector: 'cop-daemons-card',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (rows().length > 0) {
      <section class="card" aria-labelledby="daemons-title">
        <h2 id="daemons-title">Daemons</h2>
        <!-- Reached by the keyboard too: it may have to be moved. -->
        <div class="scroll" tabindex="0" role="group" aria-labelledby="daemons-title">
          <table>
            <thead class="muted small">
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Kept running by</th>
                <th scope="col">Memory</th>
                <th scope="col">Processor</th>
                <th scope="col">Read</th>
                <th scope="col">Written</th>
              </tr>
            </thead>
            <tbody>
              @for (row of rows(); track row.id) {
                <tr>
                  <th scope="row">{{ row.name }}</th>
                  <td class="muted">{{ row.keeper }}</td>
                  <td>{{ row.memory }}</td>
                  <td>{{ row.processor }}</td>
                  <td>{{ row.read }}</td>
                  <td>{{ row.written }}</td>
                </tr>
              }
            </tbody>
          </table>
        </div>
      </section>
    }
  `,
  styles: `
    /* An empty card must not take a gap of the page's column. */
    :host {
      display: contents;
    }

    /* A phone is too narrow for six columns: the table moves, the page does not. */
    .scroll {
      overflow-x: auto;
    }

    table {
      inline-size: 100%;
      margin-block-start: 0.5rem;
      border-collapse: collapse;
    }

    th,
    td {
      padding: 0.5rem 1rem 0.5rem 0;
      text-align: start;
      font-weight: normal;
      white-space: nowrap;
    }

    tbody tr > * {
      border-block-start: 1px solid var(--cop-line);
    }
  `,
})
export class DaemonsCard {
  private readonly current = inject(Current);
  protected readonly rows = computed(() => {
    const entry = this.current.entry();
    return entry ? daemonRows(entry) : [];
  });
}

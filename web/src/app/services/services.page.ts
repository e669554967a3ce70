import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { Notices } from '../state/notices';
import { Store } from '../state/store';
import { manifestOf } from '../words/manifest';
import { fleetSentence } from '../words/status';
import { ServiceRow } from './service-row';
import { SideloadDialog } from './sideload.dialog';

@Component({
  selector: 'cop-services-page',
  imports: [ServiceRow, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <div class="head">
      <div>
        <h1>Services</h1>
        <p class="muted" aria-live="polite">{{ summary() }}</p>
      </div>
      @if (services().length > 0) {
        <button tuiButton type="button" size="s" appearance="secondary-grayscale" iconStart="@tui.upload" (click)="sideload()">
          Install from a file
        </button>
      }
    </div>
    @for (notice of store.server()?.notices ?? []; track notice) {
      <p class="card notice">{{ notice }}</p>
    }
    @for (id of store.unreadable(); track id) {
      <p class="card broken">
        The server's record of <strong>{{ id }}</strong> cannot be read by this page. Reload the page; if that does not help,
        run <span class="mono">coppice doctor</span> on the server.
      </p>
    }
    @if (services().length > 0) {
      <ul class="card list">
        @for (service of services(); track service.id) {
          <li><cop-service-row [id]="service.id" [entry]="service.entry" /></li>
        }
      </ul>
    } @else if (store.unreadable().length === 0) {
      <div class="card empty">
        <img src="icon.svg" alt="" width="56" height="56" />
        <h2>Nothing planted yet</h2>
        <p class="muted">
          Install your first service from a package file. Its name ends in <span class="mono">.s9pk</span>; packages made for
          StartOS work too.
        </p>
        <button tuiButton type="button" iconStart="@tui.upload" (click)="sideload()">Install from a file</button>
      </div>
    }
  `,
  styles: `
    :host {
      display: flex;
      flex-direction: column;
      gap: 1.25rem;
    }

    .head {
      display: flex;
      flex-wrap: wrap;
      align-items: flex-end;
      justify-content: space-between;
      gap: 0.75rem;
    }

    .list {
      padding: 0;
      overflow: hidden;

      li + li {
        border-block-start: 1px solid var(--cop-line);
      }
    }

    .notice {
      background: var(--cop-care-pale);
      color: var(--cop-care);
    }

    .broken {
      background: var(--cop-bad-pale);
      color: var(--cop-bad);
    }

    .empty {
      display: grid;
      justify-items: center;
      gap: 0.75rem;
      padding: 3rem 1.5rem;
      text-align: center;

      p {
        max-inline-size: 26rem;
        margin-block-end: 0.5rem;
      }
    }
  `,
})
export class ServicesPage {
  private readonly notices = inject(Notices);
  protected readonly store = inject(Store);

  protected readonly services = computed(() =>
    [...this.store.packages()]
      .map(([id, entry]) => ({ id, entry, title: manifestOf(entry).title }))
      .sort((a, b) => a.title.localeCompare(b.title)),
  );
  protected readonly summary = computed(() => fleetSentence(this.services().map(s => s.entry)));

  protected sideload(): void {
    this.notices.dialog(SideloadDialog, 'Install from a file', { size: 's', dismissible: false });
  }
}

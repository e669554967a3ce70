import { ChangeDetectionStrategy, Component, computed, effect, inject, input } from '@angular/core';
import { Title } from '@angular/platform-browser';
import { RouterLink, RouterLinkActive, RouterOutlet } from '@angular/router';
import { TuiButton } from '@taiga-ui/core';
import { TuiTabs } from '@taiga-ui/kit';
import { PackageIcon } from '../ui/package-icon';
import { StatusPill } from '../ui/status-pill';
import { Current } from './current';

@Component({
  selector: 'cop-service-page',
  imports: [PackageIcon, RouterLink, RouterLinkActive, RouterOutlet, StatusPill, TuiButton, TuiTabs],
  providers: [Current],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <a class="back" routerLink="/services">← All services</a>
    @if (current.entry(); as entry) {
      <div class="head">
        <cop-package-icon [icon]="entry.icon" [title]="current.title()" />
        <div class="names">
          <h1>{{ current.title() }}</h1>
          <p class="muted small">Version {{ current.manifest()?.version }}</p>
        </div>
        @if (current.look(); as look) {
          <cop-status-pill [look]="look" />
        }
      </div>
      <tui-tabs class="tabs" size="m" aria-label="Parts of this page">
        @for (tab of tabs(); track tab.path) {
          <a
            tuiTab
            [routerLink]="tab.path === '' ? ['/services', id()] : ['/services', id(), tab.path]"
            routerLinkActive
            ariaCurrentWhenActive="page"
            [routerLinkActiveOptions]="{ exact: true }"
          >
            {{ tab.name }}
          </a>
        }
      </tui-tabs>
      <router-outlet />
    } @else {
      <div class="card gone">
        <h1>There is no service “{{ id() }}” here</h1>
        <p class="muted">It may have been uninstalled.</p>
        <a tuiButton routerLink="/services" size="m">See all services</a>
      </div>
    }
  `,
  styles: `
    :host {
      --cop-icon: 3.5rem;

      display: flex;
      flex-direction: column;
      gap: 1rem;
    }

    .back {
      align-self: flex-start;
      color: var(--tui-text-secondary);
      font-size: 0.875rem;
      text-decoration: none;

      &:hover {
        text-decoration: underline;
      }
    }

    .head {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      gap: 0.75rem 1rem;
    }

    .names {
      flex: 1;
      min-inline-size: 0;
      overflow-wrap: anywhere;
    }

    .tabs {
      overflow-x: auto;
      scrollbar-width: none;
    }

    .gone {
      display: grid;
      justify-items: start;
      gap: 0.75rem;
    }
  `,
})
export class ServicePage {
  /** From the route. */
  readonly id = input.required<string>();
  protected readonly current = inject(Current);
  private readonly page = inject(Title);

  protected readonly tabs = computed(() => {
    const installed = this.current.entry()?.stateInfo.state === 'installed';
    return [
      { path: '', name: 'Overview' },
      ...(installed ? [{ path: 'actions', name: 'Actions' }] : []),
      { path: 'logs', name: 'Logs' },
      { path: 'why', name: 'Why' },
      { path: 'about', name: 'About' },
    ];
  });

  constructor() {
    effect(() => this.current.id.set(this.id()));
    effect(() => this.page.setTitle(`${this.current.title()} – Coppice`));
  }
}

import { ChangeDetectionStrategy, Component, computed, effect, inject, untracked } from '@angular/core';
import { toSignal } from '@angular/core/rxjs-interop';
import { NavigationEnd, Router, RouterOutlet } from '@angular/router';
import { TuiLoader, TuiRoot } from '@taiga-ui/core';
import { filter, map } from 'rxjs';
import { ConnectionBanner } from './shell/connection-banner';
import { Header } from './shell/header';
import { Connection } from './state/connection';
import { Store } from './state/store';

/**
 * The frame around every page.
 *
 * Invariant: a page other than the login is on screen only while there is a document to show.
 */
@Component({
  selector: 'cop-root',
  imports: [ConnectionBanner, Header, RouterOutlet, TuiLoader, TuiRoot],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <tui-root>
      @if (atLogin()) {
        <router-outlet />
      } @else if (store.ready()) {
        <a class="skip" href="#main" (click)="skip($event, main)">Skip to content</a>
        <cop-header />
        <cop-connection-banner />
        <main #main id="main" tabindex="-1">
          <router-outlet />
        </main>
      } @else {
        <div class="splash">
          <tui-loader size="xl" />
          <p class="muted" role="status">{{ waiting() }}</p>
        </div>
      }
    </tui-root>
  `,
  styles: `
    main {
      max-inline-size: 68rem;
      margin: 0 auto;
      padding: 1.5rem 1.25rem 4rem;
      outline: none;
    }

    .splash {
      min-block-size: 100dvh;
      display: grid;
      place-content: center;
      justify-items: center;
      gap: 1rem;
      padding: 1rem;
      text-align: center;
    }

    .skip {
      position: absolute;
      inset-block-start: -4rem;
      inset-inline-start: 1rem;
      z-index: 2;
      padding: 0.5rem 1rem;
      background: var(--cop-card);
      border-radius: 0.5rem;

      &:focus {
        inset-block-start: 0.5rem;
      }
    }

    @media (max-width: 40rem) {
      main {
        padding: 1rem 1rem 4rem;
      }
    }
  `,
})
export class App {
  private readonly router = inject(Router);
  private readonly connection = inject(Connection);
  protected readonly store = inject(Store);

  private readonly url = toSignal(
    this.router.events.pipe(
      filter(e => e instanceof NavigationEnd),
      map(e => e.urlAfterRedirects),
    ),
    { initialValue: '' },
  );
  protected readonly atLogin = computed(() => this.url().startsWith('/login'));

  protected readonly waiting = computed(() => {
    const live = this.connection.live();
    if (live.kind !== 'lost') return 'Talking to your server…';
    return live.serverStarting
      ? 'Your server is starting. This page opens as soon as it is ready.'
      : 'Your server does not answer. Trying again…';
  });

  constructor() {
    effect(() => {
      const url = this.url();
      const loggedOut = this.connection.loggedOut();
      const ready = this.store.ready();
      untracked(() => {
        if (url === '') return;
        if (loggedOut && !this.atLogin()) {
          void this.router.navigate(['/login'], { queryParams: { to: url }, replaceUrl: true });
        } else if (ready && this.atLogin()) {
          void this.router.navigateByUrl(wanted(url), { replaceUrl: true });
        }
      });
    });
  }

  protected skip(event: Event, main: HTMLElement): void {
    // A plain fragment link would leave the page: every address here is below <base href="/">.
    event.preventDefault();
    main.focus();
  }
}

/** The page that was asked for before the login; only paths of this UI. */
function wanted(loginUrl: string): string {
  const to = new URLSearchParams(loginUrl.split('?')[1] ?? '').get('to') ?? '';
  return /^\/(?![/\\])/.test(to) && !to.startsWith('/login') ? to : '/services';
}

import { ChangeDetectionStrategy, Component, computed, inject, signal } from '@angular/core';
import { RouterLink } from '@angular/router';
import { TUI_DARK_MODE, TuiButton } from '@taiga-ui/core';
import { Notices } from '../state/notices';
import { Server } from '../state/server';
import { Store } from '../state/store';
import { Mark } from '../ui/mark';

@Component({
  selector: 'cop-header',
  imports: [Mark, RouterLink, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <header>
      <a class="home" routerLink="/services" aria-label="Services of {{ name() }}">
        <cop-mark />
        <span class="name">{{ name() }}</span>
      </a>
      <div class="row">
        <button
          tuiIconButton
          type="button"
          size="s"
          appearance="flat-grayscale"
          [iconStart]="dark() ? '@tui.sun' : '@tui.moon'"
          (click)="dark.set(!dark())"
        >
          {{ dark() ? 'Use light colours' : 'Use dark colours' }}
        </button>
        <a tuiIconButton size="s" appearance="flat-grayscale" iconStart="@tui.key-round" routerLink="/access">Who has access</a>
        <button
          tuiButton
          type="button"
          size="s"
          appearance="flat-grayscale"
          iconStart="@tui.log-out"
          [disabled]="leaving()"
          (click)="logout()"
        >
          Log out
        </button>
      </div>
    </header>
  `,
  styles: `
    header {
      display: flex;
      align-items: center;
      justify-content: space-between;
      gap: 1rem;
      max-inline-size: 68rem;
      margin: 0 auto;
      padding: 0.875rem 1.25rem 0;
    }

    .home {
      display: flex;
      align-items: center;
      gap: 0.625rem;
      min-inline-size: 0;
      color: inherit;
      font-weight: 600;
      text-decoration: none;
    }

    .name {
      overflow: hidden;
      text-overflow: ellipsis;
      white-space: nowrap;
    }

    .row {
      flex-wrap: nowrap;
      gap: 0.25rem;
    }

    @media (max-width: 40rem) {
      header {
        padding-inline: 1rem;
      }
    }
  `,
})
export class Header {
  private readonly server = inject(Server);
  private readonly notices = inject(Notices);
  private readonly store = inject(Store);
  protected readonly dark = inject(TUI_DARK_MODE);
  protected readonly leaving = signal(false);
  protected readonly name = computed(() => this.store.server()?.name || this.store.server()?.hostname || 'Coppice');

  protected async logout(): Promise<void> {
    this.leaving.set(true);
    await this.notices.guard(() => this.server.logout());
    this.leaving.set(false);
  }
}

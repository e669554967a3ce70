import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { TuiLoader } from '@taiga-ui/core';
import { Connection } from '../state/connection';
import { clockTime } from '../words/time';

/** Says that what is on screen is old, since when, and that nothing needs to be done. */
@Component({
  selector: 'cop-connection-banner',
  imports: [TuiLoader],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <div role="status">
      @if (words(); as words) {
        <p class="banner">
          <tui-loader size="s" [inheritColor]="true" />
          <span>{{ words }}</span>
        </p>
      }
    </div>
  `,
  styles: `
    .banner {
      display: flex;
      align-items: center;
      gap: 0.75rem;
      max-inline-size: 65.5rem;
      margin: 0.875rem auto 0;
      padding: 0.625rem 1rem;
      border-radius: 0.75rem;
      background: var(--cop-care-pale);
      color: var(--cop-care);
      font-size: 0.9375rem;
      line-height: 1.4;
    }

    @media (max-width: 68rem) {
      .banner {
        margin-inline: 1rem;
      }
    }
  `,
})
export class ConnectionBanner {
  private readonly connection = inject(Connection);

  protected readonly words = computed(() => {
    const live = this.connection.live();
    const since = this.connection.staleSince();
    if (live.kind !== 'lost' || since === null) return null;
    const shown = `You see the state of ${clockTime(new Date(since).toISOString())}.`;
    return live.serverStarting
      ? `Your server is starting. ${shown}`
      : `No connection to your server. Trying again… ${shown}`;
  });
}

import { ChangeDetectionStrategy, Component, computed, inject, signal } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import type { Sessions } from '../api/access';
import { Access } from '../state/access';
import { Clock } from '../state/clock';
import { Notices } from '../state/notices';
import { browserName } from '../words/access';
import { ago } from '../words/time';

/** Who is signed in; each but one's own can be ended. */
@Component({
  selector: 'cop-sessions-card',
  imports: [TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <div class="head">
      <h2>Signed in</h2>
      @if (others().length > 1) {
        <button tuiButton type="button" size="s" appearance="secondary-grayscale" (click)="end(others())">Sign out all others</button>
      }
    </div>
    <ul>
      @for (session of listed(); track session.id) {
        <li>
          <div>
            <strong>{{ session.name }}</strong>
            <p class="muted small">{{ session.own ? 'This browser' : 'Last active ' + session.active }}, signed in {{ session.began }}</p>
          </div>
          @if (!session.own) {
            <button tuiButton type="button" size="s" appearance="flat-grayscale" (click)="end([session.id])">Sign out</button>
          }
        </li>
      }
    </ul>
  `,
  styleUrl: './list.less',
})
export class SessionsCard {
  private readonly access = inject(Access);
  private readonly clock = inject(Clock);
  private readonly notices = inject(Notices);
  private readonly known = signal<Sessions | null>(null);

  protected readonly listed = computed(() => {
    const known = this.known();
    if (!known) return [];
    const now = this.clock.now();
    return Object.entries(known.sessions)
      .sort(([, a], [, b]) => b.lastActive.localeCompare(a.lastActive))
      .map(([id, session]) => ({
        id,
        own: id === known.current,
        name: browserName(session.userAgent),
        active: ago(session.lastActive, now),
        began: ago(session.loggedIn, now),
      }))
      .sort((a, b) => Number(b.own) - Number(a.own));
  });
  protected readonly others = computed(() => this.listed().filter(s => !s.own).map(s => s.id));

  constructor() {
    void this.load();
  }

  protected async end(ids: readonly string[]): Promise<void> {
    await this.notices.guard(() => this.access.endSessions(ids), ids.length === 1 ? 'It is signed out.' : 'They are signed out.');
    await this.load();
  }

  private async load(): Promise<void> {
    await this.notices.guard(async () => this.known.set(await this.access.sessions()));
  }
}

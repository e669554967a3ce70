import { computed, inject, Injectable, signal } from '@angular/core';
import { Notices } from '../state/notices';
import { Server } from '../state/server';
import { Store } from '../state/store';
import { manifestOf } from '../words/manifest';
import { serviceLook } from '../words/status';

/** The service whose page is open; provided by that page and shared by its tabs. */
@Injectable()
export class Current {
  private readonly notices = inject(Notices);
  private readonly server = inject(Server);
  private readonly store = inject(Store);
  readonly id = signal('');
  readonly entry = computed(() => this.store.packages().get(this.id()) ?? null);
  readonly manifest = computed(() => {
    const entry = this.entry();
    return entry && manifestOf(entry);
  });
  readonly title = computed(() => this.manifest()?.title ?? this.id());
  readonly look = computed(() => {
    const entry = this.entry();
    return entry && serviceLook(entry);
  });

  /** Asks first. */
  async rebuild(): Promise<void> {
    const sure = await this.notices.confirm(`Rebuild ${this.title()}?`, {
      content: 'It stops, its container is made anew, and it starts again if it was running. All data is kept.',
      yes: 'Rebuild',
    });
    if (sure) await this.notices.guard(() => this.server.rebuild(this.id()), `${this.title()} is being rebuilt.`);
  }
}

import { computed, inject, Injectable, signal } from '@angular/core';
import { Store } from '../state/store';
import { manifestOf } from '../words/manifest';
import { serviceLook } from '../words/status';

/** The service whose page is open; provided by that page and shared by its tabs. */
@Injectable()
export class Current {
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
}

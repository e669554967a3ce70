import { computed, inject, Injectable } from '@angular/core';
import { packageEntry, serverInfo, type PackageEntry, type ServerInfo } from '../api/schema';
import { Connection } from './connection';

/**
 * The document as typed values.
 *
 * Invariant: a part of the document that did not change is the same object as before, so nothing
 * that derives from it is computed again. A service that cannot be read is named in `unreadable`
 * and does not hide the others.
 */
@Injectable({ providedIn: 'root' })
export class Store {
  private readonly connection = inject(Connection);
  private readonly parsed = new WeakMap<object, PackageEntry | null>();

  readonly ready = computed(() => this.connection.document() !== null);

  readonly server = computed<ServerInfo | null>(() => {
    const parsed = serverInfo.safeParse(member(this.connection.document(), 'serverInfo'));
    return parsed.success ? parsed.data : null;
  });

  private readonly entries = computed<readonly (readonly [string, PackageEntry | null])[]>(() => {
    const data = member(this.connection.document(), 'packageData');
    if (typeof data !== 'object' || data === null) return [];
    return Object.entries(data).map(([id, value]) => [id, this.read(value)] as const);
  });

  readonly packages = computed<ReadonlyMap<string, PackageEntry>>(
    () => new Map(this.entries().filter((e): e is readonly [string, PackageEntry] => e[1] !== null)),
  );

  readonly unreadable = computed(() => this.entries().flatMap(([id, entry]) => (entry === null ? [id] : [])));

  private read(value: unknown): PackageEntry | null {
    if (typeof value !== 'object' || value === null) return null;
    let entry = this.parsed.get(value);
    if (entry === undefined) {
      const parsed = packageEntry.safeParse(value);
      if (!parsed.success) console.error('a service cannot be read', parsed.error);
      entry = parsed.success ? parsed.data : null;
      this.parsed.set(value, entry);
    }
    return entry;
  }
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Object.entries(value).find(([k]) => k === key)?.[1] : undefined;
}

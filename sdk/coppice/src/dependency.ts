/** Other packages that this one needs. */
import type { DependencyRequirement, IdMap } from './effects.js';
import { parseRange } from './exver.js';
import { hostOf, manifestOf, statusOf } from './host-sources.js';
import { checkMountpoint, checkSubpath, type Mount, type MountOptions } from './volume.js';

/**
 * Another package, named in `dependencies`; get one from {@link PackageHandle.dependency}.
 *
 * @example
 * ```ts
 * import { bridgeAddress, use, type Effects } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const store = hello.dependency('store');
 * const needed = store.running('>=1.2.0:0 && <2.0.0:0', ['primary']);
 * const shared = store.volume('main', '/mnt/store', { readonly: true });
 * const address = (effects: Effects) => use(effects, store.host('api'), host => bridgeAddress(host, 9000));
 * ```
 */
export class Dependency {
  constructor(readonly id: string) {}

  /** Needs it installed and running, with these checks well. */
  running(versionRange: string, healthChecks: readonly string[] = []): DependencyRequirement {
    parseRange(versionRange);
    return { kind: 'running', id: this.id, versionRange, healthChecks };
  }

  /** Needs it installed. */
  exists(versionRange: string): DependencyRequirement {
    parseRange(versionRange);
    return { kind: 'exists', id: this.id, versionRange };
  }

  /** One of its volumes in a subcontainer, with ids on disk seen as others. */
  volume(volume: string, mountpoint: string, { subpath, readonly = true, idmap = [] }: MountOptions & { readonly idmap?: readonly IdMap[] } = {}): Mount {
    return {
      kind: 'dependency',
      packageId: this.id,
      volume,
      mountpoint: checkMountpoint(mountpoint),
      subpath: subpath === undefined ? null : checkSubpath(subpath),
      readonly,
      idmap,
    };
  }

  /** Its state. */
  get status(): ReturnType<typeof statusOf> {
    return statusOf(this.id);
  }

  /** What it says of itself. */
  get manifest(): ReturnType<typeof manifestOf> {
    return manifestOf(this.id);
  }

  /** One of its hosts. */
  host(hostId: string): ReturnType<typeof hostOf> {
    return hostOf(hostId, this.id);
  }
}

/** What the host knows, as sources. */
import type { Effects, InstalledManifest, Smtp, StatusInfo } from './effects.js';
import type { Source } from './source.js';
import type { Host } from './wire-network.js';

type Watching = { callback?: () => void };

function source<T>(read: (effects: Effects, watching: Watching) => Promise<T>): Source<T> {
  return { read: (effects, changed) => read(effects, changed === undefined ? {} : { callback: changed }) };
}

/**
 * The state of a service; null when it is not installed. Without an id: of this one.
 *
 * @example
 * ```ts
 * import { statusOf, use, type Effects } from '@coppice/sdk';
 *
 * const isUp = (effects: Effects) => use(effects, statusOf('postgres'), status => status?.started != null);
 * ```
 */
export function statusOf(packageId?: string): Source<StatusInfo | null> {
  return source((effects, watching) => effects.getStatus({ ...(packageId === undefined ? {} : { packageId }), ...watching }));
}

/**
 * What another package says of itself; null when it is not installed.
 *
 * @example
 * ```ts
 * import { manifestOf, use, type Effects } from '@coppice/sdk';
 *
 * const versionOf = (effects: Effects) => use(effects, manifestOf('bitcoind'), found => found?.version ?? null);
 * ```
 */
export function manifestOf(packageId: string): Source<InstalledManifest | null> {
  return source((effects, watching) => effects.getServiceManifest({ packageId, ...watching }));
}

/**
 * A host with its ports and addresses; null when there is none. Without a package id: one of this package.
 *
 * @example
 * ```ts
 * import { hostOf, urlsOf, use, type Effects } from '@coppice/sdk';
 *
 * const ownUrls = (effects: Effects) => use(effects, hostOf('ui'), host => urlsOf(host, 8080, 'ui'));
 * ```
 */
export function hostOf(hostId: string, packageId?: string): Source<Host | null> {
  return source((effects, watching) =>
    effects.getHostInfo({ hostId, ...(packageId === undefined ? {} : { packageId }), ...watching }),
  );
}

/**
 * The system's mail settings; null when there are none.
 *
 * @example
 * ```ts
 * import { systemSmtp, use, type Effects } from '@coppice/sdk';
 *
 * const sender = (effects: Effects) => use(effects, systemSmtp(), smtp => smtp?.from ?? 'nobody@localhost');
 * ```
 */
export function systemSmtp(): Source<Smtp | null> {
  return source((effects, watching) => effects.getSystemSmtp(watching));
}

/**
 * A certificate for these names, leaf first; changes before it ends.
 *
 * @example
 * ```ts
 * import { certificateFor, use, type Effects } from '@coppice/sdk';
 *
 * const chain = async (effects: Effects) => (await use(effects, certificateFor(['hello.startos']))).join('');
 * ```
 */
export function certificateFor(hostnames: readonly string[], algorithm: 'ecdsa' | 'ed25519' = 'ecdsa'): Source<readonly string[]> {
  return source((effects, watching) => effects.getSslCertificate({ hostnames, algorithm, ...watching }));
}

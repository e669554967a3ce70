/**
 * Who runs a daemon: Coppice, told of it as data, or the package's own JavaScript.
 *
 * The rule is a function of what is declared, so that it can be read, tested and shown. Coppice runs
 * what it can run exactly as declared; everything else stays here, with its reason.
 */
import type { HostedDaemon, HostedMount, HostedReady } from '../effects.js';
import { commandWords, type ImageStart } from '../image.js';
import { needsBox, portOf } from './check.js';
import { USUAL_EVERY_MS, USUAL_GRACE_MS } from './health.js';
import type { Daemon, Units } from './unit.js';

/** Why a daemon stays with the package. */
export type StaysBecause =
  /** The host takes no daemons: StartOS. */
  | 'host-takes-none'
  /** It is to wait for something, which the host cannot be told yet. */
  | 'requires'
  /** It sees assets or another package's volume. */
  | 'mounts'
  /** It shares its subcontainer with another. */
  | 'shared-subcontainer'
  /** Its check looks into its subcontainer. */
  | 'check-inside'
  /** Its name or its time to end is none that the host takes. */
  | 'limits';

/** Who runs one daemon. */
export type Placement = { readonly by: 'host' } | { readonly by: 'package'; readonly because: StaysBecause };

/** Who looks whether one daemon is ready. */
export type Looking =
  /** Nobody: nobody wants to know. */
  | { readonly by: 'nobody' }
  | { readonly by: 'host'; readonly ready: HostedReady }
  | { readonly by: 'package' };

/** What the host takes at most; `actors/src/service/daemons/hosted/declared.rs`. */
const NAME = /^[a-z0-9-]{1,40}$/;
const LONGEST_GRACE_MS = 120_000;
/** What it takes of a check; `actors/src/service/daemons/hosted/ready.rs`. */
const EVERY_MS = { least: 100, most: 60_000 };
const LONGEST_START_MS = 3_600_000;

/**
 * Who runs each daemon of a service.
 *
 * @example
 * ```ts
 * import { daemon, placements, units } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const box = hello.subcontainer({ image: 'hello' });
 * const all = units({ server: daemon({ in: box, command: ['hello'] }) });
 * console.log(placements(all, true).get('server')); // { by: 'host' }
 * ```
 */
export function placements({ ordered }: Units, hostTakesDaemons: boolean): ReadonlyMap<string, Placement> {
  const daemons = ordered.flatMap(([id, unit]) => (unit.kind === 'daemon' ? [[id, unit] as const] : []));
  return new Map(
    daemons.map(([id, daemon]): [string, Placement] => {
      const isShared = daemons.some(([other, { in: spec }]) => other !== id && spec === daemon.in);
      const because = hostTakesDaemons ? staysBecause(id, daemon, isShared) : 'host-takes-none';
      return [id, because === null ? { by: 'host' } : { by: 'package', because }];
    }),
  );
}

function staysBecause(id: string, daemon: Daemon, isShared: boolean): StaysBecause | null {
  if (daemon.requires !== undefined && daemon.requires.length > 0) return 'requires';
  if (daemon.in.mounts.some(mount => mount.kind !== 'volume')) return 'mounts';
  if (isShared) return 'shared-subcontainer';
  if (daemon.ready !== undefined && needsBox(daemon.ready.check)) return 'check-inside';
  const grace = daemon.graceMs ?? 1;
  if (!NAME.test(id) || grace < 1 || grace > LONGEST_GRACE_MS) return 'limits';
  return null;
}

/**
 * Who looks whether a daemon that the host runs is ready: the host, if it is a matter of a port and no other
 * unit waits for the answer.
 */
export function lookingAt(id: string, { ready }: Daemon, { ordered }: Units): Looking {
  const isRequired = ordered.some(([, unit]) => unit.requires?.includes(id) === true);
  if (ready === undefined || (ready.name === null && !isRequired)) return { by: 'nobody' };
  const { name, graceMs = USUAL_GRACE_MS, everyMs = USUAL_EVERY_MS } = ready;
  const port = portOf(ready.check);
  const isTaken = everyMs >= EVERY_MS.least && everyMs <= EVERY_MS.most && graceMs >= 0 && graceMs <= LONGEST_START_MS;
  if (name === null || isRequired || port === null || !isTaken) return { by: 'package' };
  return { by: 'host', ready: { name, graceMs, everyMs, ...port } };
}

/** A daemon in the host's words. */
export function hosted(id: string, daemon: Daemon, start: ImageStart, looking: Looking): HostedDaemon {
  const { image, mounts } = daemon.in;
  return {
    id,
    command: commandWords(daemon.command, image, start),
    env: daemon.env ?? {},
    cwd: daemon.cwd ?? start.workdir,
    ...(daemon.graceMs === undefined ? {} : { graceMs: daemon.graceMs }),
    ...(looking.by === 'host' ? { ready: looking.ready } : {}),
    image: {
      id: image,
      user: daemon.user ?? start.user,
      mounts: mounts.flatMap((mount): HostedMount[] =>
        mount.kind !== 'volume'
          ? []
          : [{ volume: mount.volume, ...(mount.subpath === null ? {} : { subpath: mount.subpath }), mountpoint: mount.mountpoint, readonly: mount.readonly }],
      ),
    },
  };
}

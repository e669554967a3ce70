/**
 * What a service runs, as data: daemons, work that is done once, and checks.
 *
 * Invariant: names that are required exist, and nothing waits for itself; both are found out before
 * anything is started.
 */
import type { Effects } from '../effects.js';
import type { Command } from '../image.js';
import type { Check } from './check.js';
import { withSubcontainer, type Subcontainer, type SubcontainerSpec } from './subcontainer.js';

/** When a daemon counts as ready. */
export interface Ready {
  /** Its name for people; without one it is looked at and not shown. */
  readonly name: string | null;
  readonly check: Check;
  /** Milliseconds for which a failure counts as starting; 10 s without. */
  readonly graceMs?: number;
  /** Milliseconds between two looks while it is well; 5 s without. */
  readonly everyMs?: number;
}

/** What {@link daemon} takes. */
export interface DaemonOptions<Required extends string = string> {
  /** What it runs in. Who shares a subcontainer gives the same one. */
  readonly in: SubcontainerSpec;
  readonly command: Command;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly cwd?: string;
  /**
   * Milliseconds between SIGTERM and SIGKILL; 60 s without.
   *
   * Where Coppice runs it, a daemon is the first process of its namespace, which SIGTERM ends only if it has a
   * handler for it: give a program without one a short time, or every stop lasts this long.
   */
  readonly graceMs?: number;
  readonly ready?: Ready;
  /** What must be ready, or done, before it is started for the first time. */
  readonly requires?: readonly Required[];
}

/** A program that is to run as long as the service does. */
export interface Daemon<Required extends string = string> extends DaemonOptions<Required> {
  readonly kind: 'daemon';
}

/** Work that is done once on every start. */
export interface Oneshot<Required extends string = string> {
  readonly kind: 'oneshot';
  readonly run: (effects: Effects) => Promise<void>;
  readonly requires?: readonly Required[];
}

/** A check that belongs to no daemon. */
export interface HealthCheck<Required extends string = string> {
  readonly kind: 'check';
  readonly ready: Ready;
  readonly requires?: readonly Required[];
}

/** One of what a service runs. */
export type Unit<Required extends string = string> = Daemon<Required> | Oneshot<Required> | HealthCheck<Required>;

/**
 * A program that is to run as long as the service does.
 *
 * @example
 * ```ts
 * import { daemon, entrypoint, portListening } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const server = daemon({
 *   in: hello.subcontainer({ image: 'hello', mounts: [hello.volume('main').at('/data', { readonly: true })] }),
 *   command: entrypoint(),
 *   ready: { name: 'Page', check: portListening(8080) },
 * });
 * ```
 */
export function daemon<const R extends string = never>(options: DaemonOptions<R>): Daemon<R> {
  return { kind: 'daemon', ...options };
}

/**
 * Work of the package's own that is done once on every start, before what requires it.
 *
 * @example
 * ```ts
 * import { mkdir } from 'node:fs/promises';
 * import { oneshot } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const prepare = oneshot(async () => {
 *   await mkdir(hello.volume('main').path('uploads'), { recursive: true });
 * });
 * ```
 */
export function oneshot<const R extends string = never>(
  run: (effects: Effects) => Promise<void>,
  { requires = [] }: { readonly requires?: readonly R[] } = {},
): Oneshot<R> {
  return { kind: 'oneshot', run, requires };
}

/**
 * A program that is run once on every start, and must end well, before what requires it.
 *
 * @example
 * ```ts
 * import { oneshotIn } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const migrate = oneshotIn(hello.subcontainer({ image: 'hello' }), async box => {
 *   await box.run(['hello', 'migrate'], { timeoutMs: null });
 * });
 * ```
 */
export function oneshotIn<const R extends string = never>(
  spec: SubcontainerSpec,
  run: (box: Subcontainer, effects: Effects) => Promise<void>,
  options: { readonly requires?: readonly R[] } = {},
): Oneshot<R> {
  return oneshot(effects => withSubcontainer(effects, spec, box => run(box, effects)), options);
}

/**
 * A check that belongs to no daemon, such as whether something is in step with the world.
 *
 * @example
 * ```ts
 * import { healthCheck, httpAnswers } from '@coppice/sdk';
 *
 * const synced = healthCheck({ name: 'In step', check: httpAnswers('http://127.0.0.1:8080/synced'), everyMs: 30_000 });
 * ```
 */
export function healthCheck<const R extends string = never>(
  ready: Ready,
  { requires = [] }: { readonly requires?: readonly R[] } = {},
): HealthCheck<R> {
  return { kind: 'check', ready, requires };
}

/** All that a service runs, checked, in an order in which nothing comes before what it requires. */
export interface Units {
  readonly ordered: readonly (readonly [id: string, unit: Unit])[];
}

/**
 * All that a service runs. Names that are required must be names of the list: others do not compile.
 *
 * @throws when something waits for itself.
 * @example
 * ```ts
 * import { daemon, oneshot, portListening, units } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const box = hello.subcontainer({ image: 'hello' });
 * const all = units({
 *   prepare: oneshot(async () => undefined),
 *   database: daemon({ in: box, command: ['postgres'], requires: ['prepare'], ready: { name: null, check: portListening(5432) } }),
 *   server: daemon({ in: box, command: ['hello'], requires: ['database'] }),
 * });
 * ```
 */
export function units<const K extends string>(all: { readonly [P in K]: Unit<NoInfer<K>> }): Units {
  const named = new Map<string, Unit>(Object.entries<Unit>(all));
  const ordered: (readonly [string, Unit])[] = [];
  const done = new Set<string>();
  const visit = (id: string, way: readonly string[]): void => {
    if (way.includes(id)) throw new Error(`these wait for each other: ${[...way.slice(way.indexOf(id)), id].join(' → ')}`);
    const unit = named.get(id);
    if (unit === undefined) throw new Error(`\`${way.at(-1) ?? ''}\` requires \`${id}\`, which is not there`);
    if (done.has(id)) return;
    for (const required of unit.requires ?? []) visit(required, [...way, id]);
    done.add(id);
    ordered.push([id, unit]);
  };
  for (const id of named.keys()) visit(id, []);
  return { ordered };
}

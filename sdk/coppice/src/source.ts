/**
 * Things that are read, and may change later: files, states of the host.
 *
 * Invariant: {@link use} subscribes before it reads, so that no change falls between the two; and a
 * change that leaves the value equal disturbs nobody.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Effects } from './effects.js';

/** Something that can be read again and again. */
export interface Source<out T> {
  /** Reads it, in this scope. When it changes after that, `changed` is called, at least once, until the scope is left. */
  read(effects: Effects, changed?: () => void): Promise<T>;
}

/**
 * A source of what `map` makes of another.
 *
 * @example
 * ```ts
 * import { follow, mapped, statusOf, type Effects } from '@coppice/sdk';
 *
 * const started = mapped(statusOf('postgres'), status => status?.started ?? null);
 * const watch = (effects: Effects) => follow(effects, started, at => console.log('postgres started', at));
 * ```
 */
export function mapped<T, U>(source: Source<T>, map: (value: T) => U): Source<U> {
  return { read: async (effects, changed) => map(await source.read(effects, changed)) };
}

/**
 * Reads something and depends on it: when its value changes, the work that this scope is for runs
 * again. In `daemons` that is the whole service (it is restarted), elsewhere only the step itself.
 *
 * @example
 * ```ts
 * import { envFile, shape, use, type Effects } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const settings = envFile(hello.volume('main').file('app.env'), shape.object({ PORT: shape.integer().or(80) }));
 *
 * async function port(effects: Effects): Promise<number> {
 *   return use(effects, settings, ({ PORT }) => PORT);
 * }
 * ```
 */
export function use<T>(effects: Effects, source: Source<T>): Promise<T>;
export function use<T, U>(effects: Effects, source: Source<T>, map: (value: T) => U): Promise<U>;
export async function use<T>(effects: Effects, source: Source<T>, map?: (value: T) => unknown): Promise<unknown> {
  const pick = map ?? ((value: T): unknown => value);
  if (effects.constRetry === undefined) return pick(await source.read(effects));
  let first: { readonly value: unknown } | null = null;
  let isStale = false;
  const look = async (): Promise<void> => {
    if (!effects.isInContext) return;
    const value = pick(await source.read(effects, changed));
    if (effects.isInContext && !isDeepStrictEqual(first?.value, value)) effects.constRetry?.();
  };
  const changed = (): void => {
    // A change before the first answer is seen by a second reading, after it.
    if (first === null) isStale = true;
    else look().catch((error: unknown) => reportReading(effects, error));
  };
  const value = pick(await source.read(effects, changed));
  first = { value };
  if (isStale) changed();
  return value;
}

function reportReading(effects: Effects, error: unknown): void {
  // What can no longer be read has changed, too: the work that needs it says what is wrong.
  if (!effects.isInContext) return;
  console.warn('reading again failed:', error);
  effects.constRetry?.();
}

/**
 * Has `each` called with the value, now and after every change, until the scope is left.
 *
 * @example
 * ```ts
 * import { follow, statusOf, type Effects } from '@coppice/sdk';
 *
 * async function watchDatabase(effects: Effects): Promise<void> {
 *   await follow(effects, statusOf('postgres'), status => console.log('postgres is', status?.desired.main ?? 'absent'));
 * }
 * ```
 */
export async function follow<T>(effects: Effects, source: Source<T>, each: (value: T) => void): Promise<void> {
  let last: { readonly value: T } | null = null;
  let work: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    if (!effects.isInContext) return;
    const value = await source.read(effects, changed);
    if (!effects.isInContext || (last !== null && isDeepStrictEqual(last.value, value))) return;
    last = { value };
    each(value);
  };
  // One after another: a slow reading must not be overtaken by the next.
  const changed = (): void => {
    work = work.then(look).catch((error: unknown) => console.warn('following failed:', error));
  };
  work = look();
  await work;
}

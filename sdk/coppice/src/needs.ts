/**
 * Whether what a package needs of others is there now.
 *
 * Dependencies stop nobody by themselves: the host tells of them, and a package decides what it cannot do without.
 */
import type { Check } from './daemons/check.js';
import type { DependencyRequirement, DependencyState, Effects } from './effects.js';
import { parseRange, parseVersion } from './exver.js';

/** Something that is needed of another package is not there. */
export class NeedsError extends Error {
  override readonly name = 'NeedsError';
}

/**
 * What is missing of what this package needs, in sentences; none when everything is there.
 *
 * @example
 * ```ts
 * import { unmetNeeds, type Effects } from '@coppice/sdk';
 *
 * const isWell = async (effects: Effects): Promise<boolean> => (await unmetNeeds(effects)).length === 0;
 * ```
 */
export async function unmetNeeds(effects: Effects): Promise<readonly string[]> {
  const [needs, states] = await Promise.all([effects.getDependencies(), effects.checkDependencies({})]);
  return needs.flatMap(need => missing(need, states.find(({ packageId }) => packageId === need.id)));
}

function missing(need: DependencyRequirement, state: DependencyState | undefined): readonly string[] {
  const title = state?.title ?? need.id;
  if (state === undefined || state.installedVersion === null) return [`${title} is not installed`];
  const range = parseRange(need.versionRange);
  if (![state.installedVersion, ...state.satisfies].some(version => range.has(parseVersion(version)))) {
    return [`${title} is ${state.installedVersion}, and ${need.versionRange} is needed`];
  }
  if (need.kind === 'exists') return [];
  if (!state.isRunning) return [`${title} does not run`];
  return need.healthChecks.flatMap(id => {
    const check = state.healthChecks[id];
    if (check?.result === 'success' || check?.result === 'disabled') return [];
    return [`${title} is not well: ${check === undefined ? `${id} has not been looked at` : `${check.name}: ${check.message ?? check.result}`}`];
  });
}

/**
 * Well while everything is there that this package needs of others.
 *
 * @example
 * ```ts
 * import { healthCheck, needsMet } from '@coppice/sdk';
 *
 * const store = healthCheck({ name: 'Store', check: needsMet({ well: 'The store is there' }) });
 * ```
 */
export function needsMet({ well }: { readonly well?: string } = {}): Check {
  return async ({ effects }) => {
    const unmet = await unmetNeeds(effects);
    return unmet.length === 0 ? { result: 'success', message: well ?? null } : { result: 'failure', message: unmet.join('; ') };
  };
}

/**
 * Goes on only when everything is there that this package needs of others. A start that fails by it is held by Coppice
 * until that is so, and then tried again.
 *
 * @throws {NeedsError} that says everything that is missing.
 * @example
 * ```ts
 * import { daemon, demandNeeds, oneshot, units } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const all = units({
 *   needs: oneshot(demandNeeds),
 *   server: daemon({ in: hello.subcontainer({ image: 'hello' }), command: ['hello'], requires: ['needs'] }),
 * });
 * ```
 */
export async function demandNeeds(effects: Effects): Promise<void> {
  const unmet = await unmetNeeds(effects);
  if (unmet.length > 0) throw new NeedsError(unmet.join('; '));
}

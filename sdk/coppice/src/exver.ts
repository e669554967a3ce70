/**
 * Extended versions, `[#flavor:]upstream:downstream`, and ranges of them.
 *
 * Only what a package needs: reading, comparing, and whether a version is in a range. Ranges are to be
 * written in what all readers agree on: `&&` and `||` spelled out, with parentheses where they meet.
 */

interface Numbers {
  readonly numbers: readonly number[];
  readonly prerelease: readonly (number | string)[];
}

/** Text of a version, as far as a type can tell. */
export type VersionText = `${number}:${number}` | `${string}:${string}`;

/** A version that can be compared. */
export interface Version {
  readonly flavor: string | null;
  readonly upstream: Numbers;
  readonly downstream: Numbers;
}

/** Text that is no version or no range. */
export class VersionError extends Error {
  override readonly name = 'VersionError';
}

function numbers(text: string, whole: string): Numbers {
  const [, plain, prerelease] = /^(\d+(?:\.\d+)*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/.exec(text) ?? [];
  if (plain === undefined) throw new VersionError(`\`${whole}\` is not a version: write it as 1.2.3:0`);
  const parts = plain.split('.').map(Number);
  if (!parts.every(Number.isSafeInteger)) throw new VersionError(`\`${whole}\` has a number that is too large`);
  return {
    numbers: parts,
    prerelease: prerelease?.split('.').map(part => (/^\d+$/.test(part) ? Number(part) : part)) ?? [],
  };
}

/**
 * Reads a version.
 *
 * @throws {VersionError}
 * @example
 * ```ts
 * import { compareVersions, parseVersion } from '@coppice/sdk';
 *
 * const isNewer = compareVersions(parseVersion('1.10.0:0'), parseVersion('1.9.0:2')) === 1;
 * ```
 */
export function parseVersion(text: string): Version {
  const [, flavor, upstream, downstream] = /^(?:#([a-z]*):)?([^:]+):([^:]+)$/.exec(text) ?? [];
  if (upstream === undefined || downstream === undefined) {
    throw new VersionError(`\`${text}\` is not a version: write it as 1.2.3:0`);
  }
  return { flavor: flavor || null, upstream: numbers(upstream, text), downstream: numbers(downstream, text) };
}

type Order = -1 | 0 | 1;

const order = (a: number | string, b: number | string): Order => (a < b ? -1 : a > b ? 1 : 0);

function compareNumbers(a: Numbers, b: Numbers): Order {
  for (let i = 0; i < Math.max(a.numbers.length, b.numbers.length); i++) {
    const found = order(a.numbers[i] ?? 0, b.numbers[i] ?? 0);
    if (found !== 0) return found;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return order(b.prerelease.length, a.prerelease.length);
  for (let i = 0; i < Math.max(a.prerelease.length, b.prerelease.length); i++) {
    const [left, right] = [a.prerelease[i], b.prerelease[i]];
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
    const found = order(left, right);
    if (found !== 0) return found;
  }
  return 0;
}

/** Which of two versions is lower; null where their flavors differ: those have no order. */
export function compareVersions(a: Version, b: Version): Order | null {
  if (a.flavor !== b.flavor) return null;
  return compareNumbers(a.upstream, b.upstream) || compareNumbers(a.downstream, b.downstream);
}

/** A range of versions. */
export interface Range {
  /** Whether a version is in it. */
  has(version: Version): boolean;
}

const any: Range = { has: () => true };
const none: Range = { has: () => false };

/** The first version that `^` (or `~`) does not take any more. */
function bound(operator: string, { flavor, upstream }: Version): Version {
  const kept = [...upstream.numbers];
  while (kept.length > 1 && kept.at(-1) === 0) kept.pop();
  let index = kept.findIndex(number => number !== 0);
  if (index === -1) index = 0;
  if (operator === '~') index += 1;
  const next = kept.slice(0, index + 1);
  while (next.length <= index) next.push(0);
  next[index] = (next[index] ?? 0) + 1;
  return { flavor, upstream: { numbers: next, prerelease: upstream.prerelease }, downstream: { numbers: [0], prerelease: [] } };
}

function anchor(operator: string, version: Version): Range {
  const holds = (test: (found: Order) => boolean, apart = false): Range => ({
    has: other => {
      const found = compareVersions(other, version);
      return found === null ? apart : test(found);
    },
  });
  switch (operator) {
    case '=':
      return holds(found => found === 0);
    case '!=':
      return holds(found => found !== 0, true);
    case '>':
      return holds(found => found === 1);
    case '<':
      return holds(found => found === -1);
    case '>=':
      return holds(found => found !== -1);
    case '<=':
      return holds(found => found !== 1);
    default: {
      const end = bound(operator, version);
      return { has: other => (compareVersions(other, version) ?? -1) !== -1 && compareVersions(other, end) === -1 };
    }
  }
}

const TOKEN = /\s*(?:(\|\||&&|\(|\)|\*)|(>=|<=|!=|[=<>^~])?\s*((?:#[a-z]*:)?\d[0-9A-Za-z.-]*(?::\d[0-9A-Za-z.-]*)?)|(#[a-z]*)|(!))/y;

/**
 * Reads a range.
 *
 * @throws {VersionError}
 * @example
 * ```ts
 * import { parseRange, parseVersion } from '@coppice/sdk';
 *
 * const isKnown = parseRange('>=1.2.0:0 && <2.0.0:0').has(parseVersion('1.5.0:3'));
 * ```
 */
export function parseRange(text: string): Range {
  let at = 0;
  const next = (): RegExpExecArray | null => {
    TOKEN.lastIndex = at;
    return TOKEN.exec(text);
  };
  const take = (token: RegExpExecArray): void => {
    at += token[0].length;
  };
  const bad = (): VersionError => new VersionError(`\`${text}\` is not a range of versions: it breaks at character ${at + 1}`);

  const atom = (): Range => {
    const token = next();
    if (token === null) throw bad();
    const [, sign, operator = '^', version, flavor, not] = token;
    take(token);
    if (sign === '(') {
      const inner = either();
      const close = next();
      if (close?.[1] !== ')') throw bad();
      take(close);
      return inner;
    }
    if (sign === '*') return any;
    if (version !== undefined) return anchor(operator, parseVersion(version.replace(/^#[a-z]*:/, '').includes(':') ? version : `${version}:0`));
    if (flavor !== undefined) return { has: other => other.flavor === (flavor.slice(1) || null) };
    if (not !== undefined) {
      const rest = next();
      if (rest === null || ['||', '&&', ')'].includes(rest[1] ?? '')) return none;
      const inner = atom();
      return { has: other => !inner.has(other) };
    }
    throw bad();
  };

  const either = (): Range => {
    let left = atom();
    let operator = '&&';
    for (;;) {
      const token = next();
      if (token === null || token[1] === ')') return left;
      // Two that stand side by side repeat the operator before; at first it is `&&`.
      if (token[1] === '||' || token[1] === '&&') {
        operator = token[1];
        take(token);
      }
      const [before, right] = [left, atom()];
      left = operator === '&&' ? { has: v => before.has(v) && right.has(v) } : { has: v => before.has(v) || right.has(v) };
    }
  };

  const range = either();
  if (text.slice(at).trim() !== '') throw bad();
  return range;
}

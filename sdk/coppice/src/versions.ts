/**
 * From which versions' data a package starts, and how that is brought up to date.
 *
 * Invariant: after each migration its version is written down before the next begins, so that what was
 * interrupted goes on where it was.
 */
import type { Effects } from './effects.js';
import { compareVersions, parseRange, parseVersion, VersionError, type Version, type VersionText } from './exver.js';
import type { LocaleText } from './manifest.js';

/** A step of the data from what was before to a version. */
export interface Migration {
  /** The version whose data it makes. */
  readonly to: VersionText;
  /** Makes it. Runs while no daemon does. */
  readonly up: (effects: Effects) => Promise<void>;
  /** Takes it back, for a downgrade; null where that cannot be done. */
  readonly down: ((effects: Effects) => Promise<void>) | null;
}

/** What {@link versions} takes. */
export interface VersionsOptions {
  /** This version. */
  readonly current: VersionText;
  /** What is new in it. */
  readonly releaseNotes: LocaleText;
  /** The oldest version whose data can be taken over; all without. */
  readonly since?: VersionText;
  /** The steps, oldest first. */
  readonly migrations?: readonly Migration[];
  /** Versions of other packages' makings that this one stands in for. */
  readonly satisfies?: readonly VersionText[];
}

interface Step extends Migration {
  readonly version: Version;
}

/** A package's version and its history; made by {@link versions}. */
export class Versions {
  readonly #current: Version;
  readonly #steps: readonly Step[];

  constructor(readonly options: VersionsOptions) {
    const { current, since, migrations = [], satisfies = [] } = options;
    this.#current = parseVersion(current);
    this.#steps = migrations.map(migration => ({ ...migration, version: parseVersion(migration.to) }));
    if (since !== undefined) this.#orderedWith(since, parseVersion(since));
    satisfies.forEach(parseVersion);
    let before: Step | null = null;
    for (const step of this.#steps) {
      this.#orderedWith(step.to, step.version);
      if (before !== null && compareVersions(before.version, step.version) !== -1) {
        throw new VersionError(`the migrations to ${before.to} and ${step.to} are in the wrong order: the oldest comes first`);
      }
      before = step;
    }
  }

  #orderedWith(text: string, version: Version): void {
    const found = compareVersions(version, this.#current);
    if (found === null) throw new VersionError(`\`${text}\` is of another flavor than ${this.options.current}`);
    if (found === 1) throw new VersionError(`\`${text}\` is newer than the current version, ${this.options.current}`);
  }

  /** Whose data this version takes over; for the manifest. */
  get canMigrateFrom(): string {
    const { since, current } = this.options;
    return since === undefined ? `<=${current}` : `>=${since} && <=${current}`;
  }

  /** For which versions it can make the data fit; for the manifest. */
  get canMigrateTo(): string {
    const { since, current } = this.options;
    const floor = this.#steps.findLast(step => step.down === null)?.to ?? since;
    return floor === undefined ? `<=${current}` : `>=${floor} && <=${current}`;
  }

  /** Brings the data up to this version. */
  async migrate(effects: Effects): Promise<void> {
    const found = await effects.getDataVersion();
    const reached = found === null ? null : await this.#up(effects, found);
    if (reached !== this.options.current) await effects.setDataVersion({ version: this.options.current });
  }

  /** Gives the version that is written down in the end. */
  async #up(effects: Effects, found: string): Promise<string> {
    const from = this.#startOf(found);
    let reached = found;
    for (const step of this.#steps) {
      if (compareVersions(step.version, from) !== 1) continue;
      await step.up(effects);
      await effects.setDataVersion({ version: step.to });
      reached = step.to;
    }
    return reached;
  }

  /** The version that data of `found`, a version or a range, counts as. */
  #startOf(found: string): Version {
    const known = this.#known(found);
    if (known === null) {
      throw new VersionError(
        `the data is of version ${found}, and ${this.options.current} takes over ${this.canMigrateFrom}; install a version in between first`,
      );
    }
    return known;
  }

  #known(found: string): Version | null {
    try {
      const version = parseVersion(found);
      return parseRange(this.canMigrateFrom).has(version) ? version : null;
    } catch {
      // A range, left by another package in mid-migration: the lowest of ours that is in it is safe.
      const range = parseRange(found);
      const all = [...(this.options.since === undefined ? [] : [parseVersion(this.options.since)]), ...this.#steps.map(step => step.version), this.#current];
      return all.find(version => range.has(version)) ?? null;
    }
  }

  /**
   * Leaves data that `target` can take over: for a downgrade, an uninstall (null), or nothing at all.
   *
   * @throws {VersionError} where a migration cannot be taken back.
   */
  async leave(effects: Effects, target: UninitTarget | null): Promise<void> {
    if (target === null) {
      await effects.setDataVersion({ version: null });
      return;
    }
    const { reached, fits } = this.#goal(target.toString());
    let version = this.#current;
    let label: string = this.options.current;
    for (const [index, step] of [...this.#steps.entries()].reverse()) {
      if (fits(version) || (reached !== null && compareVersions(step.version, reached) !== 1)) break;
      if (step.down === null) {
        throw new VersionError(`data of ${step.to} cannot be taken back to ${target.toString()}; restore a backup instead`);
      }
      await step.down(effects);
      const before = this.#steps[index - 1];
      label = before?.to ?? this.options.since ?? target.toString();
      version = before?.version ?? reached ?? version;
      await effects.setDataVersion({ version: label });
    }
    const end = reached === null ? label : target.toString();
    if (reached !== null && compareVersions(reached, this.#current) === -1) await effects.setDataVersion({ version: end });
  }

  #goal(target: string): { readonly reached: Version | null; readonly fits: (version: Version) => boolean } {
    try {
      const reached = parseVersion(target);
      const found = compareVersions(reached, this.#current);
      // The same, a newer one or another flavor: the other package migrates by itself.
      return { reached, fits: () => found !== -1 };
    } catch {
      const range = parseRange(target);
      return { reached: null, fits: version => range.has(version) };
    }
  }
}

/** What `uninit` is given: the runtime's own objects for a version or a range; only their text matters here. */
export interface UninitTarget {
  toString(): string;
}

/**
 * This version, and the way to it from older ones.
 *
 * @throws {VersionError} when a version is none, or the order is wrong: at build time, since it is called then.
 * @example
 * ```ts
 * import { rename } from 'node:fs/promises';
 * import { versions } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const main = hello.volume('main');
 * const history = versions({
 *   current: '2.0.0:0',
 *   releaseNotes: 'Settings have moved.',
 *   since: '1.0.0:0',
 *   migrations: [
 *     {
 *       to: '2.0.0:0',
 *       up: () => rename(main.path('old.conf'), main.path('hello.conf')),
 *       down: () => rename(main.path('hello.conf'), main.path('old.conf')),
 *     },
 *   ],
 * });
 * ```
 */
export function versions(options: VersionsOptions): Versions {
  return new Versions(options);
}

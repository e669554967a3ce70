/**
 * The whole package: what it is, and what the host calls.
 *
 * Invariant: every `init` declares everything anew, and withdraws what a former version declared; so a
 * step may run again at any time, and does when something it {@link use}s changes.
 */
import type { Action } from './action.js';
import type { Backup } from './backup.js';
import { startService, type RunningService } from './daemons/service.js';
import type { SubcontainerSpec } from './daemons/subcontainer.js';
import type { Units } from './daemons/unit.js';
import { Dependency } from './dependency.js';
import type { DependencyRequirement, Effects, InitKind } from './effects.js';
import { buildManifest, checkInfo, ManifestError, type AnyPackageInfo, type Manifest, type PackageInfo } from './manifest.js';
import { checkBindings, declareBindings, type Binding } from './network.js';
import { createTask, type Task } from './task.js';
import type { UninitTarget, Versions } from './versions.js';
import { Volume, type Mount } from './volume.js';

/** Something fixed, or made in a step that runs again when what it uses changes. */
export type Step<T> = T | ((effects: Effects) => Promise<T>);

/**
 * What {@link PackageHandle.build} takes.
 *
 * In `init`, `versions` and `setup` come first, `tasks` last; interfaces, needs and actions in between are declared at
 * the same time, so none of them may count on what another of them does.
 */
export interface PackageParts {
  readonly versions: Versions;
  /** What runs. Called on every start, and again, with a restart, when something it uses changes. */
  readonly daemons: (effects: Effects) => Promise<Units>;
  /** Before everything else is declared: makes secrets (`kind` is `install`) and writes files that must be there. */
  readonly setup?: (context: { readonly effects: Effects; readonly kind: InitKind }) => Promise<void>;
  /** What can be reached. */
  readonly interfaces?: Step<readonly Binding[]>;
  /** What is needed of others; all in `dependencies` of the package are only possible ones. */
  readonly needs?: Step<readonly DependencyRequirement[]>;
  readonly actions?: readonly Action[];
  /** What a person is asked to do, all of it: what is not in the list any more is taken back. */
  readonly tasks?: Step<readonly Task[]>;
  readonly backup?: Backup;
}

/** What a bundle exports; the host reads each by its name. */
export interface PackageExports {
  readonly manifest: Manifest;
  readonly init: (o: { effects: Effects; kind: InitKind }) => Promise<void>;
  readonly uninit: (o: { effects: Effects; target: UninitTarget | null }) => Promise<void>;
  readonly main: (o: { effects: Effects }) => Promise<{ build(): Promise<RunningService> }>;
  readonly createBackup: (o: { effects: Effects }) => Promise<void>;
  readonly actions: { get(id: string): Action | undefined };
}

/** A package: gives what is named in it, and builds what the host calls. */
export class PackageHandle<Image extends string, Vol extends string, Dep extends string> {
  constructor(readonly info: PackageInfo<Image, Vol, Dep>) {
    checkInfo(this.#any);
  }

  get #any(): AnyPackageInfo {
    return this.info;
  }

  /** One of its volumes. */
  volume(id: Vol): Volume {
    return new Volume(id);
  }

  /** A root over one of its images. Daemons that shall share one are given the same. */
  subcontainer(o: { readonly image: Image; readonly mounts?: readonly Mount[]; readonly name?: string }): SubcontainerSpec {
    return { image: o.image, name: o.name ?? null, mounts: o.mounts ?? [] };
  }

  /** A package that this one may need. */
  dependency(id: Dep): Dependency {
    return new Dependency(id);
  }

  /**
   * What the bundle is to export.
   *
   * @throws {ManifestError} when two things have the same name: at build time, since it is called then.
   * @example
   * ```ts
   * import { daemon, entrypoint, http, portListening, units, versions } from '@coppice/sdk';
   * import { hello } from './package.js';
   *
   * export const { manifest, init, uninit, main, createBackup, actions } = hello.build({
   *   versions: versions({ current: '1.0.0:0', releaseNotes: 'The first version.' }),
   *   interfaces: [http({ host: 'ui', port: 8080, interfaces: [{ id: 'ui', name: 'Page', description: 'The page' }] })],
   *   daemons: async () =>
   *     units({
   *       server: daemon({
   *         in: hello.subcontainer({ image: 'hello' }),
   *         command: entrypoint(),
   *         ready: { name: 'Page', check: portListening(8080) },
   *       }),
   *     }),
   * });
   * ```
   */
  build(parts: PackageParts): PackageExports {
    const actions = new Map((parts.actions ?? []).map(action => [action.id, action]));
    if (actions.size !== (parts.actions ?? []).length) throw new ManifestError(`two actions of \`${this.info.id}\` have the same id`);
    if (Array.isArray(parts.interfaces)) checkBindings(parts.interfaces);
    return {
      manifest: buildManifest(this.#any, parts.versions),
      init: ({ effects, kind }) => this.#init(parts, effects, kind),
      uninit: ({ effects, target }) => parts.versions.leave(effects, target),
      main: async ({ effects }) => {
        const units = await parts.daemons(effects);
        return { build: () => startService(effects, units) };
      },
      createBackup: async ({ effects }) => parts.backup?.create(effects),
      actions: { get: id => actions.get(id) },
    };
  }

  async #init({ versions, setup, interfaces = [], needs = [], actions = [], tasks, backup }: PackageParts, effects: Effects, kind: InitKind): Promise<void> {
    if (kind === 'restore') await backup?.restore(effects);
    await versions.migrate(effects);
    await step(effects, 'setup', async inner => setup?.({ effects: inner, kind }));
    // At once: none of them reads what another declares, and a start waits for the host once instead of seven times.
    await Promise.all([
      step(effects, 'interfaces', async inner => declareBindings(inner, await valueOf(interfaces, inner))),
      step(effects, 'needs', async inner => {
        await inner.setDependencies({ dependencies: await valueOf(needs, inner) });
      }),
      ...actions.map(one =>
        step(effects, `action ${one.id}`, async inner => {
          await inner.action.export({ id: one.id, metadata: await one.metadata(inner) });
        }),
      ),
      effects.action.clear({ except: actions.map(one => one.id) }),
    ]);
    if (tasks === undefined) return;
    await step(effects, 'tasks', async inner => {
      const wanted = await valueOf(tasks, inner);
      const ids = await Promise.all(wanted.map(task => createTask(inner, this.info.id, task)));
      await inner.action.clearTasks({ except: ids });
    });
  }
}

function valueOf<T>(step: Step<T>, effects: Effects): Promise<T> {
  return isFunction(step) ? step(effects) : Promise.resolve(step);
}

function isFunction<T>(step: Step<T>): step is (effects: Effects) => Promise<T> {
  return typeof step === 'function';
}

/**
 * Runs one step in a scope of its own, now, and again when something it uses has changed.
 *
 * One run at a time: a change in the midst of one asks for one more, however many changes there were.
 */
async function step(effects: Effects, name: string, work: (effects: Effects) => Promise<void>): Promise<void> {
  let isRunning = false;
  let isStale = false;
  const run = async (): Promise<void> => {
    isRunning = true;
    try {
      do {
        isStale = false;
        const inner = effects.child(name);
        inner.constRetry = again;
        await work(inner);
      } while (isStale);
    } finally {
      isRunning = false;
    }
  };
  const again = (): void => {
    isStale = true;
    if (isRunning) return;
    run().catch((error: unknown) => {
      // What a scope that was left meanwhile could not do, nobody waits for.
      if (effects.isInContext) console.error(`the step \`${name}\` failed when it ran again:`, error);
    });
  };
  await run();
}

/**
 * Says what a package is. Names of images, volumes and dependencies are types from here on.
 *
 * @throws {ManifestError} that names everything that is wrong: at build time, since it is called then.
 * @example
 * ```ts
 * import { definePackage } from '@coppice/sdk';
 *
 * const hello = definePackage({
 *   id: 'hello',
 *   title: 'Hello',
 *   license: 'MIT',
 *   packageRepo: 'https://example.com/hello',
 *   upstreamRepo: 'https://example.com/hello',
 *   description: { short: 'One greeting', long: 'A page with a greeting of your choice.' },
 *   images: { hello: { arch: ['x86_64', 'aarch64'] } },
 *   volumes: ['main'],
 * });
 * const data = hello.volume('main'); // `hello.volume('mian')` does not compile
 * ```
 */
export function definePackage<const Image extends string, const Vol extends string, const Dep extends string = never>(
  info: PackageInfo<Image, Vol, Dep>,
): PackageHandle<Image, Vol, Dep> {
  return new PackageHandle(info);
}

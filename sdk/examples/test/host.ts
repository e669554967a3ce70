/**
 * What stands in for the host: it writes down every effect a package asks for, and answers as a host with
 * nothing else installed would. Volumes are real files, on a file system of this process's own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import type { T } from '@start9labs/start-sdk';

type Kind = 'install' | 'update' | 'restore' | null;

/** What a package's bundle exports. */
export interface Package {
  readonly manifest: T.Manifest;
  readonly actions: { get(id: string): Action | undefined };
  main(o: { effects: T.Effects }): Promise<{ build(): Promise<Running> }>;
  init(o: { effects: T.Effects; kind: Kind }): Promise<unknown>;
  uninit(o: { effects: T.Effects; target: null }): Promise<unknown>;
}

export interface Action {
  getInput(o: { effects: T.Effects; prefill: null }): Promise<T.ActionInput>;
  run(o: { effects: T.Effects; input: unknown }): Promise<T.ActionResult | null>;
}

export interface Running {
  term(): Promise<void>;
}

export interface Call {
  readonly effect: string;
  readonly params: unknown;
}

const volumes = '/media/startos/volumes';
const images = '/media/startos/images';

/** The bundle of package `id`, as `npm run build` left it. */
export function load(id: string): Package {
  // The one place where a foreign module is believed: the tests are about what it does.
  return createRequire(import.meta.url)(`../../../${id}/javascript/index.js`) as Package;
}

export class Host {
  readonly calls: Call[] = [];
  /** How often `main` has seen something change that it depends on. */
  restarts = 0;
  #dataVersion: string | null = null;
  readonly #leave: (() => void)[] = [];

  /** Starts with empty volumes. The tests run in a mount namespace of their own, see `package.json`. */
  constructor(private readonly pkg: Package) {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/media']);
    for (const id of pkg.manifest.volumes) mkdirSync(`${volumes}/${id}`, { recursive: true });
    mkdirSync(images);
    for (const id of Object.keys(pkg.manifest.images)) {
      copyFileSync(new URL(`../../../${pkg.manifest.id}/images/${id}.json`, import.meta.url), `${images}/${id}.json`);
    }
  }

  async init(kind: Kind): Promise<void> {
    await this.pkg.init({ effects: this.effects('init'), kind });
  }

  /** Has the service run for as long as `work` takes; what is left running would keep the tests from ending. */
  async running(work: () => Promise<void>): Promise<void> {
    const effects = this.effects('main');
    effects.constRetry = () => void (this.restarts += 1);
    const running = await (await this.pkg.main({ effects })).build();
    try {
      await work();
    } finally {
      await running.term();
      this.#leave.splice(0).forEach(fn => fn());
    }
  }

  /** Waits, for five seconds at most. */
  async until(holds: () => boolean): Promise<void> {
    for (const ends = Date.now() + 5_000; !holds(); await later(5)) assert.ok(Date.now() < ends, 'it did not come to pass');
  }

  /** Fills the form of an action as a user would, and submits it. */
  async run(id: string, input: unknown): Promise<T.ActionResult | null> {
    const action = this.pkg.actions.get(id);
    if (!action) throw new Error(`no action ${id}`);
    const effects = this.effects(`run ${id}`);
    await action.getInput({ effects, prefill: null });
    return action.run({ effects, input });
  }

  read(volume: string, path: string): string {
    return readFileSync(`${volumes}/${volume}/${path}`, 'utf8');
  }

  write(volume: string, path: string, text: string): void {
    mkdirSync(dirname(`${volumes}/${volume}/${path}`), { recursive: true });
    writeFileSync(`${volumes}/${volume}/${path}`, text);
  }

  /** The parameters of every call of one effect, oldest first. */
  asked(effect: string): unknown[] {
    return this.calls.filter(c => c.effect === effect).map(c => c.params);
  }

  /** The names of all effects so far, without repetitions in a row. */
  names(): string[] {
    return this.calls.map(c => c.effect).filter((name, i, all) => name !== all[i - 1]);
  }

  effects(eventId: string): T.Effects {
    const record =
      <R>(effect: string, answer: (params: never) => R) =>
      (params: never): Promise<R> => {
        this.calls.push({ effect, params });
        return Promise.resolve(answer(params));
      };
    const nothing = (effect: string) => record(effect, () => null);
    const answered = {
      eventId,
      isInContext: true,
      onLeaveContext: (fn: () => void) => void this.#leave.push(fn),
      child: () => this.effects(eventId),
      getDataVersion: record('get-data-version', () => this.#dataVersion),
      setDataVersion: record('set-data-version', ({ version }: { version: string | null }) => {
        this.#dataVersion = version;
        return null;
      }),
      setInitProgress: () => Promise.resolve(null),
      setDependencies: nothing('set-dependencies'),
      setDaemons: nothing('set-daemons'),
      setHealth: nothing('set-health'),
      bind: nothing('bind'),
      clearBindings: nothing('clear-bindings'),
      exportServiceInterface: nothing('export-service-interface'),
      clearServiceInterfaces: nothing('clear-service-interfaces'),
      action: {
        export: nothing('action.export'),
        clear: nothing('action.clear'),
        createTask: nothing('action.create-task'),
      },
    };
    // An effect that no example uses is absent: a package that starts to use one fails its test by name.
    return answered as unknown as T.Effects;
  }
}

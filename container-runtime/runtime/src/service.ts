/**
 * What the host may ask of the runtime: the package's life cycle, its procedures, its callbacks.
 *
 * Invariant: the same question asked again while it is being answered is the same work, not twice
 * the work; a host that restarted asks again.
 */
import { Callbacks } from './callbacks.js';
import { Context } from './context.js';
import { makeEffects, type Effects, type Means } from './effects.js';
import { loadPackage, type Action, type InitKind, type Package, type RunningMain } from './package.js';
import { MainProcess } from './main-process.js';

/** A life-cycle call came before `init` had succeeded. */
export class NotInitialized extends Error {
  constructor() {
    super('System not initialized');
    this.name = 'NotInitialized';
  }
}

export class Service {
  readonly #packagePath: string;
  readonly #means: Means;
  readonly #callbacks = new Callbacks();
  readonly #root: Context;
  readonly #main = new MainProcess();
  /** What each health check said last; a host that is new must not wait half a minute to know. */
  readonly #health = new Map<string, object>();
  readonly #underWay = new Map<string, Promise<unknown>>();
  #package: Package | null = null;

  /** `call` reaches the host. */
  constructor(packagePath: string, call: Means['call']) {
    this.#packagePath = packagePath;
    const remember: Means['call'] = (method, params) => {
      const id = method === 'set-health' ? member(params, 'id') : undefined;
      if (typeof id === 'string') this.#health.set(id, params);
      return call(method, params);
    };
    this.#means = { call: remember, register: callback => this.#callbacks.add(callback) };
    this.#root = new Context(ids => this.#drop(ids));
  }

  /** Loads the package and runs its `init`; does nothing once that has succeeded. */
  init(id: string, kind: InitKind): Promise<unknown> {
    if (this.#package !== null) return Promise.resolve(null);
    return this.#once('init', async () => {
      const loaded = loadPackage(this.#packagePath);
      await loaded.init({ effects: this.#effects('init', id), kind });
      this.#package = loaded;
      return null;
    });
  }

  /** Resolves when `main` is built. */
  async start(): Promise<null> {
    const loaded = this.#initialized();
    await this.#main.start(async (): Promise<RunningMain> => {
      const effects = makeEffects(this.#means, this.#root.childOrNew('main'), null);
      effects.constRetry = once(() => {
        if (effects.isInContext) void effects.restart();
      });
      const main = await loaded.main({ effects });
      return main.build();
    });
    return null;
  }

  /** Leaves the context of `main`, then waits for its end. */
  async stop(): Promise<null> {
    this.#root.leaveChild('main');
    this.#health.clear();
    await this.#main.stop();
    return null;
  }

  /** Ends `main` and runs `uninit`; the process is to end after the answer. */
  exit(id: string, target: string | null): Promise<unknown> {
    return this.#once('exit', async () => {
      const loaded = this.#package;
      if (loaded === null) return null;
      // The SDK's versions are a quarter of what a runtime has to load, and only an end needs them.
      const { parseTarget } = await import('./target.js');
      const parsed = parseTarget(target);
      await this.stop();
      await loaded.uninit({ effects: makeEffects(this.#means, null, id), target: parsed });
      return null;
    });
  }

  /** Runs one procedure in a context of its own, which lasts until the procedure runs again. */
  execute(id: string, procedure: string, input: unknown): Promise<unknown> {
    return this.#once(`${procedure} ${id}`, async () => {
      const loaded = this.#initialized();
      const effects = (): Effects => this.#effects(procedure, id);
      if (procedure === '/backup/create') return loaded.createBackup({ effects: effects() });
      const [, action, step] = /^\/actions\/(.+)\/(getInput|run)$/.exec(procedure) ?? [];
      if (action === undefined) throw new Error(`there is no procedure ${procedure}`);
      const found: Action | undefined = loaded.actions.get(action);
      if (found === undefined) throw new Error(`the package has no action ${action}`);
      return step === 'run'
        ? found.run({ effects: effects(), input: member(input, 'input') })
        : found.getInput({ effects: effects(), prefill: member(input, 'prefill') ?? null });
    });
  }

  /** Whether all of it could be made anew without anybody noticing. */
  get isIdle(): boolean {
    return this.#main.isHeldByHost && this.#underWay.size === 0 && this.#root.isBare;
  }

  /** The host was away: what it may have forgotten is said again. */
  hostReturned(): void {
    this.#callbacks.deliverAll();
    for (const params of [...this.#health.values()]) {
      this.#means.call('set-health', params).catch((error: unknown) => console.error('health was not reported:', error));
    }
  }

  /** Something watched has changed. */
  deliver(callback: number): void {
    this.#callbacks.deliver(callback);
  }

  #initialized(): Package {
    if (this.#package === null) throw new NotInitialized();
    return this.#package;
  }

  #effects(context: string, eventId: string): Effects {
    return makeEffects(this.#means, this.#root.child(context), eventId);
  }

  #once(key: string, work: () => Promise<unknown>): Promise<unknown> {
    const running = this.#underWay.get(key);
    if (running !== undefined) return running;
    const started = work().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, started);
    return started;
  }

  #drop(ids: readonly number[]): void {
    const only = this.#callbacks.remove(ids);
    if (only.length === 0) return;
    this.#means.call('clear-callbacks', { only }).catch((error: unknown) => {
      // The host may then fire them: they are unknown here, and that is harmless.
      console.error('callbacks were not cleared:', error);
    });
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function once(fn: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    fn();
  };
}

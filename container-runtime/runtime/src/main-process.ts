/**
 * The package's `main`, from `start` to `stop`.
 *
 * ```text
 *          start                built                 stop
 *   idle ─────────▶ starting ──────────▶ running ──────────────▶ stopping ──▶ idle
 *    ▲                 │ failed │ stop (ends as soon as it is built) ▲
 *    └─────────────────┘        └───────────────────────────────────┘
 * ```
 *
 * Invariant: at most one `main` lives; whoever asks again for what is under way waits for the same
 * end. A host that restarted in between does just that.
 */
import type { RunningMain } from './package.js';
import { unreachable } from './unreachable.js';

type State =
  | { readonly name: 'idle' }
  | { readonly name: 'starting'; readonly built: Promise<RunningMain> }
  | { readonly name: 'running'; readonly main: RunningMain }
  | { readonly name: 'stopping'; readonly done: Promise<void> };

/** `start` was overtaken by `stop`. */
export class StoppedWhileStarting extends Error {
  constructor() {
    super('stopped while starting');
    this.name = 'StoppedWhileStarting';
  }
}

export class MainProcess {
  #state: State = { name: 'idle' };

  /** Whether a main lives of which nothing would end with this process. */
  get isHeldByHost(): boolean {
    return this.#state.name === 'running' && this.#state.main.isHeldByHost === true;
  }

  /** Resolves once a main is built: the one that lives, or the one that `build` makes. */
  async start(build: () => Promise<RunningMain>): Promise<void> {
    for (;;) {
      const state = this.#state;
      switch (state.name) {
        case 'running':
          return;
        case 'starting':
          await state.built;
          // The others that wait settle who is next; look again.
          if (this.#state.name === 'stopping') throw new StoppedWhileStarting();
          return;
        case 'stopping':
          // Its failure is told to whoever asked for it.
          await state.done.catch(() => undefined);
          continue;
        case 'idle':
          return this.#begin(build);
        default:
          unreachable(state);
      }
    }
  }

  /** Resolves once no main lives. */
  async stop(): Promise<void> {
    const state = this.#state;
    switch (state.name) {
      case 'idle':
        return;
      case 'stopping':
        return state.done;
      case 'running':
        return this.#end(Promise.resolve(state.main));
      case 'starting':
        return this.#end(state.built);
      default:
        unreachable(state);
    }
  }

  async #begin(build: () => Promise<RunningMain>): Promise<void> {
    const built = build();
    this.#state = { name: 'starting', built };
    try {
      const main = await built;
      if (this.#state.name !== 'starting') throw new StoppedWhileStarting();
      this.#state = { name: 'running', main };
    } catch (error) {
      if (this.#state.name === 'starting') this.#state = { name: 'idle' };
      throw error;
    }
  }

  #end(built: Promise<RunningMain>): Promise<void> {
    const done = (async () => {
      try {
        const main = await built.catch(() => null);
        await main?.term();
      } finally {
        this.#state = { name: 'idle' };
      }
    })();
    this.#state = { name: 'stopping', done };
    return done;
  }
}

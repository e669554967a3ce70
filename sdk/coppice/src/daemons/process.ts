/**
 * One daemon that the package runs itself.
 *
 * ```text
 *          start              it ended                 pause is over
 *  idle ─────────▶ running ───────────▶ pausing ─────────────────────▶ running …
 *                     │ stop                │ stop
 *                     ▼                     ▼
 *                  SIGTERM ─grace─▶ SIGKILL  ended
 * ```
 *
 * Invariant: at most one process of it lives. The first restart is at once; each that follows a short
 * life waits a second longer, up to 30.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Exit, Running } from '../spawner.js';
import type { Subcontainer } from './subcontainer.js';
import type { Daemon } from './unit.js';

const USUAL_GRACE_MS = 60_000;
const PROVEN_MS = 60_000;
const LONGEST_PAUSE_S = 30;

/** A daemon with its process. */
export class DaemonProcess {
  #running: Running | null = null;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | null = null;

  constructor(
    private readonly id: string,
    private readonly daemon: Daemon,
    private readonly box: Subcontainer,
    /** Told of each end that nobody asked for. */
    private readonly onEnd: (how: string) => Promise<void>,
  ) {}

  /** Starts it, and again whenever it ends. Resolves when the first process is there. */
  async start(): Promise<void> {
    this.#running = await this.#spawn();
    this.#loop = this.#keep(this.#running);
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const running = this.#running;
    if (running !== null) {
      running.kill('SIGTERM');
      const timer = setTimeout(() => running.kill('SIGKILL'), this.daemon.graceMs ?? USUAL_GRACE_MS);
      await running.exit.catch(() => undefined);
      clearTimeout(timer);
    }
    await this.#loop;
  }

  #spawn(): Promise<Running> {
    const { command, env, user, cwd } = this.daemon;
    return this.box.spawn(command, {
      ...(env === undefined ? {} : { env }),
      ...(user === undefined ? {} : { user }),
      ...(cwd === undefined ? {} : { cwd }),
    });
  }

  async #keep(first: Running): Promise<void> {
    const { signal } = this.#stopping;
    let running: Running | null = first;
    let pause = 0;
    while (!signal.aborted) {
      const began = Date.now();
      const how = running === null ? 'it could not be started' : await running.exit.then(inWords, String);
      this.#running = null;
      if (signal.aborted) return;
      console.warn(`daemon ${this.id}: ${how}`);
      await this.onEnd(how);
      if (Date.now() - began > PROVEN_MS) pause = 0;
      await delay(pause * 1_000, undefined, { signal }).catch(() => undefined);
      pause = Math.min(pause + 1, LONGEST_PAUSE_S);
      if (signal.aborted) return;
      running = await this.#spawn().catch((error: unknown) => {
        console.error(`daemon ${this.id} could not be started:`, error);
        return null;
      });
      this.#running = running;
      // A stop that came while it was being started has found no process to end.
      if (signal.aborted) running?.kill('SIGKILL');
    }
    await running?.exit.catch(() => undefined);
  }
}

function inWords({ code, signal }: Exit): string {
  return signal === null ? `it ended with ${code}` : `it was ended by ${signal}`;
}

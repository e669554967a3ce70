/**
 * One check, looked at again and again, and told to the host when it changes.
 *
 * While it is not well it is looked at often: 25 ms after the start, then less and less, up to a second.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Effects } from '../effects.js';
import type { CheckContext, CheckResult } from './check.js';
import type { Ready } from './unit.js';

const FIRST_MS = 25;
const SLOWEST_MS = 1_000;
/** Milliseconds for which a failure counts as starting, where nothing is said. */
export const USUAL_GRACE_MS = 10_000;
/** Milliseconds between two looks, where nothing is said. */
export const USUAL_EVERY_MS = 5_000;
/** The host may have forgotten; it is told again after this long. */
const REPEAT_MS = 30_000;

/** A check that is being looked at. */
export class Watch {
  #isWell = false;
  #waiting: (() => void)[] = [];
  #told: { readonly result: CheckResult; readonly at: number } | null = null;
  readonly #ending = new AbortController();
  #loop: Promise<void> | null = null;

  constructor(
    private readonly effects: Effects,
    private readonly id: string,
    private readonly ready: Ready,
  ) {}

  /** Resolves once it was well. */
  well(): Promise<void> {
    return this.#isWell ? Promise.resolve() : new Promise(resolve => this.#waiting.push(resolve));
  }

  /** Tells that it is not yet time to look, and what for. */
  async waitsFor(names: readonly string[]): Promise<void> {
    await this.#tell({ result: 'waiting', message: names.length === 0 ? null : `Waiting for ${names.join(', ')}` });
  }

  /** Looks from now on; `box` is where to look into. */
  begin(box: CheckContext['box']): void {
    this.#loop ??= this.#run(box);
  }

  /** Says at once what is known from elsewhere: a daemon has died. */
  async failed(message: string): Promise<void> {
    this.#isWell = false;
    await this.#tell({ result: 'failure', message });
  }

  /** Ends looking. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#loop;
  }

  async #run(box: CheckContext['box']): Promise<void> {
    const { check, graceMs = USUAL_GRACE_MS, everyMs = USUAL_EVERY_MS } = this.ready;
    const began = Date.now();
    let pause = FIRST_MS;
    while (!this.#ending.signal.aborted) {
      const found = await check({ effects: this.effects, box }).catch((error: unknown): CheckResult => ({
        result: 'failure',
        message: error instanceof Error ? error.message : String(error),
      }));
      if (this.#ending.signal.aborted) return;
      const isEarly = found.result === 'failure' && Date.now() - began < graceMs && !this.#wasWell;
      await this.#tell(isEarly ? { result: 'starting', message: null } : found);
      this.#isWell = found.result === 'success' || found.result === 'disabled';
      if (this.#isWell) {
        this.#wasWell = true;
        for (const resolve of this.#waiting.splice(0)) resolve();
      }
      pause = this.#isWell ? FIRST_MS : Math.min(pause * 1.5, SLOWEST_MS);
      await delay(this.#isWell ? everyMs : pause, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
  }

  #wasWell = false;

  async #tell(result: CheckResult): Promise<void> {
    const { name } = this.ready;
    if (name === null) return;
    const same = this.#told !== null && this.#told.result.result === result.result && this.#told.result.message === result.message;
    if (same && this.#told !== null && Date.now() - this.#told.at < REPEAT_MS) return;
    this.#told = { result, at: Date.now() };
    await this.effects
      .setHealth({ id: this.id, name, ...result })
      .catch((error: unknown) => console.warn(`the state of \`${name}\` was not told:`, error));
  }
}

/**
 * Ends this process when it has nothing to do, with leave of the host.
 *
 * ```text
 *   awake ──quiet for long enough, and idle──▶ asking ──leave──▶ ended
 *     ▲                                          │ not now
 *     └──────────────────────────────────────────┘
 * ```
 *
 * Idle is who would not be missed: all that the package runs is kept by the host, nobody is being
 * answered, and nothing but the connection to the host keeps this process alive. A host that has given
 * leave asks nothing any more: it wakes the service first, which begins with `init`.
 */
export interface Means {
  /** Whether nothing would be lost with this process. */
  readonly isIdle: () => boolean;
  /** Asks for leave to end. */
  readonly ask: () => Promise<unknown>;
  readonly end: () => void;
}

/** When a process falls asleep; never where the host says no time. */
export class Sleep {
  #quietSince = performance.now();
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly afterMs: number | null,
    private readonly means: Means,
  ) {}

  /** Something happened. */
  stir(): void {
    this.#quietSince = performance.now();
    if (this.#timer === null) this.#lookIn(this.afterMs);
  }

  #lookIn(ms: number | null): void {
    // It must not keep awake what it looks at.
    if (ms !== null) this.#timer = setTimeout(() => void this.#look(), ms).unref();
  }

  async #look(): Promise<void> {
    const { afterMs } = this;
    if (afterMs === null) return;
    const left = afterMs - (performance.now() - this.#quietSince);
    if (left > 0) return this.#lookIn(left);
    if (this.means.isIdle()) {
      try {
        if ((await this.means.ask()) === true) return this.means.end();
      } catch (error) {
        // A host that knows nothing of sleep.
        console.error('staying awake:', error);
        return;
      }
    }
    this.#lookIn(afterMs);
  }
}

/** How many pipes keep this process alive. */
export function livingPipes(): number {
  return process.getActiveResourcesInfo().filter(isPipe).length;
}

/** Whether anything but so many pipes keeps it alive: a watch, a timer, a child, another connection. */
export function hasWork(pipes: number): boolean {
  const active = process.getActiveResourcesInfo();
  return active.length > pipes || !active.every(isPipe);
}

const isPipe = (resource: string): boolean => resource === 'PipeWrap';

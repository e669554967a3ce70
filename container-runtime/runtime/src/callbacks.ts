/**
 * Numbers for the functions packages leave with the host.
 *
 * Invariant: numbers start at 1, grow, and are never used twice in one process, so that a late
 * delivery can only be unknown, never somebody else's. Each is delivered at most once.
 */
export class Callbacks {
  readonly #functions = new Map<number, () => unknown>();
  #last = 0;

  add(callback: () => unknown): number {
    this.#last += 1;
    this.#functions.set(this.#last, callback);
    return this.#last;
  }

  /** Forgets these; returns those that had not been delivered. */
  remove(ids: Iterable<number>): number[] {
    return [...ids].filter(id => this.#functions.delete(id));
  }

  /**
   * Delivers every one: a host that was away, or is a new one, has forgotten who waits for what. One
   * call too many is harmless, since packages read again and compare; a lost one would freeze them.
   */
  deliverAll(): void {
    for (const id of [...this.#functions.keys()]) this.deliver(id);
  }

  /** Runs and forgets one; a number that is not known is nobody's any more. */
  deliver(id: number): void {
    const callback = this.#functions.get(id);
    if (callback === undefined) return;
    this.#functions.delete(id);
    try {
      callback();
    } catch (error) {
      console.error('a callback of the package failed:', error);
    }
  }
}

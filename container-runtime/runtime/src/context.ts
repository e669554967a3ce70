/**
 * Named scopes of clean-up functions and callbacks.
 *
 * Invariant: leaving goes inside out (children first, youngest generation first), each function runs
 * once, synchronously, and one that throws stops none of the others. A context that was left stays
 * left.
 */
export class Context {
  readonly #children = new Map<string, Context>();
  readonly #onDrop: (callbacks: readonly number[]) => void;
  #leave: (() => unknown)[] = [];
  #callbacks: number[] = [];
  #isAlive = true;
  #hasCleanUps = false;

  /** `onDrop` is told the callbacks of every context that is left, this one's or below. */
  constructor(onDrop: (callbacks: readonly number[]) => void) {
    this.#onDrop = onDrop;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Whether the package has nothing to clean up, here or below. */
  get isBare(): boolean {
    return !this.#hasCleanUps && [...this.#children.values()].every(child => child.isBare);
  }

  /** A new child; one of the same name is left first. */
  child(name: string): Context {
    this.#children.get(name)?.leave();
    const child = new Context(this.#onDrop);
    if (this.#isAlive) this.#children.set(name, child);
    else child.leave();
    return child;
  }

  /** The living child of that name, or a new one. */
  childOrNew(name: string): Context {
    const child = this.#children.get(name);
    return child?.isAlive === true ? child : this.child(name);
  }

  /** Leaves the child of that name, if there is one. */
  leaveChild(name: string): void {
    this.#children.get(name)?.leave();
    this.#children.delete(name);
  }

  /** Queues `fn` of the package's for the end; false when there is no end left to wait for. */
  onLeave(fn: () => unknown): boolean {
    if (!this.#isAlive) return false;
    this.#hasCleanUps = true;
    this.#leave.push(fn);
    return true;
  }

  /** Queues `fn` of the runtime's own, which is of this process alone. */
  onEnd(fn: () => void): void {
    if (this.#isAlive) this.#leave.push(fn);
  }

  /** Callbacks that end with this context. */
  own(callback: number): void {
    this.#callbacks.push(callback);
  }

  leave(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    for (const child of this.#children.values()) child.leave();
    this.#children.clear();
    const queued = this.#leave;
    this.#leave = [];
    for (const fn of queued) {
      try {
        fn();
      } catch (error) {
        console.error('cleaning up a context failed:', error);
      }
    }
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    if (callbacks.length > 0) this.#onDrop(callbacks);
  }
}

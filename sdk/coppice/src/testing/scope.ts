/** The scopes of effects, as a host's runtime keeps them: children are left before their parents. */

/** One scope. */
export class Scope {
  readonly #children = new Map<string, Scope>();
  #leave: (() => void)[] = [];
  #isAlive = true;

  get isAlive(): boolean {
    return this.#isAlive;
  }

  child(name: string): Scope {
    this.#children.get(name)?.leave();
    const child = new Scope();
    this.#children.set(name, child);
    return child;
  }

  onLeave(fn: () => void): void {
    this.#leave.push(fn);
  }

  leave(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    for (const child of this.#children.values()) child.leave();
    for (const fn of this.#leave.splice(0)) fn();
  }
}

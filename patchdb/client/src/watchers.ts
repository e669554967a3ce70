import type { Json } from './json.js';
import { segmentsOf, valueAt, type Pointer } from './pointer.js';

export type Watcher = (value: Json | undefined) => void;

interface Watch {
  readonly at: Pointer;
  readonly call: Watcher;
  last: Json | undefined;
}

/**
 * Who wants to know about which place. Each watcher is called when the value at its place is
 * another than at its last call, which identity tells: unchanged parts of the tree are shared.
 */
export class Watchers {
  readonly #watches = new Set<Watch>();

  /** @throws {TypeError} when `at` is not a pointer. */
  add(at: Pointer, tree: Json | undefined, call: Watcher): () => void {
    if (segmentsOf(at) === undefined) throw new TypeError(`"${at}" is not a JSON Pointer`);
    const watch: Watch = { at, call, last: tree === undefined ? undefined : valueAt(tree, at) };
    this.#watches.add(watch);
    return () => void this.#watches.delete(watch);
  }

  /** Calls everyone whose value changed. One that throws does not keep the others from it. */
  notify(tree: Json): void {
    const errors: unknown[] = [];
    for (const watch of [...this.#watches]) {
      const value = valueAt(tree, watch.at);
      // Another watcher may have removed this one a moment ago.
      if (Object.is(value, watch.last) || !this.#watches.has(watch)) continue;
      watch.last = value;
      try {
        watch.call(value);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'a watcher threw');
  }
}

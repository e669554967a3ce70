import type { Json } from './json.js';
import type { Pointer } from './pointer.js';
import type { Watcher } from './watchers.js';

/** Takes values; a function is one that only has `next`. */
export type PlaceObserver = Watcher | { readonly next?: Watcher };

/** Ends what it was given for. */
export interface PlaceSubscription {
  unsubscribe(): void;
}

interface Source {
  get(at: Pointer): Json | undefined;
  watch(at: Pointer, call: Watcher): () => void;
}

/** The name by which observables know each other; libraries that define it on `Symbol` agree on that. */
const defined: unknown = Reflect.get(Symbol, 'observable');
const observable = typeof defined === 'symbol' ? defined : '@@observable';

/**
 * One place of the document, to be read as a signal is and subscribed to as an observable is. It never
 * completes and never errs: what the connection does is told by the status.
 */
export class Place {
  readonly #source: Source;

  constructor(
    source: Source,
    /** Where it is. */
    readonly at: Pointer,
  ) {
    this.#source = source;
    Object.defineProperty(this, observable, { value: () => this });
  }

  /** The value now; `undefined` when nothing is there or nothing has arrived yet. */
  get value(): Json | undefined {
    return this.#source.get(this.at);
  }

  /**
   * Gives the value that is there, at once, and then every other one.
   *
   * @throws {TypeError} when the place is not a pointer.
   */
  subscribe(observer: PlaceObserver): PlaceSubscription {
    const next: Watcher = typeof observer === 'function' ? observer : (value) => observer.next?.(value);
    const end = this.#source.watch(this.at, next);
    next(this.value);
    return { unsubscribe: end };
  }
}

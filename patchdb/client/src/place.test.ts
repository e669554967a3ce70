import { describe, expect, it } from 'vitest';
import type { Json } from './json.js';
import { Place } from './place.js';
import { valueAt } from './pointer.js';
import { Watchers } from './watchers.js';

/** A document that changes when told to. */
class Source {
  readonly #watchers = new Watchers();
  #tree: Json = { a: { b: 1 } };

  get(at: string): Json | undefined {
    return valueAt(this.#tree, at);
  }

  watch(at: string, call: (value: Json | undefined) => void): () => void {
    return this.#watchers.add(at, this.#tree, call);
  }

  set(tree: Json): void {
    this.#tree = tree;
    this.#watchers.notify(tree);
  }
}

describe('a place', () => {
  it('is read as it is now', () => {
    const source = new Source();
    const place = new Place(source, '/a/b');
    expect(place.value).toBe(1);
    source.set({ a: {} });
    expect(place.value).toBeUndefined();
  });

  it('gives the present value and then each other one, until that is ended', () => {
    const source = new Source();
    const seen: (Json | undefined)[] = [];
    const subscription = new Place(source, '/a/b').subscribe((value) => seen.push(value));
    source.set({ a: { b: 2 } });
    source.set({ a: { b: 2 }, c: 1 });
    subscription.unsubscribe();
    source.set({ a: { b: 3 } });
    expect(seen).toEqual([1, 2]);
  });

  it('takes observers, whatever they are interested in', () => {
    const source = new Source();
    const place = new Place(source, '/a/b');
    const seen: (Json | undefined)[] = [];
    place.subscribe({ next: (value) => seen.push(value) });
    place.subscribe({});
    source.set({});
    expect(seen).toEqual([1, undefined]);
  });

  it('is known to other observables by the name they agree on', () => {
    const place = new Place(new Source(), '/a');
    const known: unknown = Reflect.get(place, '@@observable');
    expect(typeof known === 'function' && known()).toBe(place);
  });

  it('that is no pointer cannot be subscribed to', () => {
    expect(() => new Place(new Source(), 'a').subscribe(() => undefined)).toThrow(TypeError);
  });
});

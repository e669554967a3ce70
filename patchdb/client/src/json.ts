/** A JSON value that nobody changes in place: every change makes new objects on the way to it. */
export type Json = null | boolean | number | string | JsonArray | JsonObject;
export type JsonArray = readonly Json[];
export interface JsonObject {
  readonly [member: string]: Json;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isJsonArray(value: Json): value is JsonArray {
  return Array.isArray(value);
}

export function isJsonObject(value: Json): value is JsonObject {
  return isObject(value);
}

/**
 * `next` with every part that equals `previous` taken from there, so that what did not change is
 * also identical (`===`) and nobody who watches it is called.
 */
export function reconcile(previous: Json, next: Json): Json {
  if (Object.is(previous, next)) return previous;
  if (isJsonArray(previous) && isJsonArray(next)) {
    const merged = next.map((item, index) => {
      const old = previous[index];
      return old === undefined ? item : reconcile(old, item);
    });
    const same = merged.length === previous.length && merged.every((item, i) => item === previous[i]);
    return same ? previous : merged;
  }
  if (isJsonObject(previous) && isJsonObject(next)) {
    let same = Object.keys(previous).length === Object.keys(next).length;
    const members = Object.entries(next).map(([name, value]): [string, Json] => {
      const old = Object.hasOwn(previous, name) ? previous[name] : undefined;
      const merged = old === undefined ? value : reconcile(old, value);
      same &&= merged === old;
      return [name, merged];
    });
    return same ? previous : Object.fromEntries(members);
  }
  return next;
}

import { isJsonArray, isJsonObject, type Json } from './json.js';

/** A JSON Pointer (RFC 6901): `''` is the root, `/a~1b/0` the first element of the member `a/b`. */
export type Pointer = string;

/** The unescaped segments, outermost first; `undefined` when the text is not a pointer. */
export function segmentsOf(pointer: Pointer): string[] | undefined {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Builds a pointer from unescaped segments. */
export function pointer(...segments: readonly (string | number)[]): Pointer {
  return segments
    .map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

/** An array index as RFC 6901 writes it: decimal, no sign, no leading zero. */
export function arrayIndex(segment: string): number | undefined {
  return /^(0|[1-9]\d{0,14})$/.test(segment) ? Number(segment) : undefined;
}

/** The value at the pointer; `undefined` when nothing is there. */
export function valueAt(tree: Json, at: Pointer): Json | undefined {
  let value: Json | undefined = tree;
  for (const segment of segmentsOf(at) ?? [undefined]) {
    if (segment === undefined || value === undefined) return undefined;
    value = child(value, segment);
  }
  return value;
}

function child(value: Json, segment: string): Json | undefined {
  if (isJsonArray(value)) {
    const index = arrayIndex(segment);
    return index === undefined ? undefined : value[index];
  }
  return isJsonObject(value) && Object.hasOwn(value, segment) ? value[segment] : undefined;
}

/**
 * A form's value: how it begins, and how one field of it is replaced.
 *
 * Invariant: a value made here has a place for every field of its spec, so a field component never
 * meets `undefined`. Values are never changed in place.
 * Randomness is handed in (`pick`), so the same input gives the same form in a test.
 */
import type { FieldSpec, InputSpec, ListSpec, RandomString, UnionSpec } from './spec';
import { unreachable } from '../words/unreachable';

export type FormValue = Record<string, unknown>;

/** A whole number from 0 up to, not including, `below`. */
export type Pick = (below: number) => number;

/** Cryptographic, without the bias a plain remainder would have. */
export const securePick: Pick = below => {
  const limit = Math.floor(0x1_0000_0000 / below) * below;
  const cell = new Uint32Array(1);
  for (;;) {
    crypto.getRandomValues(cell);
    const value = cell[0] ?? 0;
    if (value < limit) return value % below;
  }
};

/** `charset` is a comma-separated list of characters and ranges: `a-z,A-Z,0-9,_`. */
export function randomString({ charset, len }: RandomString, pick: Pick): string {
  const alphabet = charset.split(',').flatMap(part => {
    const chars = [...part];
    const [from, dash, to] = chars;
    if (chars.length !== 3 || dash !== '-' || from === undefined || to === undefined) return chars;
    const first = from.codePointAt(0) ?? 0;
    const last = to.codePointAt(0) ?? first;
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => String.fromCodePoint(first + i));
  });
  if (alphabet.length === 0) return '';
  return Array.from({ length: len }, () => alphabet[pick(alphabet.length)]).join('');
}

export function isObject(value: unknown): value is FormValue {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value a form opens with: what the service has, else each field's default. */
export function initialValue(spec: InputSpec, given: unknown, pick: Pick): FormValue {
  const known = isObject(given) ? given : {};
  return Object.fromEntries(Object.entries(spec).map(([key, field]) => [key, initialField(field, known[key], pick)]));
}

function initialField(field: FieldSpec, given: unknown, pick: Pick): unknown {
  switch (field.type) {
    case 'text':
      if (typeof given === 'string') return given;
      return field.default !== null && typeof field.default === 'object'
        ? randomString(field.default, pick)
        : field.default;
    case 'textarea':
    case 'color':
    case 'datetime':
    case 'select':
      return typeof given === 'string' ? given : field.default;
    case 'number':
      return typeof given === 'number' ? given : field.default;
    case 'toggle':
      return typeof given === 'boolean' ? given : (field.default ?? false);
    case 'triState':
      return typeof given === 'boolean' || given === null ? given : field.default;
    case 'multiselect':
      return Array.isArray(given) ? given : field.default;
    case 'list':
      return initialList(field, given, pick);
    case 'object':
      return initialValue(field.spec, given, pick);
    case 'union':
      return initialUnion(field, given, pick);
    case 'hidden':
      return given ?? null;
    default:
      return unreachable(field);
  }
}

function initialList(field: ListSpec, given: unknown, pick: Pick): unknown[] {
  const items = Array.isArray(given) ? given : field.default;
  const filled = items.map(item => initialItem(field, item, pick));
  while (filled.length < (field.minLength ?? 0)) filled.push(initialItem(field, undefined, pick));
  return filled;
}

/** A new entry of a list. */
export function initialItem(field: ListSpec, given: unknown, pick: Pick): unknown {
  const item = field.spec;
  if (item.type === 'object') return initialValue(item.spec, given, pick);
  if (typeof given === 'string') return given;
  return isRandomString(given) ? randomString(given, pick) : '';
}

function isRandomString(value: unknown): value is RandomString {
  return isObject(value) && typeof value['charset'] === 'string' && typeof value['len'] === 'number';
}

function initialUnion(field: UnionSpec, given: unknown, pick: Pick): FormValue {
  const known = isObject(given) ? given : {};
  const wanted = typeof known['selection'] === 'string' ? known['selection'] : field.default;
  const variant = wanted === null ? undefined : field.variants[wanted];
  if (wanted === null || !variant) return { selection: null, value: {} };
  return { selection: wanted, value: initialValue(variant.spec, known['value'], pick) };
}

/** `over` laid onto `base`: objects are merged, everything else is replaced. */
export function merged(base: unknown, over: unknown): unknown {
  if (!isObject(base) || !isObject(over)) return over === undefined ? base : over;
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries([...keys].map(key => [key, merged(base[key], over[key])]));
}

/** What is sent: blank text is null, since packages ask for `string | null`. */
export function submitted(spec: InputSpec, value: FormValue): FormValue {
  return Object.fromEntries(Object.entries(spec).map(([key, field]) => [key, submittedField(field, value[key])]));
}

function submittedField(field: FieldSpec, value: unknown): unknown {
  switch (field.type) {
    case 'text':
    case 'textarea':
    case 'color':
    case 'datetime':
      return value === '' || value === undefined ? null : value;
    case 'object':
      return submitted(field.spec, isObject(value) ? value : {});
    case 'union': {
      if (!isObject(value) || typeof value['selection'] !== 'string') return value;
      const variant = field.variants[value['selection']];
      const inner = isObject(value['value']) ? value['value'] : {};
      return { selection: value['selection'], value: variant ? submitted(variant.spec, inner) : inner };
    }
    case 'list': {
      const { spec } = field;
      if (spec.type !== 'object' || !Array.isArray(value)) return value;
      return value.map((item: unknown) => submitted(spec.spec, isObject(item) ? item : {}));
    }
    default:
      return value;
  }
}

/** Places in a form's value: keys from the root joined by `/`, as `accounts/0/email`. */
import { isObject, type FormValue } from './value';

export function join(path: string, key: string | number): string {
  const segment = String(key).replaceAll('~', '~0').replaceAll('/', '~1');
  return path === '' ? segment : `${path}/${segment}`;
}

function keys(path: string): readonly string[] {
  return path === '' ? [] : path.split('/').map(s => s.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What stands at `path`; undefined when nothing does. */
export function valueAt(value: unknown, path: string): unknown {
  return keys(path).reduce<unknown>(
    (at, key) => (Array.isArray(at) ? at[Number(key)] : isObject(at) ? at[key] : undefined),
    value,
  );
}

/** The form with one place changed; everything beside the way there stays the same object. */
export function changedAt(value: FormValue, path: string, change: (old: unknown) => unknown): FormValue {
  const next = changed(value, keys(path), change);
  return isObject(next) ? next : value;
}

function changed(value: unknown, [key, ...rest]: readonly string[], change: (old: unknown) => unknown): unknown {
  if (key === undefined) return change(value);
  if (Array.isArray(value)) {
    return value.map((old: unknown, i) => (i === Number(key) ? changed(old, rest, change) : old));
  }
  const object = isObject(value) ? value : {};
  return { ...object, [key]: changed(object[key], rest, change) };
}

import assert from 'node:assert/strict';

/** Fails unless `actual` has everything that `expected` names; what else `actual` has is not looked at. */
export function holds(actual: unknown, expected: unknown): void {
  assert.deepEqual(part(actual, expected), expected);
}

/** `actual` without the keys that `shape` does not have. */
function part(actual: unknown, shape: unknown): unknown {
  if (Array.isArray(actual) && Array.isArray(shape)) return actual.map((item, i) => part(item, shape[i]));
  if (!isObject(actual) || !isObject(shape)) return actual;
  const kept = Object.keys(shape).filter(key => key in actual);
  return Object.fromEntries(kept.map(key => [key, part(actual[key], shape[key])]));
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

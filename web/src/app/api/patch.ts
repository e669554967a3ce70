/** RFC 6902 as patch-db uses it: add, remove and replace, applied without changing the old document. */
export type Operation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** @throws {Error} when an operation does not fit the document. */
export function applyPatch(document: unknown, patch: readonly Operation[]): unknown {
  return patch.reduce((value, op) => applyAt(value, segments(op.path), op), document);
}

function segments(path: string): readonly string[] {
  if (path === '') return [];
  return path.split('/').slice(1).map(s => s.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function applyAt(value: unknown, [key, ...rest]: readonly string[], op: Operation): unknown {
  if (key === undefined) return op.op === 'remove' ? null : op.value;
  if (Array.isArray(value)) return inArray(value, key, rest, op);
  if (typeof value !== 'object' || value === null) throw new Error(`nothing at ${op.path}`);
  const copy: Record<string, unknown> = { ...value };
  if (rest.length > 0) {
    if (!(key in copy)) throw new Error(`nothing at ${op.path}`);
    copy[key] = applyAt(copy[key], rest, op);
  } else if (op.op === 'remove') {
    delete copy[key];
  } else {
    copy[key] = op.value;
  }
  return copy;
}

function inArray(value: readonly unknown[], key: string, rest: readonly string[], op: Operation): unknown[] {
  const copy = [...value];
  const index = key === '-' ? copy.length : Number(key);
  if (!Number.isInteger(index) || index < 0 || index > copy.length) throw new Error(`no index ${key} at ${op.path}`);
  if (rest.length > 0) copy[index] = applyAt(copy[index], rest, op);
  else if (op.op === 'add' || index === copy.length) copy.splice(index, 0, op.op === 'remove' ? null : op.value);
  else if (op.op === 'remove') copy.splice(index, 1);
  else copy[index] = op.value;
  return copy;
}

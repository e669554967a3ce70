import { isJsonArray, isJsonObject, type Json } from './json.js';
import { arrayIndex, segmentsOf, type Pointer } from './pointer.js';

/** One RFC 6902 operation of the three that are used. */
export type Op =
  | { readonly op: 'add'; readonly path: Pointer; readonly value: Json }
  | { readonly op: 'replace'; readonly path: Pointer; readonly value: Json }
  | { readonly op: 'remove'; readonly path: Pointer };

/** An operation does not fit the value: the local copy is not what the server thinks it is. */
export class PatchError extends Error {
  override readonly name = 'PatchError';

  constructor(readonly op: Op) {
    super(`cannot ${op.op} at "${op.path}": nothing there to do it to`);
  }
}

/**
 * Applies the operations in order. Nothing is changed in place, and what is not on the way to a
 * changed place is shared with `tree`. `replace` of something missing adds it.
 *
 * @throws {PatchError} when an operation does not fit.
 */
export function applyPatch(tree: Json, patch: readonly Op[]): Json {
  return patch.reduce(applyOp, tree);
}

function applyOp(tree: Json, op: Op): Json {
  const segments = segmentsOf(op.path);
  if (segments === undefined) throw new PatchError(op);
  return changed(tree, segments, 0, op);
}

function changed(node: Json, segments: readonly string[], depth: number, op: Op): Json {
  const segment = segments[depth];
  if (segment === undefined) return op.op === 'remove' ? null : op.value;
  const isLast = depth === segments.length - 1;
  if (isJsonArray(node)) {
    return isLast ? changedElement(node, segment, op) : withElement(node, segment, segments, depth, op);
  }
  if (!isJsonObject(node)) throw new PatchError(op);
  const old = Object.hasOwn(node, segment) ? node[segment] : undefined;
  if (isLast && op.op !== 'remove') return { ...node, [segment]: op.value };
  if (old === undefined) throw new PatchError(op);
  if (isLast) {
    const { [segment]: _gone, ...rest } = node;
    return rest;
  }
  // A computed name: assigning to `__proto__` would not make a member.
  return { ...node, [segment]: changed(old, segments, depth + 1, op) };
}

function withElement(
  items: readonly Json[],
  segment: string,
  segments: readonly string[],
  depth: number,
  op: Op,
): Json {
  const index = arrayIndex(segment);
  const old = index === undefined ? undefined : items[index];
  if (index === undefined || old === undefined) throw new PatchError(op);
  return items.with(index, changed(old, segments, depth + 1, op));
}

function changedElement(items: readonly Json[], segment: string, op: Op): Json {
  const index = segment === '-' ? items.length : arrayIndex(segment);
  if (index === undefined || index > items.length) throw new PatchError(op);
  if (op.op === 'remove') {
    if (index === items.length) throw new PatchError(op);
    return items.toSpliced(index, 1);
  }
  const replaced = op.op === 'replace' && index < items.length ? 1 : 0;
  return items.toSpliced(index, replaced, op.value);
}

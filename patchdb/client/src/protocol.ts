import { isObject, type Json } from './json.js';
import type { Op } from './patch.js';
import { segmentsOf } from './pointer.js';

/**
 * Where a client stands: handed back to the server when it returns. `epoch` names the process and
 * lineage, `durable` counts what is on the disk, `volatile` what is only in that process.
 */
export interface Position {
  readonly epoch: number;
  readonly durable: number;
  readonly volatile: number;
}

/** The whole value. `undo` leads from it to the part of it that is on the server's disk. */
export interface Dump {
  readonly id: number;
  readonly value: Json;
  readonly position?: Position;
  readonly undo?: readonly Op[];
}

/** What was missed: `base` is for the durable value, `overlay` leads from there to the visible one. */
export interface Resume {
  readonly id: number;
  readonly position: Position;
  readonly base: readonly Op[];
  readonly overlay: readonly Op[];
}

/**
 * One frame of the stream. A server that only speaks the StartOS protocol sends `id` and `patch`
 * and nothing else; then gaps cannot be seen and there is no resume.
 */
export interface Revision {
  readonly id: number;
  readonly patch: readonly Op[];
  /** The frame before this one in the same stream. */
  readonly prev?: number;
  /** Present when the revision is on the server's disk. */
  readonly durable?: number;
  /** Present when the revision lives in the server's memory only. */
  readonly volatile?: number;
  /** What a durable revision did below the volatile values, when that differs from `patch`. */
  readonly base?: readonly Op[];
}

/** The server sent something that is not of the protocol. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';

  constructor(what: string, options?: ErrorOptions) {
    super(`the server sent something that is not ${what}`, options);
  }
}

/** @throws {ProtocolError} when the text is not a revision. */
export function parseRevision(text: unknown): Revision {
  if (typeof text !== 'string') throw new ProtocolError('a text frame');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError('JSON', { cause });
  }
  if (!isObject(value)) throw new ProtocolError('a revision');
  return {
    id: count(value['id'], 'a revision'),
    patch: parseOps(value['patch']),
    ...optional('prev', value['prev'], (n) => count(n, 'a revision')),
    ...optional('durable', value['durable'], (n) => count(n, 'a revision')),
    ...optional('volatile', value['volatile'], (n) => count(n, 'a revision')),
    ...optional('base', value['base'], parseOps),
  };
}

/** @throws {ProtocolError} when the value is not a dump. */
export function parseDump(value: unknown): Dump {
  if (!isObject(value) || value['value'] === undefined) throw new ProtocolError('a dump');
  return {
    id: count(value['id'], 'a dump'),
    value: json(value['value']),
    ...optional('position', value['position'], parsePosition),
    ...optional('undo', value['undo'], parseOps),
  };
}

/** @throws {ProtocolError} when the value is not a resume. */
export function parseResume(value: unknown): Resume {
  if (!isObject(value)) throw new ProtocolError('a resume');
  return {
    id: count(value['id'], 'a resume'),
    position: parsePosition(value['position']),
    base: parseOps(value['base']),
    overlay: parseOps(value['overlay']),
  };
}

function parsePosition(value: unknown): Position {
  if (!isObject(value)) throw new ProtocolError('a position');
  return {
    epoch: count(value['epoch'], 'a position'),
    durable: count(value['durable'], 'a position'),
    volatile: count(value['volatile'], 'a position'),
  };
}

function parseOps(value: unknown): Op[] {
  if (!Array.isArray(value)) throw new ProtocolError('a patch');
  return value.map(parseOp);
}

function parseOp(value: unknown): Op {
  if (!isObject(value)) throw new ProtocolError('an operation');
  const { op, path, value: carried } = value;
  if (typeof path !== 'string' || segmentsOf(path) === undefined) {
    throw new ProtocolError('an operation with a path');
  }
  switch (op) {
    case 'remove':
      return { op, path };
    case 'add':
    case 'replace':
      if (carried === undefined) throw new ProtocolError('an operation with a value');
      return { op, path, value: json(carried) };
    default:
      throw new ProtocolError('add, remove or replace');
  }
}

function count(value: unknown, of: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new ProtocolError(`${of} with its numbers`);
  }
  return value;
}

/** What came out of `JSON.parse` (or is `undefined`, which callers have excluded) is JSON. */
function json(value: unknown): Json {
  return value as Json;
}

function optional<Name extends string, T>(
  name: Name,
  value: unknown,
  parse: (value: unknown) => T,
): Partial<Record<Name, T>> {
  // Only a name that is really there: `exactOptionalPropertyTypes`.
  return value === undefined || value === null ? {} : ({ [name]: parse(value) } as Record<Name, T>);
}

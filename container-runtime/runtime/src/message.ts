/**
 * The JSON-RPC 2.0 envelope: one object per line, as in the `coppice-wire` crate.
 *
 * What comes in is `unknown` until it has one of three shapes.
 */
export type Id = number | string;

export interface RpcErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export type Message =
  | { readonly kind: 'request'; readonly id: Id; readonly method: string; readonly params: unknown }
  | { readonly kind: 'notification'; readonly method: string; readonly params: unknown }
  | { readonly kind: 'response'; readonly id: Id; readonly outcome: Outcome };

export type Outcome = { readonly result: unknown } | { readonly error: RpcErrorObject };

/** A line that is not a message. */
export class ProtocolError extends Error {
  constructor(what: string, cause?: unknown) {
    super(`the host sent ${what}`, { cause });
    this.name = 'ProtocolError';
  }
}

/** @throws {ProtocolError} when the line is not a JSON-RPC 2.0 message. */
export function parseMessage(line: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new ProtocolError('a line that is not JSON', cause);
  }
  if (!isObject(value) || value['jsonrpc'] !== '2.0') throw new ProtocolError('a line that is not a message');
  const { id, method, params } = value;
  if (typeof method === 'string') {
    if (id === undefined) return { kind: 'notification', method, params };
    if (isId(id)) return { kind: 'request', id, method, params };
  } else if (isId(id)) {
    const error = value['error'];
    if (isErrorObject(error)) return { kind: 'response', id, outcome: { error } };
    if ('result' in value) return { kind: 'response', id, outcome: { result: value['result'] } };
  }
  throw new ProtocolError('a message of no known shape');
}

export function request(id: Id, method: string, params: unknown): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`;
}

export function response(id: Id, outcome: Outcome): string {
  // A missing result would be no answer at all: `undefined` is said as null.
  const body = 'error' in outcome ? outcome : { result: outcome.result ?? null };
  return `${JSON.stringify({ jsonrpc: '2.0', id, ...body })}\n`;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is Id {
  return typeof value === 'number' || typeof value === 'string';
}

function isErrorObject(value: unknown): value is RpcErrorObject {
  return isObject(value) && typeof value['code'] === 'number' && typeof value['message'] === 'string';
}

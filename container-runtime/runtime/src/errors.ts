/** Errors on their way across the socket, in both directions. */
import { isObject, type RpcErrorObject } from './message.js';

/** "Unknown" in the package ABI's list of codes. */
const UNKNOWN = 1;

/** The error a package sees when the host refuses an effect. */
export class EffectError extends Error {
  readonly code: number;

  constructor(method: string, error: RpcErrorObject) {
    super(`${describe(error)}@${method}`);
    this.name = 'Error';
    this.code = error.code;
  }
}

function describe({ message, data }: RpcErrorObject): string {
  if (typeof data === 'string') return `${message}: ${data}`;
  if (!isObject(data)) return message;
  const { details, debug } = data;
  const detailed = typeof details === 'string' ? `${message}: ${details}` : message;
  return typeof debug === 'string' ? `${detailed}\n${debug}` : detailed;
}

/** What `init`, `start`, `stop` and `exit` answer when the package throws. */
export function lifeCycleError(thrown: unknown): RpcErrorObject {
  const details = thrown instanceof Error ? thrown.message : textOf(thrown);
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return { code: UNKNOWN, message: details, data: stack === undefined ? { details } : { details, debug: stack } };
}

/** What `execute` answers when the package throws: its own `{error, code}` as it is, else text. */
export function procedureError(thrown: unknown): RpcErrorObject {
  if (isObject(thrown) && typeof thrown['error'] === 'string') {
    const code = thrown['code'];
    return { code: typeof code === 'number' ? code : 0, message: thrown['error'] };
  }
  return { code: 0, message: String(thrown) };
}

/** Any thrown value as text: packages throw objects too. */
export function textOf(thrown: unknown): string {
  if (isObject(thrown) && typeof thrown['error'] === 'string') return thrown['error'];
  return String(thrown);
}

/**
 * JSON-RPC over `POST /rpc/v1`.
 *
 * Invariant: `call` either returns a value that passed its schema or throws one of the three
 * errors below; each error's `message` is a sentence a person can act on.
 * Nothing here depends on Angular; `fetch` is handed in.
 */
import * as z from 'zod/mini';
import type { Methods } from './generated/methods';

/** The code the server answers with when the session is missing or has ended. */
export const LOGGED_OUT = 34;

/** The server understood the call and refused it. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  constructor(
    readonly method: string,
    readonly code: number,
    details: string,
  ) {
    super(details);
  }
}

/** No answer: the network, the server or something between them is away. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  constructor(
    readonly method: string,
    options?: ErrorOptions,
  ) {
    super('The server does not answer. Check that it is on and that you are on its network.', options);
  }
}

/** An answer came, but not in a shape this UI knows; it was built for another server version. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  constructor(what: string, options?: ErrorOptions) {
    super(`The server sent ${what} in a form this page does not know. Reload the page.`, options);
  }
}

const errorBody = z.object({
  code: z.number(),
  message: z._default(z.string(), ''),
  data: z.optional(
    z.nullable(z.union([z.string(), z.object({ details: z.optional(z.nullable(z.string())) })])),
  ),
});
const envelope = z.union([
  z.object({ error: errorBody }),
  z.object({ result: z._default(z.unknown(), null) }),
]);

type ErrorBody = z.infer<typeof errorBody>;

function detailsOf(error: ErrorBody): string {
  const given = typeof error.data === 'string' ? error.data : error.data?.details;
  return given || error.message || `The server answered with error ${error.code}.`;
}

export type Method = keyof Methods;
export type Params<M extends Method> = Methods[M]['params'];

/**
 * A schema that takes all that the server may answer; `never` for one that does not. So a result that Rust
 * changes fails the build here. Where the server promises nothing (`unknown`), the schema is what checks.
 */
export type Taking<M extends Method, S extends z.ZodMiniType> = unknown extends Methods[M]['result']
  ? S
  : Methods[M]['result'] extends z.input<S>
    ? S
    : never;

/** A call's checked result and the state revision that already contains its effect, if any. */
export interface Answer<T> {
  readonly result: T;
  readonly sequence: number | null;
}

export class RpcClient {
  constructor(private readonly fetch: typeof globalThis.fetch) {}

  /**
   * @throws {RpcError} when the server refuses; `code` 34 means logged out.
   * @throws {UnreachableError} when no JSON-RPC answer arrives.
   * @throws {ProtocolError} when the answer does not fit `schema`.
   */
  async call<M extends Method, S extends z.ZodMiniType>(
    method: M,
    params: Params<M>,
    schema: S & Taking<M, S>,
  ): Promise<Answer<z.output<S>>> {
    let body: unknown;
    let sequence: number | null;
    try {
      const response = await this.fetch('/rpc/v1', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        credentials: 'same-origin',
        body: JSON.stringify({ jsonrpc: '2.0', id: 0, method, params }),
      });
      const header = response.headers.get('X-Patch-Sequence');
      sequence = header === null ? null : Number(header);
      // A gateway answers in HTML while the core is away; that is "unreachable", not a new protocol.
      body = await response.json();
    } catch (cause) {
      throw new UnreachableError(method, { cause });
    }
    const parsed = envelope.safeParse(body);
    if (!parsed.success) throw new ProtocolError(`the answer to ${method}`, { cause: parsed.error });
    if ('error' in parsed.data) {
      throw new RpcError(method, parsed.data.error.code, detailsOf(parsed.data.error));
    }
    const result = schema.safeParse(parsed.data.result);
    if (!result.success) throw new ProtocolError(`the answer to ${method}`, { cause: result.error });
    return { result: result.data, sequence };
  }
}

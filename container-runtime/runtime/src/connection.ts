/**
 * The one connection to the host.
 *
 * ```text
 *   away ──connect──▶ greeting ──hello answered──▶ up
 *    ▲                   │ refused, closed          │ closed, or a line over the limit
 *    └─────redial────────┴──────────────────────────┘
 * ```
 *
 * Invariant: an effect, once called, is answered or still waiting, whatever happens to the host
 * meanwhile: what is unanswered goes out again after every hello, under the same id. The host may then
 * run it a second time, and effects are made for that (`docs/decisions/0010-effects-are-idempotent.md`,
 * with the two exceptions). The host's own requests belong to the connection they came on:
 * an answer that finds it gone is dropped, and the next host asks again.
 */
import { createConnection, type Socket } from 'node:net';
import { EffectError } from './errors.js';
import { Lines, MAX_LINE_BYTES } from './lines.js';
import { parseMessage, ProtocolError, request, response, type Id, type Outcome } from './message.js';
import { unreachable } from './unreachable.js';

const PROTOCOL = 1;
const FIRST_REDIAL_MS = 10;
const LONGEST_REDIAL_MS = 250;
const HELLO_ID = 0;

export interface Identity {
  readonly build: string;
  readonly boot: string;
  readonly generation: number | null;
}

/** What the host asks and says. */
export interface Handler {
  /** Never rejects: a failure is an outcome. */
  request(method: string, params: unknown): Promise<Outcome>;
  notification(method: string, params: unknown): void;
  /** The host is back after it was away, and may be another one. */
  returned(): void;
}

interface Pending {
  readonly line: string;
  readonly settle: (outcome: Outcome) => void;
}

export class Connection {
  readonly #path: string;
  readonly #identity: Identity;
  readonly #handler: Handler;
  readonly #pending = new Map<Id, Pending>();
  #lastId = HELLO_ID;
  #socket: Socket | null = null;
  #isUp = false;
  #wasUp = false;
  #redialMs = FIRST_REDIAL_MS;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(path: string, identity: Identity, handler: Handler) {
    this.#path = path;
    this.#identity = identity;
    this.#handler = handler;
  }

  /** Dials now, and again whenever the host is gone, until {@link close}. */
  open(): void {
    const socket = createConnection(this.#path);
    const lines = new Lines();
    this.#socket = socket;
    socket.on('connect', () => {
      const hello = { protocol: PROTOCOL, oldest: PROTOCOL, role: 'runtime', ...this.#identity };
      socket.write(request(HELLO_ID, 'hello', hello));
    });
    socket.on('data', bytes => {
      try {
        for (const line of lines.push(bytes)) this.#take(socket, line);
      } catch (error) {
        console.error('lost the host:', error);
        socket.destroy();
      }
    });
    // Said by the close that follows; without a listener it would end the process.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#away());
  }

  /** Whether the host is there and owes no answer. */
  get isIdle(): boolean {
    return this.#isUp && this.#pending.size === 0;
  }

  /** Calls the host and waits for its answer, however long it is away. */
  call(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const line = request(id, method, params);
      if (Buffer.byteLength(line) > MAX_LINE_BYTES) {
        reject(new Error(`the parameters of ${method} are over ${MAX_LINE_BYTES} bytes`));
        return;
      }
      const settle = (outcome: Outcome): void => {
        if ('error' in outcome) reject(new EffectError(method, outcome.error));
        else resolve(outcome.result);
      };
      this.#pending.set(id, { line, settle });
      if (this.#isUp) this.#socket?.write(line);
    });
  }

  /** Hangs up for good, once everything written is on its way. */
  close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket === null || socket.destroyed) return Promise.resolve();
    return new Promise(resolve => {
      socket.once('close', () => resolve());
      socket.destroySoon();
    });
  }

  #take(socket: Socket, line: string): void {
    if (line.trim() === '') return;
    let message;
    try {
      message = parseMessage(line);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      console.error(error.message);
      return;
    }
    switch (message.kind) {
      case 'response':
        if (message.id === HELLO_ID) this.#greeted(socket, message.outcome);
        else this.#settle(message.id, message.outcome);
        return;
      case 'request':
        void this.#answer(socket, message.id, message.method, message.params);
        return;
      case 'notification':
        this.#handler.notification(message.method, message.params);
        return;
      default:
        unreachable(message);
    }
  }

  #greeted(socket: Socket, outcome: Outcome): void {
    if ('error' in outcome) {
      console.error('the host refused us:', outcome.error.message);
      this.#redialMs = LONGEST_REDIAL_MS;
      socket.destroy();
      return;
    }
    this.#isUp = true;
    this.#redialMs = FIRST_REDIAL_MS;
    for (const { line } of this.#pending.values()) socket.write(line);
    if (this.#wasUp) this.#handler.returned();
    this.#wasUp = true;
  }

  #settle(id: Id, outcome: Outcome): void {
    // An answer to something answered already: the request went out on two connections.
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    pending.settle(outcome);
  }

  async #answer(socket: Socket, id: Id, method: string, params: unknown): Promise<void> {
    const outcome = await this.#handler.request(method, params);
    if (socket.destroyed) return;
    const line = response(id, outcome);
    const tooLong = { code: 1, message: `the answer to ${method} is over ${MAX_LINE_BYTES} bytes` };
    socket.write(Buffer.byteLength(line) > MAX_LINE_BYTES ? response(id, { error: tooLong }) : line);
  }

  #away(): void {
    this.#socket = null;
    this.#isUp = false;
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.open(), this.#redialMs);
    this.#redialMs = Math.min(this.#redialMs * 2, LONGEST_REDIAL_MS);
  }
}

import { waitMs, type BackoffOptions } from './backoff.js';
import type { Json } from './json.js';
import { Place } from './place.js';
import { valueAt, type Pointer } from './pointer.js';
import { parseDump, parseResume, parseRevision, type Position } from './protocol.js';
import { advanced, fromDump, resumed, type Replica } from './replica.js';
import type { Subscribed, Transport, WebSocketLike } from './transport.js';
import { Watchers, type Watcher } from './watchers.js';

/**
 * ```text
 * stopped ─start─▶ connecting ─socket open─▶ live
 *                    ▲   │ failed             │ closed, gap, damage
 *                    └─ waiting ◀─────────────┘        stop: from anywhere
 * ```
 *
 * Only while `live` is the local value current; otherwise it is the last one known: stale.
 */
export type Status =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'connecting'; readonly attempt: number }
  | { readonly kind: 'live' }
  | { readonly kind: 'waiting'; readonly retryMs: number; readonly attempt: number; readonly cause: unknown };

export interface PatchDbOptions extends BackoffOptions {
  /** When to call watchers after a frame; several frames until then are one call. @default queueMicrotask */
  readonly schedule?: (flush: () => void) => void;
  /** How long the stream may take to open, in milliseconds. @default 20000 */
  readonly openMs?: number;
  /** A connection that lasted this long counts as good: the next wait is short again. @default 10000 */
  readonly stableMs?: number;
}

/** The stream ended without anyone here wanting it. */
export class DisconnectedError extends Error {
  override readonly name = 'DisconnectedError';
}

/** The client was stopped before what was waited for happened. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';

  constructor() {
    super('the client was stopped');
  }
}

interface Waiter {
  readonly id: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** One try to be connected; what arrives for an abandoned one is ignored. */
interface Connection {
  socket?: WebSocketLike;
  timer?: ReturnType<typeof setTimeout>;
}

/** A live local copy of a Patch-DB document. */
export class PatchDb {
  readonly #transport: Transport;
  readonly #options: PatchDbOptions;
  readonly #watchers = new Watchers();
  readonly #statusWatchers = new Set<(status: Status) => void>();
  #waiters: Waiter[] = [];
  #status: Status = { kind: 'stopped' };
  #replica: Replica | undefined;
  #connection: Connection | undefined;
  /** False after damage: then only a whole dump is to be trusted. */
  #mayResume = true;
  #failures = 0;
  #flushing = false;

  constructor(transport: Transport, options: PatchDbOptions = {}) {
    this.#transport = transport;
    this.#options = options;
  }

  /** Connects, and stays connected until `stop`. */
  start(): void {
    if (this.#status.kind === 'stopped') this.#connect();
  }

  /** Ends the connection; the last value stays readable. */
  stop(): void {
    this.#abandon();
    this.#failures = 0;
    this.#setStatus({ kind: 'stopped' });
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new StoppedError());
  }

  get status(): Status {
    return this.#status;
  }

  /** Where the local copy stands; `undefined` before the first dump. */
  get id(): number | undefined {
    return this.#replica?.id;
  }

  /** The value at a place; `undefined` when nothing is there or nothing has arrived yet. */
  get(at: Pointer = ''): Json | undefined {
    return this.#replica && valueAt(this.#replica.visible, at);
  }

  /**
   * Calls back whenever the value at a place is another one. Not called for the value that is there
   * already: read that with `get`. Returns what ends it.
   *
   * @throws {TypeError} when `at` is not a pointer.
   */
  watch(at: Pointer, call: Watcher): () => void {
    return this.#watchers.add(at, this.#replica?.visible, call);
  }

  /** The value at a place as a signal and an observable: to read, and to subscribe to. */
  at(at: Pointer): Place {
    return new Place(this, at);
  }

  /** Calls back whenever the status changes. Returns what ends it. */
  watchStatus(call: (status: Status) => void): () => void {
    this.#statusWatchers.add(call);
    return () => void this.#statusWatchers.delete(call);
  }

  /**
   * Waits until the local copy has reached a revision, such as that of an `X-Patch-Sequence` header.
   *
   * @throws {StoppedError} when the client is stopped first.
   */
  reached(id: number): Promise<void> {
    if (this.#replica !== undefined && this.#replica.id >= id) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ id, resolve, reject }));
  }

  #connect(): void {
    this.#abandon();
    const connection: Connection = {};
    this.#connection = connection;
    this.#setStatus({ kind: 'connecting', attempt: this.#failures + 1 });
    // A watcher of the status may have stopped the client.
    if (this.#connection !== connection) return;
    connection.timer = setTimeout(
      () => this.#fail(connection, new DisconnectedError('the stream did not open in time')),
      this.#options.openMs ?? 20_000,
    );
    const from: Position | undefined = this.#mayResume ? this.#replica?.position : undefined;
    this.#subscribe(connection, from).catch((cause: unknown) => this.#fail(connection, cause));
  }

  async #subscribe(connection: Connection, from: Position | undefined): Promise<void> {
    const subscribed = await this.#transport.subscribe(from);
    if (this.#connection !== connection) return;
    // Opened before the value is taken: whatever that brings up, the stream is not lost.
    const socket = this.#transport.open(subscribed.guid);
    connection.socket = socket;
    socket.addEventListener('open', () => this.#opened(connection));
    socket.addEventListener('message', ({ data }) => this.#received(connection, data));
    const lost = (): void => this.#fail(connection, new DisconnectedError('the stream ended'));
    socket.addEventListener('close', lost);
    socket.addEventListener('error', lost);
    this.#guarded(connection, () => this.#begin(subscribed));
  }

  #begin(subscribed: Subscribed): Replica {
    if (subscribed.resume !== undefined && this.#replica !== undefined && this.#mayResume) {
      return resumed(this.#replica, parseResume(subscribed.resume));
    }
    const replica = fromDump(parseDump(subscribed.dump), this.#replica);
    this.#mayResume = true;
    return replica;
  }

  #opened(connection: Connection): void {
    if (this.#connection !== connection) return;
    clearTimeout(connection.timer);
    connection.timer = setTimeout(() => (this.#failures = 0), this.#options.stableMs ?? 10_000);
    this.#setStatus({ kind: 'live' });
  }

  #received(connection: Connection, data: unknown): void {
    const replica = this.#replica;
    if (this.#connection !== connection || replica === undefined) return;
    this.#guarded(connection, () => advanced(replica, parseRevision(data)));
  }

  /** Takes the next replica; when making it fails, the local copy is damaged and starts afresh. */
  #guarded(connection: Connection, next: () => Replica): void {
    try {
      this.#replica = next();
    } catch (cause) {
      this.#mayResume = false;
      this.#fail(connection, cause);
      return;
    }
    this.#scheduleFlush();
  }

  #fail(connection: Connection, cause: unknown): void {
    if (this.#connection !== connection) return;
    this.#abandon();
    this.#failures += 1;
    const retryMs = waitMs(this.#failures, this.#options);
    const waiting: Connection = { timer: setTimeout(() => this.#connect(), retryMs) };
    this.#connection = waiting;
    this.#setStatus({ kind: 'waiting', retryMs, attempt: this.#failures, cause });
  }

  #abandon(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    clearTimeout(connection?.timer);
    connection?.socket?.close(1000);
  }

  #scheduleFlush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const schedule = this.#options.schedule ?? queueMicrotask;
    schedule(() => {
      this.#flushing = false;
      const replica = this.#replica;
      if (replica === undefined) return;
      const done = this.#waiters.filter((waiter) => waiter.id <= replica.id);
      this.#waiters = this.#waiters.filter((waiter) => waiter.id > replica.id);
      try {
        this.#watchers.notify(replica.visible);
      } finally {
        for (const waiter of done) waiter.resolve();
      }
    });
  }

  #setStatus(status: Status): void {
    this.#status = status;
    for (const call of [...this.#statusWatchers]) call(status);
  }
}

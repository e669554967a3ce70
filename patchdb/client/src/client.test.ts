import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { waitMs } from './backoff.js';
import { PatchDb, StoppedError, type PatchDbOptions, type Status } from './client.js';
import type { Json } from './json.js';
import type { Position } from './protocol.js';
import type { Subscribed, Transport, WebSocketLike } from './transport.js';

// A browser's WebSocket is one without any wrapping: this line does not compile otherwise.
export const asBrowser = (socket: WebSocket): WebSocketLike => socket;

class Socket implements WebSocketLike {
  readonly #listeners = new Map<string, ((event: { readonly data: unknown }) => void)[]>();
  closed = false;

  addEventListener(type: string, listener: (event: { readonly data: unknown }) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  close(): void {
    this.closed = true;
  }

  emit(type: 'open' | 'close' | 'error' | 'message', data?: unknown): void {
    for (const listener of this.#listeners.get(type) ?? []) listener({ data });
  }

  send(revision: object): void {
    this.emit('message', JSON.stringify(revision));
  }
}

/** A server that answers from a script. */
class Server implements Transport {
  readonly asked: (Position | undefined)[] = [];
  readonly sockets: Socket[] = [];
  readonly answers: (Omit<Subscribed, 'guid'> | Error)[] = [];

  subscribe(from: Position | undefined): Promise<Subscribed> {
    this.asked.push(from);
    const answer = this.answers.shift() ?? new Error('the server is away');
    if (answer instanceof Error) return Promise.reject(answer);
    return Promise.resolve({ guid: `guid-${this.asked.length}`, ...answer });
  }

  open(guid: string): Socket {
    expect(guid).toBe(`guid-${this.asked.length}`);
    const socket = new Socket();
    this.sockets.push(socket);
    return socket;
  }

  get socket(): Socket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no socket was opened');
    return socket;
  }
}

const position = { epoch: 1, durable: 4, volatile: 0 };

function dump(id: number, value: Json): Omit<Subscribed, 'guid'> {
  return { dump: { id, value, position } };
}

function set(path: string, value: Json): object[] {
  return [{ op: 'replace', path, value }];
}

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

let server: Server;

async function live(value: Json, options?: PatchDbOptions): Promise<PatchDb> {
  server.answers.push(dump(10, value));
  const db = new PatchDb(server, { random: () => 1, ...options });
  db.start();
  await settle();
  server.socket.emit('open');
  return db;
}

beforeEach(() => {
  vi.useFakeTimers();
  server = new Server();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a client', () => {
  it('shows the dump, then every revision', async () => {
    const db = await live({ a: 1 });
    expect([db.status.kind, db.get('/a'), db.id]).toEqual(['live', 1, 10]);
    server.socket.send({ id: 11, prev: 0, durable: 5, patch: set('/a', 2) });
    expect([db.get(), db.id]).toEqual([{ a: 2 }, 11]);
  });

  it('calls watchers of what changed, once for several frames, and no others', async () => {
    const db = await live({ a: { b: 1 }, c: { d: 1 } });
    const calls: [string, Json | undefined][] = [];
    db.watch('/a', (value) => calls.push(['/a', value]));
    db.watch('/a/b', (value) => calls.push(['/a/b', value]));
    db.watch('/c', (value) => calls.push(['/c', value]));
    const stop = db.watch('', () => calls.push(['', null]));
    stop();
    server.socket.send({ id: 11, patch: set('/a/b', 2) });
    server.socket.send({ id: 12, patch: set('/a/b', 3) });
    await settle();
    expect(calls).toEqual([['/a', { b: 3 }], ['/a/b', 3]]);
    server.socket.send({ id: 13, patch: [{ op: 'remove', path: '/a' }] });
    await settle();
    expect(calls.slice(2)).toEqual([['/a', undefined], ['/a/b', undefined]]);
    expect(() => db.watch('a', () => undefined)).toThrow(TypeError);
  });

  it('asks to resume after the stream ends, with a growing wait, and stays readable', async () => {
    const db = await live({ a: 1 });
    const kinds: Status['kind'][] = [];
    db.watchStatus((status) => kinds.push(status.kind));
    server.socket.send({ id: 11, durable: 5, patch: set('/a', 2) });
    server.socket.emit('close');
    expect(db.status).toMatchObject({ kind: 'waiting', retryMs: 250, attempt: 1 });
    expect(db.get('/a')).toBe(2);
    await vi.advanceTimersByTimeAsync(250);
    expect(db.status).toMatchObject({ kind: 'waiting', retryMs: 500, attempt: 2 });
    const resume = { id: 30, position: { epoch: 2, durable: 9, volatile: 0 }, base: set('/a', 3), overlay: [] };
    server.answers.push({ resume });
    await vi.advanceTimersByTimeAsync(500);
    server.socket.emit('open');
    expect([db.status.kind, db.get('/a'), db.id]).toEqual(['live', 3, 30]);
    const known = { epoch: 1, durable: 5, volatile: 0 };
    expect(server.asked).toEqual([undefined, known, known]);
    expect(kinds).toEqual(['waiting', 'connecting', 'waiting', 'connecting', 'live']);
  });

  it.each([
    ['a patch that does not fit', { id: 11, patch: [{ op: 'remove', path: '/nothing' }] }],
    ['a gap', { id: 13, prev: 12, patch: [] }],
    ['a frame that is none', { id: 'x' }],
  ])('drops the stream on %s and takes a whole dump', async (_, frame) => {
    const db = await live({ a: 1 });
    const damaged = server.socket;
    damaged.send(frame);
    expect([db.status.kind, damaged.closed]).toEqual(['waiting', true]);
    damaged.send({ id: 14, patch: set('/a', 'from a dead stream') });
    expect(db.get('/a')).toBe(1);
    server.answers.push(dump(20, { a: 5 }));
    await vi.advanceTimersByTimeAsync(250);
    expect(server.asked).toEqual([undefined, undefined]);
    expect(db.get('/a')).toBe(5);
  });

  it('takes a whole dump when a resume does not fit', async () => {
    const db = await live({ a: 1 });
    server.socket.emit('error');
    const resume = { id: 30, position, base: [{ op: 'remove', path: '/x' }], overlay: [] };
    server.answers.push({ resume }, dump(40, { a: 6 }));
    await vi.advanceTimersByTimeAsync(250 + 500);
    expect(server.asked).toEqual([undefined, position, undefined]);
    expect(db.get('/a')).toBe(6);
  });

  it('does not call watchers when a dump brings nothing new', async () => {
    const db = await live({ a: { b: 1 }, c: 1 });
    const call = vi.fn();
    db.watch('/a', call);
    server.socket.emit('close');
    server.answers.push(dump(20, { a: { b: 1 }, c: 2 }));
    await vi.advanceTimersByTimeAsync(250);
    expect(db.get('/c')).toBe(2);
    expect(call).not.toHaveBeenCalled();
  });

  it('waits short again after a connection that lasted', async () => {
    const db = await live({});
    server.socket.emit('close');
    server.answers.push(dump(11, {}), dump(12, {}));
    await vi.advanceTimersByTimeAsync(250);
    server.socket.emit('open');
    server.socket.emit('close');
    expect(db.status).toMatchObject({ retryMs: 500 });
    await vi.advanceTimersByTimeAsync(500);
    server.socket.emit('open');
    await vi.advanceTimersByTimeAsync(10_000);
    server.socket.emit('close');
    expect(db.status).toMatchObject({ retryMs: 250 });
  });

  it('gives up on a stream that never opens', async () => {
    server.answers.push(dump(1, {}));
    const db = new PatchDb(server);
    db.start();
    await settle();
    expect(db.status.kind).toBe('connecting');
    await vi.advanceTimersByTimeAsync(20_000);
    expect([db.status.kind, server.socket.closed]).toEqual(['waiting', true]);
    db.stop();
  });

  it('says when a revision has arrived', async () => {
    const db = await live({ a: 1 });
    await db.reached(10);
    const arrived = vi.fn();
    const waiting = db.reached(15).then(arrived);
    server.socket.send({ id: 12, patch: set('/a', 2) });
    await settle();
    expect(arrived).not.toHaveBeenCalled();
    server.socket.send({ id: 15, patch: [] });
    await waiting;
    const never = db.reached(99);
    db.stop();
    await expect(never).rejects.toThrow(StoppedError);
  });

  it('does nothing more once stopped, and can be started again', async () => {
    const db = await live({ a: 1 });
    const old = server.socket;
    db.stop();
    old.send({ id: 11, patch: set('/a', 2) });
    old.emit('close');
    await vi.advanceTimersByTimeAsync(60_000);
    expect([db.status.kind, db.get('/a'), server.asked.length]).toEqual(['stopped', 1, 1]);
    server.answers.push(dump(20, { a: 3 }));
    db.start();
    db.start();
    await settle();
    expect([server.asked.length, db.get('/a')]).toEqual([2, 3]);
    db.stop();
  });

  it('calls every watcher even when one throws', async () => {
    const flushes: (() => void)[] = [];
    const db = await live({ a: 1 }, { schedule: (flush) => flushes.push(flush) });
    const second = vi.fn();
    flushes.shift()?.();
    db.watch('/a', () => {
      throw new Error('on purpose');
    });
    db.watch('/a', second);
    server.socket.send({ id: 11, patch: set('/a', 2) });
    expect(() => flushes.shift()?.()).toThrow(AggregateError);
    expect(second).toHaveBeenCalledWith(2);
  });
});

describe('the wait before a try', () => {
  it('doubles up to its bound and is never less than half', () => {
    const bounds = [1, 2, 3, 10, 100].map((attempt) => waitMs(attempt, { random: () => 1 }));
    expect(bounds).toEqual([250, 500, 1000, 15_000, 15_000]);
    expect(waitMs(3, { random: () => 0 })).toBe(500);
  });
});

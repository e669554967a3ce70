/** The host's side over a real Unix socket, and packages made by code. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lines } from '../src/lines.js';
import { isObject, parseMessage, request, response, type Outcome } from '../src/message.js';

export interface EffectCall {
  readonly id: number | string;
  readonly method: string;
  readonly params: Record<string, unknown>;
}

type Answer = (call: EffectCall) => unknown;

/** Thrown by an answer: becomes a JSON-RPC error. */
export class Refusal extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly data?: unknown,
  ) {
    super(message);
  }
}

/** An answer that never comes. */
export const SILENCE = Symbol('silence');

export class FakeHost {
  readonly dir = mkdtempSync(join(tmpdir(), 'coppice-runtime-'));
  readonly socketPath = join(this.dir, 'host.sock');
  /** Every hello, in order. */
  readonly hellos: Record<string, unknown>[] = [];
  /** Every effect call, repeats included. */
  readonly calls: EffectCall[] = [];
  /** How effects are answered from now on. */
  answer: Answer = () => null;
  readonly #server: Server;
  #socket: Socket | null = null;
  #lastId = 0;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #wake: (() => void)[] = [];

  constructor() {
    this.#server = createServer(socket => this.#serve(socket));
    this.listen();
  }

  listen(): void {
    this.#server.listen(this.socketPath);
  }

  /** Hangs up and stops listening, as a host that died. */
  async die(): Promise<void> {
    this.#socket?.destroy();
    await new Promise(resolve => this.#server.close(resolve));
  }

  async close(): Promise<void> {
    await this.die();
    rmSync(this.dir, { recursive: true });
  }

  /** Asks the runtime. */
  async ask(method: string, params?: unknown): Promise<Outcome> {
    await this.until(() => this.#socket !== null);
    const id = ++this.#lastId;
    return new Promise(resolve => {
      this.#waiting.set(id, resolve);
      this.#socket?.write(request(id, method, params));
    });
  }

  /** Asks, and the answer must be a result. */
  async must(method: string, params?: unknown): Promise<unknown> {
    const outcome = await this.ask(method, params);
    if ('error' in outcome) throw new Error(JSON.stringify(outcome.error));
    return outcome.result;
  }

  fire(callback: unknown): void {
    this.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'callback', params: { id: callback, args: [] } })}\n`);
  }

  write(text: string): void {
    this.#socket?.write(text);
  }

  /** Methods that were called, in order. */
  methods(): string[] {
    return this.calls.map(call => call.method);
  }

  /** The parameters of the last call of `method`. */
  last(method: string): Record<string, unknown> {
    const call = this.calls.findLast(made => made.method === method);
    if (call === undefined) throw new Error(`${method} was not called`);
    return call.params;
  }

  /** Waits for something to become true; everything that happens here looks again. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>(resolve => this.#wake.push(resolve));
  }

  #serve(socket: Socket): void {
    const lines = new Lines();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null;
    });
    socket.on('data', bytes => {
      for (const line of lines.push(bytes)) this.#take(socket, line);
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  #take(socket: Socket, line: string): void {
    const message = parseMessage(line);
    switch (message.kind) {
      case 'response':
        this.#waiting.get(Number(message.id))?.(message.outcome);
        return;
      case 'notification':
        throw new Error(`the runtime notified ${message.method}`);
      case 'request': {
        const { id, method } = message;
        const params = isObject(message.params) ? message.params : {};
        if (method === 'hello') {
          this.hellos.push(params);
          this.#socket = socket;
          socket.write(response(id, { result: { protocol: 1, build: 'test' } }));
          return;
        }
        const call = { id, method, params };
        this.calls.push(call);
        try {
          const result = this.answer(call);
          if (result !== SILENCE) socket.write(response(id, { result }));
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          const { code, message: text, data } = error;
          socket.write(response(id, { error: { code, message: text, data } }));
        }
      }
    }
  }
}

/** Writes a package whose exports are `members`; `probe` is where it may leave things for the test. */
export function writePackage(dir: string, members: string): string {
  const path = join(dir, 'index.js');
  writeFileSync(
    path,
    `const probe = globalThis.probe ??= {};
     const quiet = {
       init: async () => {}, uninit: async () => {}, createBackup: async () => {},
       main: async () => ({ build: async () => ({ term: async () => {} }) }),
       actions: { get: () => undefined }, manifest: { id: 'probe' },
     };
     const own = { ${members} };
     const all = { ...quiet, ...own };
     for (const name of Object.keys(all)) Object.defineProperty(exports, name, { enumerable: true, get: () => all[name] });`,
  );
  return path;
}

/**
 * A document of the server, kept current over a WebSocket.
 *
 * ```text
 *   start ──► connecting ──dump and socket──► live
 *               │   ▲                          │ socket closed, or a patch did not fit
 *               │   └── retry, 0.5 s to 8 s ── lost
 *               └── code 34 ──► logged-out      (start again after a login)
 * ```
 *
 * Invariant: `value` is handed the document of one revision, whole, never half a patch. While the
 * line is lost the last value stays; readers mark it as old instead of hiding it.
 * Unchanged parts of the document keep their identity from revision to revision.
 */
import * as z from 'zod/mini';
import { applyPatch } from './patch';

export type LiveState =
  | { readonly kind: 'idle' | 'connecting' | 'live' | 'logged-out' }
  | { readonly kind: 'lost'; readonly serverStarting: boolean };

/** What the document needs of the outside. */
export interface Line {
  subscribe(): Promise<{ dump: { id: number; value: unknown }; guid: string }>;
  serverState(): Promise<'running' | 'initializing' | 'error'>;
  socket(guid: string): WebSocket;
  isLoggedOut(error: unknown): boolean;
}

export interface Listener {
  value(value: unknown): void;
  state(state: LiveState): void;
}

const revision = z.object({
  id: z.number(),
  patch: z.array(
    z.discriminatedUnion('op', [
      z.object({ op: z.literal('add'), path: z.string(), value: z.unknown() }),
      z.object({ op: z.literal('replace'), path: z.string(), value: z.unknown() }),
      z.object({ op: z.literal('remove'), path: z.string() }),
    ]),
  ),
});

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;
/** How long a call may wait for its own revision before it is reported done anyway. */
const REACHED_MS = 3_000;

export class LiveDocument {
  private id = 0;
  private value: unknown = null;
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private retryMs = FIRST_RETRY_MS;
  /** Every start and stop takes a new number; late answers of an older one are ignored. */
  private life = 0;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly line: Line,
    private readonly listener: Listener,
  ) {}

  start(): void {
    this.close();
    this.retryMs = FIRST_RETRY_MS;
    this.listener.state({ kind: 'connecting' });
    void this.connect(this.life);
  }

  stop(state: LiveState): void {
    this.close();
    this.listener.state(state);
  }

  /** Skips the rest of a retry delay. */
  hurry(): void {
    if (this.timer === null) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.retryMs = FIRST_RETRY_MS;
    void this.connect(this.life);
  }

  /** Resolves when the document contains revision `id`, the line is lost, or 3 s have passed. */
  reached(id: number): Promise<void> {
    if (this.id >= id || this.socket === null) return Promise.resolve();
    return new Promise(resolve => {
      const check = () => {
        if (this.id < id && this.socket !== null) return;
        clearTimeout(timer);
        this.waiting.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        this.waiting.delete(check);
        resolve();
      }, REACHED_MS);
      this.waiting.add(check);
    });
  }

  private async connect(life: number): Promise<void> {
    let starting = false;
    try {
      starting = (await this.line.serverState()) !== 'running';
      if (life !== this.life) return;
      if (!starting) {
        const { dump, guid } = await this.line.subscribe();
        if (life !== this.life) return;
        this.open(guid, dump, life);
        return;
      }
    } catch (error) {
      if (life !== this.life) return;
      if (this.line.isLoggedOut(error)) return this.stop({ kind: 'logged-out' });
    }
    this.lost(starting);
  }

  private open(guid: string, dump: { id: number; value: unknown }, life: number): void {
    const socket = this.line.socket(guid);
    this.socket = socket;
    this.id = dump.id;
    this.value = dump.value;
    this.listener.value(dump.value);
    socket.onopen = () => {
      this.retryMs = FIRST_RETRY_MS;
      this.listener.state({ kind: 'live' });
      this.wake();
    };
    socket.onmessage = event => this.receive(event.data);
    socket.onclose = () => {
      if (life === this.life) this.lost(false);
    };
  }

  private receive(data: unknown): void {
    try {
      const { id, patch } = revision.parse(JSON.parse(String(data)));
      if (id <= this.id) return;
      this.value = applyPatch(this.value, patch);
      this.id = id;
      if (patch.length > 0) this.listener.value(this.value);
      this.wake();
    } catch {
      // The copy no longer matches the server's; only a fresh dump is certain to be right.
      this.lost(false);
    }
  }

  private lost(serverStarting: boolean): void {
    this.close();
    this.listener.state({ kind: 'lost', serverStarting });
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.connect(this.life);
    }, this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
  }

  private close(): void {
    this.life += 1;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.socket) {
      this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
      this.socket.close();
    }
    this.socket = null;
    this.wake();
  }

  private wake(): void {
    for (const check of [...this.waiting]) check();
  }
}

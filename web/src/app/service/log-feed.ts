import { computed, DestroyRef, inject, Injectable, signal } from '@angular/core';
import { LOGGED_OUT, RpcError } from '../api/rpc';
import { logEntry, type LogEntry } from '../api/schema';
import { Server } from '../state/server';
import { KEEP, type LogLine } from '../words/logs';

const FIRST = 200;
const PAGE = 400;
const RETRY_MS = 2_000;
/** A download asks for this many lines at a time, and stops after `DOWNLOAD_PAGES`. */
const DOWNLOAD_PAGE = 1_000;
const DOWNLOAD_PAGES = 100;

/**
 * The log of one service, live.
 *
 * Invariant: `lines` is one gapless stretch of the log up to now. After a lost line it is read anew
 * instead of being patched together.
 */
@Injectable()
export class LogFeed {
  private readonly server = inject(Server);
  private readonly kept = signal<readonly LogLine[]>([]);
  private readonly cursor = signal<string | null>(null);
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pending: LogEntry[] = [];
  private frame = 0;
  private nextKey = 0;
  private id = '';
  private life = 0;

  readonly lines = this.kept.asReadonly();
  readonly live = signal(false);
  readonly error = signal<string | null>(null);
  readonly loadingOlder = signal(false);
  readonly hasOlder = computed(() => this.cursor() !== null && this.kept().length > 0);

  constructor() {
    inject(DestroyRef).onDestroy(() => this.stop());
  }

  follow(id: string): void {
    this.stop();
    this.id = id;
    this.kept.set([]);
    this.cursor.set(null);
    void this.connect();
  }

  async older(): Promise<void> {
    const cursor = this.cursor();
    if (cursor === null || this.loadingOlder()) return;
    const life = this.life;
    this.loadingOlder.set(true);
    try {
      const { entries, startCursor } = await this.server.logsBefore(this.id, cursor, PAGE);
      if (life !== this.life) return;
      // Keys grow downwards from the first line, so the lines on screen keep theirs.
      const firstKey = this.kept()[0]?.key ?? 0;
      const lines = entries.map((entry, i) => ({ key: firstKey - entries.length + i, entry }));
      this.kept.update(old => [...lines, ...old]);
      this.cursor.set(entries.length === 0 ? null : startCursor);
    } catch (error) {
      this.error.set(error instanceof Error ? error.message : null);
    } finally {
      this.loadingOlder.set(false);
    }
  }

  /** Everything the server has kept, oldest first: what is shown, and all before it. */
  async everything(): Promise<readonly LogEntry[]> {
    let all = this.kept().map(l => l.entry);
    let cursor = this.cursor();
    for (let page = 0; page < DOWNLOAD_PAGES && cursor !== null; page += 1) {
      const { entries, startCursor } = await this.server.logsBefore(this.id, cursor, DOWNLOAD_PAGE);
      all = [...entries, ...all];
      cursor = entries.length === 0 || startCursor === cursor ? null : startCursor;
    }
    return all;
  }

  private async connect(): Promise<void> {
    const life = this.life;
    try {
      const { socket, startCursor } = await this.server.followLogs(this.id, FIRST, null);
      if (life !== this.life) return socket.close();
      this.socket = socket;
      this.kept.set([]);
      this.cursor.set(startCursor);
      this.error.set(null);
      socket.onopen = () => this.live.set(true);
      socket.onmessage = event => this.receive(event.data);
      socket.onclose = () => this.retry();
    } catch (error) {
      if (life !== this.life) return;
      if (error instanceof RpcError) {
        if (error.code === LOGGED_OUT) return;
        this.error.set(error.message);
      }
      this.retry();
    }
  }

  private retry(): void {
    this.live.set(false);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.connect(), RETRY_MS);
  }

  private receive(data: unknown): void {
    const parsed = logEntry.safeParse(JSON.parse(String(data)));
    if (!parsed.success) return;
    this.pending.push(parsed.data);
    // A chatty service writes more lines a second than anyone can read; draw once per frame.
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.flush());
  }

  private flush(): void {
    this.frame = 0;
    const lines = this.pending.map(entry => ({ key: this.nextKey++, entry }));
    this.pending = [];
    this.kept.update(old => {
      const all = [...old, ...lines];
      if (all.length <= KEEP) return all;
      // What falls out at the top cannot be asked for again with the old cursor.
      this.cursor.set(null);
      return all.slice(-KEEP);
    });
  }

  private stop(): void {
    this.life += 1;
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.pending = [];
    if (this.socket) {
      this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
      this.socket.close();
      this.socket = null;
    }
    this.live.set(false);
  }
}

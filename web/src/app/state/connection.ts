import { computed, Injectable, signal } from '@angular/core';
import { PatchDb, type Status, type Transport } from '@coppice/patch-db';
import * as z from 'zod/mini';
import { LOGGED_OUT, RpcClient, RpcError, UnreachableError, type Method, type Params, type Taking } from '../api/rpc';
import { again } from './again';

/**
 * ```text
 *   connecting ──► live ◄──► lost        (the document of before stays readable)
 *       └────────────┴────────┴──► logged-out ──resume──► connecting
 * ```
 */
export type LiveState =
  | { readonly kind: 'connecting' | 'live' | 'logged-out' }
  | { readonly kind: 'lost'; readonly serverStarting: boolean };

/** The server answers, but is not ready to be asked yet. */
class StartingError extends Error {
  override readonly name = 'StartingError';
}

/** Checked further by the client it goes to. */
const subscription = z.object({
  guid: z.string(),
  dump: z.optional(z.unknown()),
  resume: z.optional(z.unknown()),
});
const serverState = z.enum(['running', 'initializing', 'error']);

/** How long a call waits for the document to show its effect before it counts as done anyway. */
const REACHED_MS = 3_000;

/**
 * The one line to the server: calls go out, the public document comes in.
 *
 * Invariant: the session is judged by the server alone. Any call answered "logged out" ends the
 * subscription and drops the document, and the rest of the UI follows `live`.
 */
@Injectable({ providedIn: 'root' })
export class Connection {
  private readonly rpc = new RpcClient((input, init) => fetch(input, init));
  private readonly state = signal<LiveState>({ kind: 'connecting' });
  private readonly value = signal<unknown>(null);
  private readonly since = signal<number | null>(null);
  private db: PatchDb | null = null;

  readonly live = this.state.asReadonly();
  /** The document of the newest revision seen; null before the first one. Unchanged parts keep their identity. */
  readonly document = this.value.asReadonly();
  /** When the document stopped being current (ms since 1970); null while it is. */
  readonly staleSince = this.since.asReadonly();
  readonly loggedOut = computed(() => this.state().kind === 'logged-out');

  constructor() {
    this.resume();
    // A phone that wakes up should not sit out the rest of a long wait.
    const hurry = () => {
      if (this.db?.status.kind !== 'waiting') return;
      this.db.stop();
      this.db.start();
    };
    window.addEventListener('online', hurry);
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') hurry();
    });
  }

  /**
   * Calls a method and waits until the document shows its effect.
   *
   * @throws what `RpcClient.call` throws.
   */
  async call<M extends Method, S extends z.ZodMiniType>(
    method: M,
    params: Params<M>,
    schema: S & Taking<M, S>,
  ): Promise<z.output<S>> {
    try {
      const { result, sequence } = await this.rpc.call<M, S>(method, params, schema);
      if (sequence !== null) await this.reached(sequence);
      return result;
    } catch (error) {
      if (isLoggedOut(error)) this.forget();
      throw error;
    }
  }

  /** Calls a method that may be called twice for once, and does so where no answer arrives. Throws as `call` does. */
  ask<M extends Method, S extends z.ZodMiniType>(method: M, params: Params<M>, schema: S & Taking<M, S>): Promise<z.output<S>> {
    return again(
      () => this.call<M, S>(method, params, schema),
      error => error instanceof UnreachableError,
    );
  }

  /** Subscribes anew, after a login. */
  resume(): void {
    this.db?.stop();
    const db = new PatchDb(this.transport, { firstMs: 500, mostMs: 8_000 });
    this.db = db;
    this.state.set({ kind: 'connecting' });
    db.watch('', value => this.value.set(value ?? null));
    db.watchStatus(status => {
      if (this.db === db) this.follow(status);
    });
    db.start();
  }

  /** Drops the subscription and the document: whoever logs in next may not see what the last one saw. */
  forget(): void {
    const { db } = this;
    this.db = null;
    db?.stop();
    this.state.set({ kind: 'logged-out' });
    this.value.set(null);
    this.since.set(null);
  }

  private readonly transport: Transport = {
    subscribe: async from => {
      const phase = await this.rpc.call('state', {}, serverState);
      if (phase.result !== 'running') throw new StartingError();
      return (await this.rpc.call('db.subscribe', from ? { from } : {}, subscription)).result;
    },
    open: guid => new WebSocket(socketUrl(guid)),
  };

  private follow(status: Status): void {
    switch (status.kind) {
      case 'live':
        this.since.set(null);
        return this.state.set({ kind: 'live' });
      case 'waiting':
        if (isLoggedOut(status.cause)) return this.forget();
        this.since.update(at => at ?? Date.now());
        return this.state.set({ kind: 'lost', serverStarting: status.cause instanceof StartingError });
      case 'connecting':
      case 'stopped':
        // Another try changes nothing for the reader; `lost` stays until it worked.
        return;
    }
  }

  private async reached(sequence: number): Promise<void> {
    const late = new Promise(resolve => setTimeout(resolve, REACHED_MS));
    // A stopped client cannot show anything any more; the call itself has succeeded all the same.
    await Promise.race([this.db?.reached(sequence).catch(() => undefined), late]);
  }
}

function isLoggedOut(error: unknown): boolean {
  return error instanceof RpcError && error.code === LOGGED_OUT;
}

/** The address of a one-time socket on this server. */
export function socketUrl(guid: string): string {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${location.host}/ws/rpc/${encodeURIComponent(guid)}`;
}

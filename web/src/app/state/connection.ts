import { computed, Injectable, signal } from '@angular/core';
import * as z from 'zod/mini';
import { LOGGED_OUT, RpcClient, RpcError } from '../api/rpc';
import { LiveDocument, type LiveState } from '../api/live-document';

const subscription = z.object({
  dump: z.object({ id: z.number(), value: z.unknown() }),
  guid: z.string(),
});
const serverState = z.enum(['running', 'initializing', 'error']);

/**
 * The one line to the server: calls go out, the public document comes in.
 *
 * Invariant: the session is judged by the server alone. Any call answered "logged out" ends the
 * subscription, and the rest of the UI follows `live`.
 */
@Injectable({ providedIn: 'root' })
export class Connection {
  private readonly rpc = new RpcClient((input, init) => fetch(input, init));
  private readonly state = signal<LiveState>({ kind: 'idle' });
  private readonly value = signal<unknown>(null);
  private readonly since = signal<number | null>(null);

  readonly live = this.state.asReadonly();
  /** The document of the newest revision seen; null before the first one. */
  readonly document = this.value.asReadonly();
  /** When the document stopped being current (ms since 1970); null while it is. */
  readonly staleSince = this.since.asReadonly();
  readonly loggedOut = computed(() => this.state().kind === 'logged-out');

  private readonly subject = new LiveDocument(
    {
      subscribe: async () => (await this.rpc.call('db.subscribe', {}, subscription)).result,
      serverState: async () => (await this.rpc.call('state', {}, serverState)).result,
      socket: guid => new WebSocket(socketUrl(guid)),
      isLoggedOut: error => error instanceof RpcError && error.code === LOGGED_OUT,
    },
    {
      value: value => this.value.set(value),
      state: state => {
        this.state.set(state);
        // Whoever logs in next may not see what the last one saw.
        if (state.kind === 'logged-out') this.value.set(null);
        if (state.kind === 'live' || state.kind === 'logged-out') this.since.set(null);
        else this.since.update(at => at ?? Date.now());
      },
    },
  );

  constructor() {
    this.subject.start();
    // A phone that wakes up should not sit out the rest of a retry delay.
    const hurry = () => this.subject.hurry();
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
  async call<T>(method: string, params: object, schema: z.ZodMiniType<T>): Promise<T> {
    try {
      const { result, sequence } = await this.rpc.call(method, params, schema);
      if (sequence !== null) await this.subject.reached(sequence);
      return result;
    } catch (error) {
      if (error instanceof RpcError && error.code === LOGGED_OUT) this.forget();
      throw error;
    }
  }

  /** Subscribes anew, after a login. */
  resume(): void {
    this.subject.start();
  }

  /** Drops the document and the subscription, after a logout. */
  forget(): void {
    this.subject.stop({ kind: 'logged-out' });
  }
}

/** The address of a one-time socket on this server. */
export function socketUrl(guid: string): string {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${location.host}/ws/rpc/${encodeURIComponent(guid)}`;
}

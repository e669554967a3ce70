import type { Position } from './protocol.js';

/** What the server answers to `db.subscribe`. One of `dump` and `resume` is there. */
export interface Subscribed {
  /** Opens the stream, once, within 30 s. */
  readonly guid: string;
  readonly dump?: unknown;
  readonly resume?: unknown;
}

/** The part of a `WebSocket` that is used. */
export interface WebSocketLike {
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  close(code?: number, reason?: string): void;
}

/** How the server is reached; the client knows nothing of URLs or sessions. */
export interface Transport {
  /**
   * Asks for a subscription. With `from`, the server may answer with `resume` instead of `dump`;
   * one that knows nothing of it just dumps.
   */
  subscribe(from: Position | undefined): Promise<Subscribed>;
  /** Opens the stream of a subscription. */
  open(guid: string): WebSocketLike;
}

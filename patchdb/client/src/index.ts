export { waitMs, type BackoffOptions } from './backoff.js';
export { DisconnectedError, PatchDb, StoppedError, type PatchDbOptions, type Status } from './client.js';
export type { Json, JsonArray, JsonObject } from './json.js';
export { applyPatch, PatchError, type Op } from './patch.js';
export { Place, type PlaceObserver, type PlaceSubscription } from './place.js';
export { pointer, segmentsOf, valueAt, type Pointer } from './pointer.js';
export {
  parseDump,
  parseResume,
  parseRevision,
  ProtocolError,
  type Dump,
  type Position,
  type Resume,
  type Revision,
} from './protocol.js';
export { advanced, fromDump, GapError, resumed, type Replica } from './replica.js';
export type { Subscribed, Transport, WebSocketLike } from './transport.js';
export type { Watcher } from './watchers.js';

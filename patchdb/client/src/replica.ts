import { reconcile, type Json } from './json.js';
import { applyPatch } from './patch.js';
import type { Dump, Position, Resume, Revision } from './protocol.js';

/**
 * The local copy at one moment. Two trees that share what they have in common: `base` is what the
 * server has on its disk (needed to resume after the server's process has changed), `visible` is
 * that with the volatile values over it. Nobody changes a replica; every step makes a new one.
 */
export interface Replica {
  readonly id: number;
  readonly base: Json;
  readonly visible: Json;
  /** `undefined` when the server cannot resume. */
  readonly position: Position | undefined;
}

/** The stream has a hole: a revision between the last one and this one did not arrive. */
export class GapError extends Error {
  override readonly name = 'GapError';

  constructor(have: number, prev: number) {
    super(`revision ${prev} is missing; the last one that arrived is ${have}`);
  }
}

/** Starts from a dump, keeping the identity of everything that is as it was in `previous`. */
export function fromDump(dump: Dump, previous?: Replica): Replica {
  const visible = previous ? reconcile(previous.visible, dump.value) : dump.value;
  return {
    id: dump.id,
    visible,
    base: dump.undo ? applyPatch(visible, dump.undo) : visible,
    position: dump.position,
  };
}

/**
 * Catches up with what was missed.
 *
 * @throws {PatchError} when it does not fit what is here.
 */
export function resumed(replica: Replica, resume: Resume): Replica {
  const base = applyPatch(replica.base, resume.base);
  const visible = reconcile(replica.visible, applyPatch(base, resume.overlay));
  // Reconciling may have kept an old, equal tree: then one tree is enough.
  const shared = resume.overlay.length === 0 ? visible : base;
  return { id: resume.id, base: shared, visible, position: resume.position };
}

/**
 * Takes one frame. One that is already known changes nothing.
 *
 * @throws {GapError} when frames are missing before it.
 * @throws {PatchError} when it does not fit what is here.
 */
export function advanced(replica: Replica, revision: Revision): Replica {
  if (revision.id <= replica.id) return replica;
  if (revision.prev !== undefined && revision.prev > replica.id) {
    throw new GapError(replica.id, revision.prev);
  }
  const visible = applyPatch(replica.visible, revision.patch);
  return {
    id: revision.id,
    visible,
    base: nextBase(replica, revision, visible),
    position: replica.position && {
      epoch: replica.position.epoch,
      durable: revision.durable ?? replica.position.durable,
      volatile: revision.volatile ?? replica.position.volatile,
    },
  };
}

function nextBase(replica: Replica, revision: Revision, visible: Json): Json {
  if (revision.volatile !== undefined) return replica.base;
  if (revision.base !== undefined) return applyPatch(replica.base, revision.base);
  return replica.base === replica.visible ? visible : applyPatch(replica.base, revision.patch);
}

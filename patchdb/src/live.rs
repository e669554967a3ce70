//! The document as everyone sees it now.
//!
//! Two trees that share structure: *durable* is what is on the disk, *visible* is the durable one
//! with the volatile changes over it. Invariants:
//! - Readers take the current [`State`] by cloning one pointer; nobody holds a lock while working.
//! - Every revision gets its id, changes the visible tree and enters the ring in one critical
//!   section, so ids, trees and the stream agree on the order.
//! - Where a durable change meets a volatile one, the durable one wins.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    change::{Edit, apply_edits},
    error::PublishError,
    pointer::Pointer,
    position::{ID_RANGE, Position},
    ring::Ring,
    tree::{Node, Op, apply_op, diff},
};

/// One consistent view; never changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) position: Position,
    pub(crate) durable: Node,
    pub(crate) visible: Node,
}

/// One step of the document, as the fan-out gets it.
#[derive(Debug)]
pub(crate) struct Revision {
    /// The view right after it.
    pub(crate) state: Arc<State>,
    pub(crate) kind: RevisionKind,
    /// What it did to the visible tree.
    pub(crate) patch: Arc<[Op]>,
    /// What it did to the durable tree; the same list when nothing volatile was in the way.
    pub(crate) base: Arc<[Op]>,
}

/// What a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionKind {
    /// On the disk.
    Durable,
    /// In memory only.
    Volatile,
    /// No change: says how far the stream is.
    KeepUp,
}

/// Ids that volatile revisions leave to durable ones, which cannot be refused one any more when
/// they are on the disk.
const ID_MARGIN: u64 = 8192;

/// A durable change that is on the disk and now becomes visible.
pub(crate) struct Committed {
    pub(crate) edits: Vec<Edit>,
    pub(crate) ops: Arc<[Op]>,
    pub(crate) durable_after: Node,
}

pub(crate) struct Live {
    current: RwLock<Arc<State>>,
    /// Held while a revision is made; guards nothing but the order.
    turn: Mutex<()>,
    id_limit: AtomicU64,
    pub(crate) ring: Ring,
}

impl Live {
    pub(crate) fn new(tree: Node, position: Position, id_limit: u64) -> Self {
        let state = State {
            position,
            durable: tree.clone(),
            visible: tree,
        };
        Self {
            current: RwLock::new(Arc::new(state)),
            turn: Mutex::new(()),
            id_limit: AtomicU64::new(id_limit),
            ring: Ring::default(),
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The reservation on disk that should be written with the next commit, when it is time.
    pub(crate) fn wanted_id_limit(&self) -> Option<u64> {
        let limit = self.id_limit.load(Ordering::SeqCst);
        let left = limit.saturating_sub(self.state().position.id);
        (left < ID_RANGE / 2).then_some(limit + ID_RANGE)
    }

    /// Ids below `limit` are reserved on disk from now on.
    pub(crate) fn ids_reserved(&self, limit: u64) {
        self.id_limit.fetch_max(limit, Ordering::SeqCst);
    }

    /// Applies a volatile change. `Ok(None)` when it changes nothing.
    pub(crate) fn publish(&self, edits: &[Edit]) -> Result<Option<Position>, PublishError> {
        let turn = self.take_turn();
        let before = self.state();
        let mut visible = before.visible.clone();
        let patch = apply_edits(&mut visible, edits)?;
        if patch.is_empty() {
            return Ok(None);
        }
        let mut position = before.position;
        position.id += 1;
        position.volatile += 1;
        if position.id + ID_MARGIN >= self.id_limit.load(Ordering::SeqCst) {
            return Err(PublishError::OutOfIds);
        }
        let state = State {
            position,
            durable: before.durable.clone(),
            visible,
        };
        self.advance(
            &turn,
            state,
            RevisionKind::Volatile,
            patch.into(),
            Arc::from([]),
        );
        Ok(Some(position))
    }

    /// Makes a committed change visible. The writer has seen to it that an id is left.
    pub(crate) fn committed(&self, change: Committed) -> Position {
        let turn = self.take_turn();
        let before = self.state();
        let mut position = before.position;
        position.id += 1;
        let Committed {
            edits,
            ops,
            durable_after,
        } = change;
        let kind = if ops.is_empty() {
            RevisionKind::Volatile
        } else {
            RevisionKind::Durable
        };
        let (visible, patch) = if before.visible.is_same(&before.durable) {
            (durable_after.clone(), Arc::clone(&ops))
        } else {
            laid_over(&before.visible, &durable_after, &edits, &ops)
        };
        if ops.is_empty() && patch.is_empty() {
            return before.position;
        }
        match kind {
            RevisionKind::Durable => position.durable += 1,
            _ => position.volatile += 1,
        }
        let state = State {
            position,
            durable: durable_after,
            visible,
        };
        self.advance(&turn, state, kind, patch, ops);
        position
    }

    /// Tells every subscriber that has nothing waiting how far the stream is.
    pub(crate) fn keep_up(&self) {
        let _turn = self.take_turn();
        self.ring.push(|| Revision {
            state: self.state(),
            kind: RevisionKind::KeepUp,
            patch: Arc::from([]),
            base: Arc::from([]),
        });
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(
        &self,
        _turn: &MutexGuard<'_, ()>,
        state: State,
        kind: RevisionKind,
        patch: Arc<[Op]>,
        base: Arc<[Op]>,
    ) {
        let state = Arc::new(state);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&state);
        // After the state: a subscriber that comes in between either reads the new state or is
        // counted by the ring (and then skips what it already has).
        self.ring.push(|| Revision {
            state,
            kind,
            patch,
            base,
        });
    }
}

/// The visible tree after a durable change, and what happened to it.
fn laid_over(
    visible: &Node,
    durable_after: &Node,
    edits: &[Edit],
    ops: &[Op],
) -> (Node, Arc<[Op]>) {
    let mut tree = visible.clone();
    if let Ok(patch) = apply_edits(&mut tree, edits) {
        return (tree, patch.into());
    }
    // A volatile change has taken away what the durable one stands on (or moved the array it is
    // in): bring back the durable values along the way to each changed place.
    let mut tree = visible.clone();
    let mut patch = Vec::new();
    for op in ops {
        for op in graft(&tree, durable_after, &op.path) {
            apply_op(&mut tree, &op).expect("a diff applies to the tree it was made from");
            patch.push(op);
        }
    }
    (tree, patch.into())
}

/// The operations that make `tree` agree with `truth` at `path`: at the path itself, or at the
/// first place above it where the two do not both hold an object.
fn graft(tree: &Node, truth: &Node, path: &Pointer) -> Vec<Op> {
    let mut at = Pointer::root();
    for segment in path.segments() {
        if !matches!(
            (tree.at(&at), truth.at(&at)),
            (Some(Node::Object(_)), Some(Node::Object(_)))
        ) {
            break;
        }
        at = at.join(&segment);
    }
    let mut ops = Vec::new();
    match (tree.at(&at), truth.at(&at)) {
        (Some(old), Some(new)) => diff(&at, old, new, &mut ops),
        (Some(_), None) => ops.push(Op::remove(at)),
        (None, Some(new)) => ops.push(Op::add(at, new.clone())),
        (None, None) => {}
    }
    ops
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ring::Taken,
        testing::{any_change, any_document},
    };

    const LIMIT: u64 = ID_MARGIN + 100;

    fn live(document: serde_json::Value) -> Live {
        let start = Position {
            epoch: 1,
            durable: 0,
            volatile: 0,
            id: 1,
        };
        Live::new(Node::from(document), start, LIMIT)
    }

    #[test]
    fn a_volatile_change_waits_for_ids_that_are_reserved_on_disk() {
        let live = live(serde_json::json!({"public": {}, "private": {}}));
        let publish = |n: u64| {
            let edits = crate::Change::new().put("/public/n", n).into_edits();
            live.publish(&edits.unwrap())
        };
        let mut given = 0;
        while let Ok(Some(position)) = publish(given) {
            given += 1;
            assert!(position.id + ID_MARGIN < LIMIT);
        }
        assert!(given > 0);
        assert!(matches!(publish(given), Err(PublishError::OutOfIds)));
        assert_eq!(live.wanted_id_limit(), Some(LIMIT + ID_RANGE));
        live.ids_reserved(LIMIT + ID_RANGE);
        assert!(publish(given).is_ok());
    }

    proptest! {
        /// Durable and volatile changes in any mixture: the patches lead to the trees, and each
        /// durable value is visible at the place it was written to.
        #[test]
        fn both_trees_follow_their_operations(
            document in any_document(),
            changes in proptest::collection::vec((any::<bool>(), any_change()), 1..12),
        ) {
            let live = live(document);
            live.ring.join();
            let mut durable = live.state().durable.clone();
            let mut seen = live.state();
            for (is_durable, change) in changes {
                let edits = change.into_edits().unwrap();
                if is_durable {
                    let mut after = durable.clone();
                    let Ok(ops) = apply_edits(&mut after, &edits) else { continue };
                    let put_at = match &edits[..] {
                        [Edit::Put { at, .. }] => Some(at.clone()),
                        _ => None,
                    };
                    live.committed(Committed { edits, ops: ops.into(), durable_after: after.clone() });
                    durable = after;
                    if let Some(at) = put_at {
                        let state = live.state();
                        // Volatile elements give an array indices of its own.
                        let in_array = at.segments().any(|name| name == "0" || name == "1");
                        prop_assert!(in_array || state.visible.at(&at) == state.durable.at(&at));
                    }
                } else {
                    let _ = live.publish(&edits);
                }
                // A sign of life at the end, so that taking never waits.
                live.keep_up();
                let Taken::Revisions(revisions) = live.ring.take() else { unreachable!() };
                prop_assert!(revisions.len() <= 2);
                for revision in revisions.iter().filter(|r| r.kind != RevisionKind::KeepUp) {
                    let mut visible = seen.visible.clone();
                    for op in revision.patch.iter() {
                        apply_op(&mut visible, op).unwrap();
                    }
                    let mut base = seen.durable.clone();
                    for op in revision.base.iter() {
                        apply_op(&mut base, op).unwrap();
                    }
                    prop_assert_eq!(&visible, &revision.state.visible);
                    prop_assert_eq!(&base, &revision.state.durable);
                    prop_assert_eq!(revision.state.position.id, seen.position.id + 1);
                    seen = Arc::clone(&revision.state);
                }
                prop_assert_eq!(&live.state().durable, &durable);
            }
        }
    }
}

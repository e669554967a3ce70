//! Following the document from a place in its history.
//!
//! ```text
//! subscribe(scope, None)          → Dump
//! subscribe(scope, Some(known))   → Missed       the history still has everything since
//!                                 → Resync+Dump  it has not, or the position is of another past
//! then: Revision* → Resync        the reader was too slow: subscribe again
//!                 → end           the store was closed
//! ```
//!
//! Invariant: the start and the revisions after it lie end to end: nothing is lost or repeated.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    disk::Meta,
    error::DiskReadError,
    fanout::{Registry, ScopedRevision, Seat},
    live::{Live, RevisionKind, State},
    pointer::Pointer,
    position::Position,
    scope::scope_history,
    store::Inner,
    tree::{Node, Op, diff},
};

/// A resume may not be larger than this and the value itself: then the value is the better answer.
const SMALL_RESUME_BYTES: usize = 64 * 1024;

/// Revisions one subscriber may leave waiting.
const QUEUE: usize = 1024;

/// What a subscriber gets first.
#[derive(Clone, Debug)]
pub enum Start {
    /// It named no position: the whole value.
    Dump(Dump),
    /// Only what it missed.
    Missed(Missed),
    /// The whole value, because its position is not one to go on from.
    Resync {
        /// Why not.
        reason: ResyncReason,
        /// The whole value.
        dump: Dump,
    },
}

/// The value at a place, at one position.
#[derive(Clone, Debug)]
pub struct Dump {
    /// When this was the value.
    pub position: Position,
    /// The value with volatile changes; null when nothing is there.
    pub value: Node,
    /// What leads from it to the durable value.
    pub undo: Vec<Op>,
}

/// What a subscriber missed since the position it named.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Where it stands after this.
    pub position: Position,
    /// All durable operations since, oldest first, for the durable value.
    pub base: Vec<Op>,
    /// What leads from the durable value to the visible one.
    pub overlay: Vec<Op>,
}

/// Why a client cannot go on from where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncReason {
    /// It is so far back that the whole value is the shorter answer, or the history ends before.
    TooFarBehind,
    /// Its position is from another document, or from a future that a restored backup has not.
    OtherPast,
    /// The history could not be read.
    HistoryUnreadable,
}

/// What comes after the start.
#[derive(Clone, Debug)]
pub enum Event {
    /// The next revision that touches the scope.
    Revision(Arc<ScopedRevision>),
    /// The reader was too slow and has lost revisions: subscribe again.
    Resync,
}

/// A stream of what happens at and below one place. For the core's own use; what goes to clients
/// comes from [`crate::PublicStore::subscribe`].
pub struct Subscription {
    start: Option<Start>,
    scope: Pointer,
    seat: Seat,
    /// Revisions up to this one are part of what the reader has.
    seen: u64,
    ended: bool,
    live: Arc<Live>,
    registry: Arc<Registry>,
}

impl Subscription {
    pub(crate) fn begin(inner: &Inner, scope: Pointer, from: Option<Position>) -> Self {
        let (live, registry) = (Arc::clone(&inner.live), Arc::clone(&inner.registry));
        // The seat first, then the view: what happens in between is in both, and skipped by id.
        let seat = registry.join(&live, &scope, QUEUE);
        let state = live.state();
        let start = match from {
            None => Start::Dump(Dump::of(&state, &scope)),
            Some(from) => {
                resume(inner, &state, &scope, from).unwrap_or_else(|reason| Start::Resync {
                    reason,
                    dump: Dump::of(&state, &scope),
                })
            }
        };
        let seen = state.position.id;
        Self {
            start: Some(start),
            scope,
            seat,
            seen,
            ended: false,
            live,
            registry,
        }
    }

    /// What the reader has to begin with; there once, so that its memory can go.
    pub fn take_start(&mut self) -> Option<Start> {
        self.start.take()
    }

    /// Waits for the next event; `None` after a resync or when the store is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            if self.seat.lagged.load(Ordering::SeqCst) {
                self.ended = true;
                return Some(Event::Resync);
            }
            match self.seat.queue.recv().await {
                Some(revision) if revision.position.id > self.seen => {
                    self.seen = revision.position.id;
                    return Some(Event::Revision(revision));
                }
                Some(_) => {}
                // The sender went with the last place in the queue: look at `lagged` once more.
                None if self.seat.lagged.load(Ordering::SeqCst) => {}
                None => self.ended = true,
            }
        }
        None
    }

    /// The id up to which the reader has seen everything.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.registry
            .leave(&self.live, &self.scope, self.seat.number);
    }
}

impl Dump {
    pub(crate) fn of(state: &State, scope: &Pointer) -> Self {
        let [visible, durable] = [&state.visible, &state.durable]
            .map(|tree| tree.at(scope).cloned().unwrap_or(Node::Null));
        let mut undo = Vec::new();
        diff(&Pointer::root(), &visible, &durable, &mut undo);
        Self {
            position: state.position,
            value: visible,
            undo,
        }
    }
}

fn resume(
    inner: &Inner,
    state: &State,
    scope: &Pointer,
    from: Position,
) -> Result<Start, ResyncReason> {
    let now = state.position;
    if !was_here(&inner.epochs, now, from) {
        return Err(ResyncReason::OtherPast);
    }
    let entries = inner
        .disk
        .history(from.durable + 1, now.durable)
        .map_err(|error| {
            let error: &DiskReadError = &error;
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "a client could not resume"
            );
            ResyncReason::HistoryUnreadable
        })?;
    if entries.len() as u64 != now.durable - from.durable {
        return Err(ResyncReason::TooFarBehind);
    }
    let mut base = Vec::new();
    for entry in &entries {
        let scoped = entry.ops.as_ref().and_then(|ops| scope_history(ops, scope));
        base.extend(scoped.ok_or(ResyncReason::TooFarBehind)?);
    }
    let [visible, durable] =
        [&state.visible, &state.durable].map(|tree| tree.at(scope).cloned().unwrap_or(Node::Null));
    let bytes: usize = base.iter().map(Op::weight).sum();
    if bytes > SMALL_RESUME_BYTES && bytes > visible.weight() {
        return Err(ResyncReason::TooFarBehind);
    }
    let mut overlay = Vec::new();
    diff(&Pointer::root(), &durable, &visible, &mut overlay);
    Ok(Start::Missed(Missed {
        position: now,
        base,
        overlay,
    }))
}

/// Whether `from` is a position this document really passed through.
fn was_here(epochs: &Meta, now: Position, from: Position) -> bool {
    if from.epoch == now.epoch {
        from.durable <= now.durable && from.volatile <= now.volatile
    } else {
        epochs.had(from.epoch, from.durable)
    }
}

/// Whether a revision changes anything; signs of life do not.
impl ScopedRevision {
    /// Whether this revision changes the value at the scope.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.kind != RevisionKind::KeepUp
    }
}

//! From the ring to the subscribers.
//!
//! ```text
//! writer ──push──▶ ring ──one thread──▶ per scope: cut the patch once ──▶ bounded queue ──▶ reader
//! ```
//!
//! Invariants:
//! - The writer only appends to the ring: its cost does not depend on who listens.
//! - Memory is bounded: a full ring or a full queue ends the subscriptions it concerns with a
//!   *resync*, and their readers subscribe again.
//! - All subscribers of one scope share one [`ScopedRevision`], and with it one encoded frame.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    frame,
    live::{Live, Revision, RevisionKind},
    pointer::Pointer,
    position::Position,
    ring::Taken,
    scope::scope_ops,
    tree::Op,
};

/// A revision as subscribers of one scope see it.
#[derive(Debug)]
pub struct ScopedRevision {
    /// Where the stream is after it.
    pub position: Position,
    /// Durable, volatile, or only a sign of life.
    pub kind: RevisionKind,
    /// The operations, with paths seen from the scope.
    pub patch: Vec<Op>,
    /// What a durable revision did below the volatile values, when that is something else.
    pub base: Option<Vec<Op>>,
    /// The id of the revision before it in this scope; 0 for the first.
    pub prev: u64,
    encoded: OnceLock<Arc<str>>,
}

impl ScopedRevision {
    fn new(revision: &Revision, scope: &Pointer, prev: u64) -> Option<Self> {
        let state = &revision.state;
        let patch = scope_ops(&revision.patch, scope, &state.visible);
        let base = match revision.kind {
            RevisionKind::Durable if !Arc::ptr_eq(&revision.patch, &revision.base) => {
                Some(scope_ops(&revision.base, scope, &state.durable)).filter(|base| *base != patch)
            }
            _ => None,
        };
        let says_nothing = patch.is_empty() && base.is_none();
        (!says_nothing || revision.kind == RevisionKind::KeepUp).then(|| Self {
            position: state.position,
            kind: revision.kind,
            patch,
            base,
            prev,
            encoded: OnceLock::new(),
        })
    }

    /// The JSON text, made by the first who asks and shared by all.
    pub(crate) fn encoded(&self) -> Arc<str> {
        Arc::clone(self.encoded.get_or_init(|| frame::revision(self).into()))
    }
}

/// Everyone who listens, by scope.
#[derive(Default)]
pub(crate) struct Registry {
    groups: Mutex<HashMap<Pointer, Group>>,
    next: AtomicU64,
}

#[derive(Default)]
struct Group {
    last: u64,
    members: Vec<Member>,
}

struct Member {
    number: u64,
    queue: mpsc::Sender<Arc<ScopedRevision>>,
    lagged: Arc<AtomicBool>,
}

/// The reader's end of one subscription.
pub(crate) struct Seat {
    pub(crate) number: u64,
    pub(crate) queue: mpsc::Receiver<Arc<ScopedRevision>>,
    pub(crate) lagged: Arc<AtomicBool>,
}

impl Registry {
    /// Seats a new subscriber: it gets every revision that is made from now on, and maybe a few
    /// that were made just before.
    pub(crate) fn join(&self, live: &Live, scope: &Pointer, capacity: usize) -> Seat {
        let (sender, queue) = mpsc::channel(capacity.max(1));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let lagged = Arc::new(AtomicBool::new(false));
        let member = Member {
            number,
            queue: sender,
            lagged: Arc::clone(&lagged),
        };
        let mut groups = self.lock();
        live.ring.join();
        groups
            .entry(scope.clone())
            .or_default()
            .members
            .push(member);
        Seat {
            number,
            queue,
            lagged,
        }
    }

    pub(crate) fn leave(&self, live: &Live, scope: &Pointer, number: u64) {
        let mut groups = self.lock();
        if let Some(group) = groups.get_mut(scope) {
            group.retain(live, |member| member.number != number);
            if group.members.is_empty() {
                groups.remove(scope);
            }
        }
    }

    fn deliver(&self, live: &Live, revision: &Revision) {
        let mut groups = self.lock();
        for (scope, group) in groups.iter_mut() {
            let Some(scoped) = ScopedRevision::new(revision, scope, group.last) else {
                continue;
            };
            let is_change = scoped.kind != RevisionKind::KeepUp;
            if is_change {
                group.last = scoped.position.id;
            }
            let scoped = Arc::new(scoped);
            group.retain(live, |member| {
                match member.queue.try_send(Arc::clone(&scoped)) {
                    Ok(()) => true,
                    // Who has something waiting needs no sign of life.
                    Err(TrySendError::Full(_)) if !is_change => true,
                    Err(TrySendError::Full(_)) => {
                        member.lagged.store(true, Ordering::SeqCst);
                        false
                    }
                    Err(TrySendError::Closed(_)) => false,
                }
            });
        }
        groups.retain(|_, group| !group.members.is_empty());
    }

    fn everyone_lags(&self, live: &Live) {
        for (_, group) in self.lock().drain() {
            for member in &group.members {
                member.lagged.store(true, Ordering::SeqCst);
            }
            live.ring.leave(group.members.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pointer, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn retain(&mut self, live: &Live, keep: impl FnMut(&Member) -> bool) {
        let mut keep = keep;
        let before = self.members.len();
        self.members.retain(|member| keep(member));
        live.ring.leave(before - self.members.len());
    }
}

/// The body of the fan-out thread; ends when the store closes, and with it every stream.
pub(crate) fn run(live: &Live, registry: &Registry) {
    loop {
        match live.ring.take() {
            Taken::Revisions(revisions) => {
                for revision in revisions {
                    registry.deliver(live, &revision);
                }
            }
            Taken::Overflow => registry.everyone_lags(live),
            Taken::Closed => {
                let gone: usize = registry
                    .lock()
                    .drain()
                    .map(|(_, group)| group.members.len())
                    .sum();
                live.ring.leave(gone);
                return;
            }
        }
    }
}

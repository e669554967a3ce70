//! The queue between whoever makes revisions and the thread that fans them out.
//!
//! Invariants: pushing costs the same whoever listens, and nothing when nobody does; memory is
//! bounded, and when the fan-out falls a whole ring behind, that is told instead of hidden.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::live::Revision;

/// Revisions that may wait for the fan-out thread.
const CAPACITY: usize = 65_536;

#[derive(Default)]
pub(crate) struct Ring {
    inner: Mutex<Inner>,
    wake: Condvar,
    listeners: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Arc<Revision>>,
    overflowed: bool,
    closed: bool,
}

/// What the fan-out thread finds.
pub(crate) enum Taken {
    /// These came next, in order.
    Revisions(VecDeque<Arc<Revision>>),
    /// Some were lost: nobody who listened until now has a complete stream.
    Overflow,
    /// The store is closed.
    Closed,
}

impl Ring {
    /// Somebody listens from now on.
    pub(crate) fn join(&self) {
        self.listeners.fetch_add(1, Ordering::SeqCst);
    }

    /// `count` of those who listened no longer do.
    pub(crate) fn leave(&self, count: usize) {
        self.listeners.fetch_sub(count, Ordering::SeqCst);
    }

    pub(crate) fn push(&self, revision: impl FnOnce() -> Revision) {
        if self.listeners.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut inner = self.lock();
        if inner.waiting.len() >= CAPACITY {
            inner.waiting.clear();
            inner.overflowed = true;
        }
        inner.waiting.push_back(Arc::new(revision()));
        drop(inner);
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    /// Waits for something to do.
    pub(crate) fn take(&self) -> Taken {
        let mut inner = self.lock();
        loop {
            if std::mem::take(&mut inner.overflowed) {
                inner.waiting.clear();
                return Taken::Overflow;
            }
            if !inner.waiting.is_empty() {
                return Taken::Revisions(std::mem::take(&mut inner.waiting));
            }
            if inner.closed {
                return Taken::Closed;
            }
            inner = self
                .wake
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

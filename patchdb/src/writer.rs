//! The one thread that writes to the disk.
//!
//! ```text
//! callers ──job──▶ queue ──all that wait──▶ apply in order ──one transaction──▶ visible ──▶ replies
//! ```
//!
//! Invariants:
//! - Nothing becomes visible before it is on the disk; nobody is answered before it is visible.
//! - All jobs taken together share one transaction and its flushes (group commit). If it fails,
//!   all of them fail and the tree is the one before them.
//! - A job that does not fit the document fails alone.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coppice_clock::Wall;
use tokio::sync::oneshot;

use crate::{
    change::{Change, Edit, apply_edits},
    disk::{Batch, CheckReport, Disk, HistoryEntry, Meta, RowChanges, row_changes},
    error::{CommitError, DiskReadError},
    live::{Committed, Live, State},
    position::{Position, Why},
    snapshot::Snapshot,
    store::MakeRoom,
    tree::{Node, Op},
};

/// Jobs one transaction takes at most: it bounds how long the first of them waits.
const MOST: usize = 1024;

/// How long the writer waits for the callers it has just answered to come back, when the last
/// transaction had several. Without it, the first to return would start a transaction alone and
/// the others would wait for it: half the group, twice the flushes.
const GATHER: Duration = Duration::from_micros(200);

/// Makes the change when its turn has come; `None` when it decided against one.
pub(crate) type Make = Box<dyn FnOnce(&Snapshot) -> Option<Change> + Send>;

pub(crate) enum Job {
    Write {
        why: Why,
        make: Make,
        reply: oneshot::Sender<Result<Outcome, CommitError>>,
    },
    Check {
        reply: oneshot::Sender<Result<CheckReport, DiskReadError>>,
    },
}

/// What became of a job that did not fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Done(Position),
    Refused,
}

/// Jobs on their way to the writer.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<QueueInner>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueInner {
    jobs: VecDeque<Job>,
    /// How many the writer waits for before it starts.
    wanted: usize,
    reserve_ids: bool,
    closed: bool,
}

impl Queue {
    /// When the store is closed the job is dropped, and whoever waits for its reply is told so.
    pub(crate) fn push(&self, job: Job) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.jobs.push_back(job);
        let enough = inner.jobs.len() >= inner.wanted;
        drop(inner);
        if enough {
            self.wake.notify_one();
        }
    }

    /// Asks for a new reservation of ids, which volatile revisions use up without writing.
    pub(crate) fn reserve_ids(&self) {
        let mut inner = self.lock();
        if !std::mem::replace(&mut inner.reserve_ids, true) {
            inner.wanted = 0;
            drop(inner);
            self.wake.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.wanted = 0;
        drop(inner);
        self.wake.notify_all();
    }

    /// The next jobs; `None` when closed and empty. `last` is how many there were last time.
    fn take(&self, last: usize) -> Option<Vec<Job>> {
        let mut inner = self.lock();
        inner.wanted = 1;
        let idle =
            |inner: &mut QueueInner| inner.jobs.is_empty() && !inner.closed && !inner.reserve_ids;
        inner = self
            .wake
            .wait_while(inner, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if last > 1 && inner.jobs.len() < last {
            inner.wanted = last;
            inner = self
                .wake
                .wait_timeout_while(inner, GATHER, |inner| {
                    inner.jobs.len() < inner.wanted && !inner.closed
                })
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        inner.reserve_ids = false;
        if inner.closed && inner.jobs.is_empty() {
            return None;
        }
        let count = inner.jobs.len().min(MOST);
        Some(inner.jobs.drain(..count).collect())
    }

    /// What waits now.
    fn take_waiting(&self) -> Vec<Job> {
        let mut inner = self.lock();
        inner.reserve_ids = false;
        inner.jobs.drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, QueueInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whatever ends the writer, callers get an answer instead of waiting for ever.
struct CloseAtEnd<'a>(&'a Queue);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.lock().jobs.clear();
    }
}

pub(crate) struct Writer {
    pub(crate) disk: Arc<Disk>,
    pub(crate) live: Arc<Live>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) transactions: Arc<AtomicU64>,
    pub(crate) tree: Node,
    pub(crate) meta: Meta,
    /// How many revisions the history keeps.
    pub(crate) keep: u64,
    pub(crate) make_room: MakeRoom,
}

/// A job between being applied and being answered.
struct Pending {
    reply: oneshot::Sender<Result<Outcome, CommitError>>,
    result: Result<Option<Committed>, CommitError>,
}

/// What a group of jobs makes of the document before any of it is written.
struct Group {
    tree: Node,
    meta: Meta,
    ops: Vec<Op>,
    history: Vec<HistoryEntry>,
    pending: Vec<Pending>,
}

impl Writer {
    pub(crate) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        let _guard = CloseAtEnd(&queue);
        let mut last = 0;
        while let Some(jobs) = queue.take(last) {
            last = jobs.len();
            self.write(jobs);
        }
    }

    /// Does what waits, on the caller's thread.
    pub(crate) fn write_waiting(&mut self) {
        let jobs = self.queue.take_waiting();
        self.write(jobs);
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let mut group = Group {
            tree: self.tree.clone(),
            meta: self.meta.clone(),
            ops: Vec::new(),
            history: Vec::new(),
            pending: Vec::with_capacity(jobs.len()),
        };
        let mut checks = Vec::new();
        for job in jobs {
            match job {
                Job::Write { why, make, reply } => {
                    let result = group.apply(&why, make, &self.live);
                    group.pending.push(Pending { reply, result });
                }
                Job::Check { reply } => checks.push(reply),
            }
        }
        let Group {
            tree,
            mut meta,
            ops,
            history,
            pending,
        } = group;
        let new_limit = self.live.wanted_id_limit();
        meta.id_limit = new_limit.unwrap_or(meta.id_limit);
        if meta == self.meta {
            answer(&self.live, pending);
        } else {
            let mut written = self.write_group(&tree, &meta, &ops, &history);
            if matches!(written, Err(CommitError::Full { .. })) && self.make_room.now() {
                written = self.write_group(&tree, &meta, &ops, &history);
            }
            match written {
                Ok(()) => {
                    (self.tree, self.meta) = (tree, meta);
                    self.live.ids_reserved(self.meta.id_limit);
                    answer(&self.live, pending);
                }
                Err(error) => {
                    if pending.is_empty() {
                        // Nobody asked, so nobody else will tell.
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "could not reserve revision ids");
                    }
                    for Pending { reply, .. } in pending {
                        // Whoever no longer waits does not want the answer.
                        let _ = reply.send(Err(error.clone()));
                    }
                }
            }
        }
        for reply in checks {
            let _ = reply.send(self.disk.check(&self.tree));
        }
    }

    fn write_group(
        &self,
        tree: &Node,
        meta: &Meta,
        ops: &[Op],
        history: &[HistoryEntry],
    ) -> Result<(), CommitError> {
        let mut rows = RowChanges::new();
        row_changes(&self.tree, tree, ops, &mut rows);
        let batch = Batch {
            rows: &rows,
            history,
            keep_from: (meta.durable + 1).saturating_sub(self.keep),
            meta,
            opens: false,
        };
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.disk
            .write(&batch)
            .map_err(|source| CommitError::disk(self.disk.dir(), source))
    }
}

impl Group {
    /// Applies one job to what the jobs before it made.
    fn apply(
        &mut self,
        why: &Why,
        make: Make,
        live: &Live,
    ) -> Result<Option<Committed>, CommitError> {
        let state = State {
            position: live.state().position,
            durable: self.tree.clone(),
            visible: self.tree.clone(),
        };
        let snapshot = Snapshot::new(Arc::new(state));
        let change = catch_unwind(AssertUnwindSafe(|| make(&snapshot)))
            .map_err(|_| CommitError::Panicked)?;
        let Some(change) = change else {
            return Ok(None);
        };
        let edits: Vec<Edit> = change.into_edits()?;
        let mut after = self.tree.clone();
        let ops: Arc<[Op]> = apply_edits(&mut after, &edits)?.into();
        if !ops.is_empty() {
            self.meta.durable += 1;
            self.history
                .push(HistoryEntry::new(self.meta.durable, Wall::now(), why, &ops));
            self.ops.extend_from_slice(&ops);
            self.tree = after.clone();
        }
        Ok(Some(Committed {
            edits,
            ops,
            durable_after: after,
        }))
    }
}

fn answer(live: &Live, pending: Vec<Pending>) {
    for Pending { reply, result } in pending {
        let result = result.map(|committed| match committed {
            Some(committed) => Outcome::Done(live.committed(committed)),
            None => Outcome::Refused,
        });
        // Whoever no longer waits does not want the answer; the change stands.
        let _ = reply.send(result);
    }
}

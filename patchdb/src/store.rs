//! The handle that the core works with.
//!
//! Invariant: every handle shows the same document, and the folder is free again when the last
//! one (of [`Store`] and [`PublicStore`], subscriptions aside) is gone.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    change::{Change, ChangeError},
    disk::{CheckReport, Disk, LogEntry, Meta},
    error::{CommitError, DiskReadError, ImportError, MutateError, OpenError, PublishError},
    fanout::{self, Registry},
    live::Live,
    pointer::{Pointer, PointerError, ToPointer},
    position::{Position, Why},
    public::PublicStore,
    schema::{self, Migration},
    snapshot::{PublicSnapshot, Snapshot},
    subscription::{Dump, Subscription},
    writer::{Job, Outcome, Queue, Writer},
};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address space for the store in bytes, and with it the size it can grow to. Default 16 GiB;
    /// it costs neither memory nor disk.
    pub map_size: usize,
    /// How many durable revisions the history keeps, for resuming clients and for the log.
    /// Default 4096.
    pub history: u64,
    /// The version of the document's shape that this program works with. A newer document is
    /// refused, an older one migrated.
    pub schema: u32,
    /// What brings an older document up to `schema`, in order.
    pub migrations: Vec<Migration>,
    /// Asked when a write finds the disk full.
    pub make_room: MakeRoom,
    /// Write on the thread that asks, while it waits, and not on a thread of the store's own. For a
    /// simulation, whose course must not depend on when another thread gets its turn: there is no
    /// group commit. Default false.
    pub in_place: bool,
}

/// Gives up something on a full disk, so that a write that failed for want of space may succeed after
/// all. Default: nothing to give up.
#[derive(Clone, Default)]
pub struct MakeRoom(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl MakeRoom {
    /// `give_up` says whether there was something to give up; the write is then tried once more. It runs
    /// in the writer's thread and may block it for as long as removing a file takes.
    pub fn by(give_up: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(give_up)))
    }

    pub(crate) fn now(&self) -> bool {
        self.0.as_ref().is_some_and(|give_up| give_up())
    }
}

impl fmt::Debug for MakeRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MakeRoom").field(&self.0.is_some()).finish()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            map_size: 16 << 30,
            history: 4096,
            schema: 1,
            migrations: Vec::new(),
            make_room: MakeRoom::default(),
            in_place: false,
        }
    }
}

/// The store as the core has it: everything, `/private` included. A gateway gets
/// [`Store::public_store`] instead.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) live: Arc<Live>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) disk: Arc<Disk>,
    /// The past this document had when it was opened.
    pub(crate) epochs: Meta,
    queue: Arc<Queue>,
    /// The writer, where it has no thread of its own.
    in_place: Option<Mutex<Writer>>,
    transactions: Arc<AtomicU64>,
    schema: u32,
    threads: Mutex<Threads>,
}

/// Counts since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions written to the disk; each is two flushes.
    pub transactions: u64,
}

impl Store {
    /// Opens the store in `dir`, making it when there is none. A new document is
    /// `{"public": {}, "private": {}}`. Blocks: reads every row.
    ///
    /// # Errors
    /// [`OpenError`]; the folder is as it was.
    pub fn open(dir: impl Into<PathBuf>, options: Options) -> Result<Self, OpenError> {
        let dir = dir.into();
        let disk = Arc::new(Disk::open(&dir, options.map_size)?);
        let ready = schema::prepare(&disk, &options)?;
        let live = Arc::new(Live::new(
            ready.tree.clone(),
            ready.position,
            ready.meta.id_limit,
        ));
        let registry = Arc::new(Registry::default());
        let queue = Arc::new(Queue::default());
        let transactions = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            disk: Arc::clone(&disk),
            live: Arc::clone(&live),
            queue: Arc::clone(&queue),
            transactions: Arc::clone(&transactions),
            tree: ready.tree,
            meta: ready.meta.clone(),
            keep: options.history,
            make_room: options.make_room,
        };
        let (in_place, writer) = if options.in_place {
            (Some(Mutex::new(writer)), None)
        } else {
            let writer = spawn(&dir, "patchdb-writer", move || writer.run())?;
            (None, Some(writer))
        };
        let fanout = {
            let (live, registry) = (Arc::clone(&live), Arc::clone(&registry));
            spawn(&dir, "patchdb-fanout", move || {
                fanout::run(&live, &registry)
            })?
        };
        let threads = Threads {
            writer,
            fanout: Some(fanout),
        };
        let inner = Inner {
            live,
            registry,
            disk,
            epochs: ready.meta,
            queue,
            in_place,
            transactions,
            schema: options.schema,
            threads: Mutex::new(threads),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The document now. Never waits.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.inner.live.state())
    }

    /// The public part of the document now. Never waits.
    #[must_use]
    pub fn public(&self) -> PublicSnapshot {
        self.snapshot().public()
    }

    /// The handle for a gateway: it reaches nothing private.
    #[must_use]
    pub fn public_store(&self) -> PublicStore {
        PublicStore::new(self)
    }

    /// Makes a change durable: when this returns, it survives a power cut, and every snapshot
    /// taken from now on has it. A change that alters nothing makes no revision. Dropping the
    /// future does not take the change back.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was changed.
    pub async fn commit(&self, change: Change, why: Why) -> Result<Position, CommitError> {
        let make = Box::new(move |_: &Snapshot| Some(change));
        match self.write(why, make).await? {
            Outcome::Done(position) => Ok(position),
            Outcome::Refused => unreachable!("this job always makes a change"),
        }
    }

    /// Reads and writes in one step: `make` sees the durable document as all writes before it
    /// leave it (volatile values are not in it) and nobody writes in between. It runs on the
    /// writer's thread, so it must be quick and must not wait.
    ///
    /// # Errors
    /// [`MutateError::Refused`] with what `make` returned, or [`MutateError::Commit`].
    pub async fn mutate<E, F>(&self, why: Why, make: F) -> Result<Position, MutateError<E>>
    where
        F: FnOnce(&Snapshot) -> Result<Change, E> + Send + 'static,
        E: Send + 'static,
    {
        let (refuse, refused) = oneshot::channel();
        let make = Box::new(move |snapshot: &Snapshot| match make(snapshot) {
            Ok(change) => Some(change),
            Err(error) => {
                // The caller went away; then nobody wants the reason.
                let _ = refuse.send(error);
                None
            }
        });
        match self.write(why, make).await? {
            Outcome::Done(position) => Ok(position),
            Outcome::Refused => match refused.await {
                Ok(error) => Err(MutateError::Refused(error)),
                Err(_) => Err(CommitError::Closed.into()),
            },
        }
    }

    async fn write(&self, why: Why, make: crate::writer::Make) -> Result<Outcome, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.inner.queue.push(Job::Write { why, make, reply });
        self.inner.write_in_place();
        answer.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Makes a change that lives in memory: seen by snapshots and subscribers at once, gone after
    /// a restart, never on the disk. A later durable change of the same place wins. For what
    /// changes often and is worth nothing after a crash: progress, usage, health.
    ///
    /// # Errors
    /// [`PublishError`]; nothing was changed.
    pub fn publish(&self, change: Change) -> Result<Position, PublishError> {
        let live = &self.inner.live;
        let edits = change.into_edits()?;
        let published = live.publish(&edits);
        // Now and then is enough: half a reservation, millions of ids, is left when it is first
        // wanted, and a disk that refuses should not be asked at every change.
        let is_time = match &published {
            Ok(Some(position)) => position.id.is_multiple_of(1 << 16),
            Err(PublishError::OutOfIds) => true,
            Ok(None) | Err(PublishError::Change(_)) => false,
        };
        if is_time && live.wanted_id_limit().is_some() {
            self.inner.queue.reserve_ids();
            self.inner.write_in_place();
        }
        Ok(published?.unwrap_or_else(|| live.state().position))
    }

    /// Follows a place, `/private` included, from the beginning or from a known position.
    ///
    /// # Errors
    /// When the place is not a pointer.
    pub fn subscribe(
        &self,
        scope: impl ToPointer,
        from: Option<Position>,
    ) -> Result<Subscription, PointerError> {
        Ok(Subscription::begin(&self.inner, scope.to_pointer()?, from))
    }

    /// Follows a public place in the form that may go to a client.
    #[must_use]
    pub fn subscribe_public(
        &self,
        scope: &crate::PublicPointer,
        from: Option<Position>,
    ) -> crate::PublicSubscription {
        self.public_store().subscribe(scope, from)
    }

    /// The value at a place with its position, `/private` included: for an operator with full
    /// rights. A gateway uses [`PublicStore::dump`].
    ///
    /// # Errors
    /// When the place is not a pointer.
    pub fn dump(&self, at: impl ToPointer) -> Result<Dump, PointerError> {
        Ok(Dump::of(&self.inner.live.state(), &at.to_pointer()?))
    }

    /// Where the document is now.
    #[must_use]
    pub fn position(&self) -> Position {
        self.inner.live.state().position
    }

    /// The newest `count` durable revisions, newest first. Blocks on the disk for a moment.
    ///
    /// # Errors
    /// [`DiskReadError`].
    pub fn log(&self, count: u64) -> Result<Vec<LogEntry>, DiskReadError> {
        let newest = self.position().durable;
        let mut entries = self
            .inner
            .disk
            .history((newest + 1).saturating_sub(count).max(1), newest)?;
        entries.reverse();
        Ok(entries)
    }

    /// Reads every row, compares every checksum, and compares the whole with memory. Writes wait
    /// meanwhile (about a second per million values).
    ///
    /// # Errors
    /// [`DiskReadError`] when reading itself fails.
    pub async fn check(&self) -> Result<CheckReport, DiskReadError> {
        let (reply, answer) = oneshot::channel();
        self.inner.queue.push(Job::Check { reply });
        self.inner.write_in_place();
        answer.await.unwrap_or_else(|_| {
            Err(DiskReadError::Closed {
                dir: self.inner.disk.dir().to_owned(),
            })
        })
    }

    /// Writes a complete, compact copy of the store to `file`, which must not exist. Writes go on
    /// meanwhile. Blocks.
    ///
    /// # Errors
    /// [`DiskReadError`].
    pub fn backup(&self, file: &Path) -> Result<(), DiskReadError> {
        self.inner
            .disk
            .copy_to(file)
            .map_err(|source| DiskReadError::Database {
                dir: self.inner.disk.dir().to_owned(),
                source,
            })
    }

    /// The durable document as JSON text, private values included (there are no secrets in it).
    #[must_use]
    pub fn export_json(&self) -> String {
        let state = self.inner.live.state();
        json!({
            "schema": self.inner.schema,
            "durable": state.position.durable,
            "document": state.durable.to_json(),
        })
        .to_string()
    }

    /// Makes the document what `text`, from [`Store::export_json`], says; one revision.
    ///
    /// # Errors
    /// [`ImportError`]; the document is as it was.
    pub async fn import_json(&self, text: &str, why: Why) -> Result<Position, ImportError> {
        #[derive(Deserialize)]
        struct Export {
            schema: u32,
            document: Value,
        }

        let export: Export = serde_json::from_str(text).map_err(ImportError::NotAnExport)?;
        if export.schema != self.inner.schema {
            return Err(ImportError::OtherSchema {
                found: export.schema,
                known: self.inner.schema,
            });
        }
        Ok(self
            .commit(Change::new().put(Pointer::root(), export.document), why)
            .await?)
    }

    /// Counts since the store was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            transactions: self.inner.transactions.load(Ordering::Relaxed),
        }
    }

    /// Finishes the writes that wait, then refuses new ones and ends all streams; returns when
    /// that is done. The folder is free when the other handles are gone as well.
    pub async fn close(self) {
        self.inner.queue.close();
        let inner = self.inner;
        // The threads may be in the middle of a flush.
        let ended = tokio::task::spawn_blocking(move || inner.end_threads()).await;
        if let Err(error) = ended {
            tracing::error!(%error, "a thread of the store panicked");
        }
    }
}

impl From<ChangeError> for ImportError {
    fn from(error: ChangeError) -> Self {
        Self::Commit(error.into())
    }
}

/// The threads of an open store.
#[derive(Default)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    fanout: Option<JoinHandle<()>>,
}

impl Inner {
    /// Does what waits, unless a thread of its own does it.
    fn write_in_place(&self) {
        if let Some(writer) = &self.in_place {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.write_waiting();
        }
    }

    fn end_threads(&self) {
        self.queue.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let end = |thread: Option<JoinHandle<()>>| {
            // The last handle may go inside a `mutate` function, on the writer's own thread.
            if let Some(thread) = thread
                && thread.thread().id() != thread::current().id()
                && thread.join().is_err()
            {
                tracing::error!("a thread of the store panicked");
            }
        };
        // The writer first: what it still commits goes out to the subscribers.
        end(threads.writer);
        self.live.ring.close();
        end(threads.fanout);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_threads();
    }
}

fn spawn(
    dir: &Path,
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| OpenError::Io {
            path: dir.to_owned(),
            source,
        })
}

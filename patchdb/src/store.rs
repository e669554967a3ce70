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
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    change::{Change, ChangeError},
    disk::{CheckReport, Compacted, Disk, LogEntry, Meta, Recovery, recovery},
    error::{
        CommitError, CopyError, DiskReadError, ImportError, MutateError, OpenError, PublishError,
    },
    examiner::Examiner,
    fanout::{self, Registry},
    keeper::{Ends, Keeper},
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
    /// Looks the file over, in another process, before this one maps it; a damaged file is replaced
    /// by its newest sound copy ([`Store::recoveries`]). With none there are no copies either.
    pub examiner: Option<Examiner>,
    /// How often a copy is made, when something was committed since the last. Default one hour.
    pub copy_every: Duration,
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
            examiner: None,
            copy_every: Duration::from_secs(3600),
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
    /// Held once by every stream that is open to clients.
    pub(crate) watched: Arc<()>,
    schema: u32,
    keeper_ends: Arc<Ends>,
    threads: Mutex<Threads>,
}

/// What was done since the store was opened, and who listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions written to the disk; each is two flushes.
    pub transactions: u64,
    /// Streams that are open to clients now.
    pub public_streams: usize,
}

impl Store {
    /// Opens the store in `dir`, making it when there is none. A new document is
    /// `{"public": {}, "private": {}}`. Blocks: reads every row.
    ///
    /// # Errors
    /// [`OpenError`]; the folder is as it was.
    pub fn open(dir: impl Into<PathBuf>, options: Options) -> Result<Self, OpenError> {
        let dir = dir.into();
        let disk = Arc::new(Disk::open(
            &dir,
            options.map_size,
            options.examiner.as_ref(),
        )?);
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
        let keeper_ends = Arc::new(Ends::default());
        let keeper = options.examiner.map(|examiner| {
            let keeper = Keeper {
                disk: Arc::clone(&disk),
                live: Arc::clone(&live),
                queue: Arc::clone(&queue),
                examiner,
                every: options.copy_every,
                ends: Arc::clone(&keeper_ends),
            };
            spawn(&dir, "patchdb-keeper", move || keeper.run())
        });
        let threads = Threads {
            writer,
            fanout: Some(fanout),
            keeper: keeper.transpose()?,
        };
        let inner = Inner {
            live,
            registry,
            disk,
            epochs: ready.meta,
            queue,
            in_place,
            transactions,
            watched: Arc::default(),
            schema: options.schema,
            keeper_ends,
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
    pub fn log(&self, count: usize) -> Result<Vec<LogEntry>, DiskReadError> {
        self.log_where(count, |_| true)
    }

    /// The newest `count` durable revisions of those that are `wanted`, newest first. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// [`DiskReadError`].
    pub fn log_where(
        &self,
        count: usize,
        wanted: impl Fn(&LogEntry) -> bool,
    ) -> Result<Vec<LogEntry>, DiskReadError> {
        self.inner.disk.history_back(count, wanted)
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

    /// What of this store was found damaged and replaced by a copy, as long as what was damaged is
    /// still kept; newest last.
    #[must_use]
    pub fn recoveries(&self) -> Vec<Recovery> {
        recovery::kept(self.inner.disk.dir())
    }

    /// Gives room back that the file once needed and no longer does. Writes wait meanwhile (about
    /// as long as copying the file takes). Happens by itself when it is worth it, where there is an
    /// examiner.
    ///
    /// # Errors
    /// [`CopyError`]; the file is as it was.
    pub async fn compact(&self) -> Result<Compacted, CopyError> {
        let (reply, answer) = oneshot::channel();
        self.inner.queue.push(Job::Compact { reply });
        answer.await.unwrap_or(Err(CopyError::Closed))
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

    /// The durable document as JSON, private values included (there are no secrets in it).
    #[must_use]
    pub fn export_json(&self) -> Value {
        let state = self.inner.live.state();
        json!({
            "schema": self.inner.schema,
            "durable": state.position.durable,
            "document": state.durable.to_json(),
        })
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

    /// What was done since the store was opened, and who listens.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            transactions: self.inner.transactions.load(Ordering::Relaxed),
            public_streams: Arc::strong_count(&self.inner.watched) - 1,
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
    keeper: Option<JoinHandle<()>>,
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
        self.keeper_ends.tell();
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
        end(threads.keeper);
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

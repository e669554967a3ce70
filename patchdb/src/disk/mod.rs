//! The store on disk: one LMDB environment with three databases.
//!
//! | database | key | value |
//! | --- | --- | --- |
//! | `doc` | pointer | a leaf of the document, see [`rows`] |
//! | `history` | durable revision, big endian | who, when, why and the operations |
//! | `meta` | a name | counters and versions |
//!
//! Invariant: the three change together in one transaction, and a transaction is on the disk when
//! [`Disk::write`] returns. LMDB never overwrites what the last committed state uses, so a failure
//! at any moment leaves that state.
//!
//! ```text
//! open ──write──▶ open
//!   │ a failed meta page write makes LMDB refuse everything after it
//!   └──▶ failed ──at once, or else before the next access: close, map again──▶ open
//! ```

mod birth;
mod compact;
pub(crate) mod copies;
mod examine;
mod history;
mod layout;
mod lock;
mod meta;
pub(crate) mod recovery;
mod rows;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use heed::{
    CommitOrAbort, CompactionOption, Database, Env, EnvOpenOptions, MdbError, RoTxn, RwTxn,
    WithoutTls, types::Bytes,
};

use nix::unistd::{SysconfVar, sysconf};

pub use compact::Compacted;
pub use history::LogEntry;
pub use recovery::Recovery;
pub use rows::DamagedRow;

pub(crate) use birth::ensure_born;
pub(crate) use examine::{Sound, examine};
pub(crate) use history::HistoryEntry;
pub(crate) use lock::OwnerLock;
pub(crate) use meta::Meta;
pub(crate) use rows::{RowChanges, row_changes, seal, unseal};

use crate::{
    error::{CopyError, DiskReadError, OpenError},
    examiner::Examiner,
    tree::Node,
};

type Table = Database<'static, Bytes, Bytes>;

const TABLES: [&str; 3] = ["doc", "history", "meta"];

/// The open store.
pub(crate) struct Disk {
    dir: PathBuf,
    map_size: usize,
    /// `None` only while it is being mapped again.
    opened: RwLock<Option<Opened>>,
    /// The file has been replaced, and a power cut might still bring the old one back.
    name_is_new: AtomicBool,
    // After `opened`: the map is gone before another process may lock.
    _lock: OwnerLock,
}

struct Opened {
    env: Env<WithoutTls>,
    doc: Table,
    history: Table,
    meta: Table,
}

/// Everything one durable transaction writes.
pub(crate) struct Batch<'a> {
    pub(crate) rows: &'a RowChanges,
    pub(crate) history: &'a [HistoryEntry],
    /// Revisions before this one leave the history.
    pub(crate) keep_from: u64,
    pub(crate) meta: &'a Meta,
    /// Whether the list of opens in `meta` has changed.
    pub(crate) opens: bool,
}

/// What a store holds when it is opened.
pub(crate) struct Loaded {
    pub(crate) tree: Node,
    /// `None` in a new store.
    pub(crate) meta: Option<Meta>,
}

/// What `check` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Rows of the document that were read.
    pub rows: u64,
    /// Revisions of the history that were read.
    pub revisions: u64,
    /// Every row that is not what was written.
    pub damaged: Vec<DamagedRow>,
    /// Whether what is on disk is what is in memory.
    pub matches_memory: bool,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.matches_memory
    }
}

impl Disk {
    /// With an examiner, the file is looked over first, and replaced by its newest sound copy when
    /// something is wrong with it.
    pub(crate) fn open(
        dir: &Path,
        map_size: usize,
        examiner: Option<&Examiner>,
    ) -> Result<Self, OpenError> {
        make_private_dir(dir)?;
        let lock = OwnerLock::take(dir)?;
        if let Some(examiner) = examiner {
            recovery::ensure_sound(dir, examiner)?;
        }
        ensure_born(dir, map_size, &TABLES)?;
        let opened = Opened::map(dir, map_size).map_err(|source| OpenError::Database {
            dir: dir.to_owned(),
            source,
        })?;
        sync_dir(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            map_size,
            opened: RwLock::new(Some(opened)),
            name_is_new: AtomicBool::new(false),
            _lock: lock,
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the document, unless it is newer than `schema` or this code.
    pub(crate) fn load(&self, schema: u32) -> Result<Loaded, OpenError> {
        let damaged = |row| OpenError::Damaged {
            dir: self.dir.clone(),
            row,
        };
        let database = |source| OpenError::Database {
            dir: self.dir.clone(),
            source,
        };
        let newer = |found, known| OpenError::Newer {
            dir: self.dir.clone(),
            found,
            known,
        };
        let meta = self
            .read(|opened, txn| meta::load(opened.meta, txn))
            .map_err(database)?;
        let Some(meta) = meta.transpose().map_err(damaged)? else {
            return Ok(Loaded {
                tree: Node::Null,
                meta: None,
            });
        };
        if meta.format > meta::FORMAT {
            return Err(newer(meta.format, meta::FORMAT));
        }
        if meta.schema > schema {
            return Err(newer(meta.schema, schema));
        }
        let tree = self
            .read(|opened, txn| {
                let mut builder = rows::TreeBuilder::default();
                for row in opened.doc.iter(txn)? {
                    let (key, value) = row?;
                    if let Err(row) = builder.add(key, value) {
                        return Ok(Err(row));
                    }
                }
                Ok(Ok(builder.finish()))
            })
            .map_err(database)?
            .map_err(damaged)?;
        Ok(Loaded {
            tree,
            meta: Some(meta),
        })
    }

    /// Writes everything or nothing; on `Ok` it is on the disk.
    pub(crate) fn write(&self, batch: &Batch<'_>) -> Result<(), heed::Error> {
        self.sync_name()?;
        let result = self.read_lock(|opened| {
            let mut txn = opened.env.write_txn()?;
            opened.fill(&mut txn, batch)?;
            txn.commit()
        });
        if result.is_err() && self.has_given_up() {
            // When that fails as well, whoever comes next tries again.
            let _ = self.map_again();
        }
        result
    }

    fn has_given_up(&self) -> bool {
        let gave_up = |error| matches!(error, heed::Error::Mdb(MdbError::Panic));
        self.read_lock(|opened| opened.env.read_txn().map(drop))
            .is_err_and(gave_up)
    }

    /// LMDB refuses all work after it failed to write a meta page. What was committed is still
    /// good, so closing and mapping the file again is the way on without a restart.
    fn map_again(&self) -> Result<(), heed::Error> {
        tracing::warn!(dir = %self.dir.display(), "mapping the store again after a failed write");
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        *opened = None;
        *opened = Some(Opened::map(&self.dir, self.map_size)?);
        Ok(())
    }

    /// The stored revisions `from..=to`, oldest first; shorter when the history begins later.
    pub(crate) fn history(&self, from: u64, to: u64) -> Result<Vec<LogEntry>, DiskReadError> {
        self.read_history(|opened, txn| history::range(opened.history, txn, from, to))
    }

    /// The newest `count` stored revisions of those that are `wanted`, newest first.
    pub(crate) fn history_back(
        &self,
        count: usize,
        wanted: impl Fn(&LogEntry) -> bool,
    ) -> Result<Vec<LogEntry>, DiskReadError> {
        self.read_history(|opened, txn| history::back(opened.history, txn, count, wanted))
    }

    fn read_history(
        &self,
        read: impl FnOnce(
            &Opened,
            &RoTxn<'_, WithoutTls>,
        ) -> Result<Result<Vec<LogEntry>, DamagedRow>, heed::Error>,
    ) -> Result<Vec<LogEntry>, DiskReadError> {
        self.read(read)
            .map_err(|source| DiskReadError::Database {
                dir: self.dir.clone(),
                source,
            })?
            .map_err(|row| DiskReadError::Damaged {
                dir: self.dir.clone(),
                row,
            })
    }

    /// Reads every row. `memory` is the document that should be there; the caller is the writer,
    /// so nothing moves meanwhile.
    pub(crate) fn check(&self, memory: &Node) -> Result<CheckReport, DiskReadError> {
        self.read(|opened, txn| {
            let mut report = CheckReport::default();
            let mut builder = rows::TreeBuilder::default();
            for row in opened.doc.iter(txn)? {
                let (key, value) = row?;
                report.rows += 1;
                report.damaged.extend(builder.add(key, value).err());
            }
            for row in opened.history.iter(txn)? {
                let (key, value) = row?;
                report.revisions += 1;
                report.damaged.extend(history::read(key, value).err());
            }
            report.matches_memory = builder.finish().equals(memory);
            Ok(report)
        })
        .map_err(|source| DiskReadError::Database {
            dir: self.dir.clone(),
            source,
        })
    }

    /// Writes a compact, complete copy to `file`, which must not exist yet.
    pub(crate) fn copy_to(&self, file: &Path) -> Result<(), heed::Error> {
        self.read_lock(|opened| copy(opened, file))
    }

    /// Lets `replace` put another file in the place of the one that is mapped, and maps that. Nobody
    /// reads or writes meanwhile. When `replace` fails, the old file must be in its place still.
    fn swap<T>(
        &self,
        replace: impl FnOnce(&Opened) -> Result<T, CopyError>,
    ) -> Result<T, CopyError> {
        let database = |source| CopyError::Database {
            dir: self.dir.clone(),
            source,
        };
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let current = opened
            .as_ref()
            .ok_or_else(|| database(MdbError::Panic.into()))?;
        let result = replace(current)?;
        *opened = None;
        // The new file is the store from here on, whatever fails.
        self.name_is_new.store(true, Ordering::SeqCst);
        *opened = Some(Opened::map(&self.dir, self.map_size).map_err(database)?);
        drop(opened);
        self.sync_name().map_err(database)?;
        Ok(result)
    }

    /// Nothing may be written to a file whose name is not on the disk: it would be promised, and lost
    /// with the name.
    fn sync_name(&self) -> Result<(), heed::Error> {
        if self.name_is_new.load(Ordering::SeqCst) {
            fs::File::open(&self.dir)?.sync_all()?;
            self.name_is_new.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    fn read<T>(
        &self,
        f: impl FnOnce(&Opened, &RoTxn<'_, WithoutTls>) -> Result<T, heed::Error>,
    ) -> Result<T, heed::Error> {
        self.read_lock(|opened| {
            let txn = opened.env.read_txn()?;
            f(opened, &txn)
        })
    }

    fn read_lock<T>(
        &self,
        f: impl FnOnce(&Opened) -> Result<T, heed::Error>,
    ) -> Result<T, heed::Error> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        // Absent only when mapping it again failed; the next write tries once more.
        if let Some(opened) = opened.as_ref() {
            return f(opened);
        }
        drop(opened);
        self.map_again()?;
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().map_or(Err(MdbError::Panic.into()), f)
    }
}

/// Writes everything of `opened`, and no free pages, to `file`, which must not exist yet.
fn copy(opened: &Opened, file: &Path) -> Result<(), heed::Error> {
    let mut copy = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)?;
    copy.set_permissions(fs::Permissions::from_mode(0o600))?;
    opened
        .env
        .copy_to_file(&mut copy, CompactionOption::Enabled)?;
    copy.sync_all()?;
    Ok(())
}

impl Opened {
    fn map(dir: &Path, map_size: usize) -> Result<Self, heed::Error> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map_size).max_dbs(3).max_readers(512);
        // SAFETY: the files lie in a folder only we may enter, the owner lock keeps other
        // processes that follow our rules out, and no flag weakens LMDB's own locking or syncing.
        let env = unsafe { options.open(dir)? };
        fill_up(&env, &dir.join("data.mdb"))?;
        let txn = env.write_txn()?;
        let [doc, history, meta] = env
            .create_databases_and_commit(txn, |open, txn| {
                let mut table = |name| open.create_database::<Bytes, Bytes>(txn, Some(name));
                let [doc, history, meta] = TABLES;
                let tables = [table(doc)?, table(history)?, table(meta)?];
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(tables))
            })?
            .unwrap_commit();
        Ok(Self {
            env,
            doc,
            history,
            meta,
        })
    }

    fn fill(&self, txn: &mut RwTxn<'_>, batch: &Batch<'_>) -> Result<(), heed::Error> {
        for (key, value) in batch.rows {
            match value {
                Some(value) => self.doc.put(txn, key, value)?,
                None => {
                    self.doc.delete(txn, key)?;
                }
            }
        }
        history::append(self.history, txn, batch.history)?;
        history::prune(self.history, txn, batch.keep_from)?;
        meta::save(self.meta, txn, batch.meta, batch.opens)
    }
}

/// A file that was cut short would end this process with SIGBUS when a missing page is read. With a
/// hole in the page's place LMDB or a checksum notices, and opening fails with an error. (Pages at
/// the end that were never needed may be missing in a sound file; then the hole is harmless.)
fn fill_up(env: &Env<WithoutTls>, file: &Path) -> Result<(), heed::Error> {
    let page = sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .unwrap_or(4096);
    let pages = env.info().last_page_number as u64 + 1;
    let bytes = pages.saturating_mul(u64::try_from(page).unwrap_or(4096));
    if fs::metadata(file)?.len() < bytes {
        fs::OpenOptions::new()
            .write(true)
            .open(file)?
            .set_len(bytes)?;
    }
    Ok(())
}

/// Makes the folder, for its owner only.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io {
        path: dir.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(io)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io)
}

/// A file is durable only when its name is: LMDB syncs the file, this the folder and its parent.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), OpenError> {
    for dir in [Some(dir), dir.parent()].into_iter().flatten() {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        fs::File::open(dir)
            .and_then(|opened| opened.sync_all())
            .map_err(|source| OpenError::Io {
                path: dir.to_owned(),
                source,
            })?;
    }
    Ok(())
}

//! What can go wrong with a store, by operation. Messages name the object and the next step; they
//! do not repeat their source.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::{errno::Errno, sys::statvfs::statvfs};

use crate::{
    change::ChangeError,
    disk::DamagedRow,
    pointer::{Pointer, PointerError},
};

/// Why a store did not open. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another handle in this one) has it open.
    #[error("the store `{dir}` is already open{}; stop that first", .pid.map(|pid| format!(" in process {pid}")).unwrap_or_default())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The owner, when it said so.
        pid: Option<u32>,
    },
    /// Written by a newer Coppice.
    #[error(
        "the store `{dir}` has version {found}, this program knows up to {known}; update it, or restore a backup"
    )]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// The version found: of the rows, or of the document's schema.
        found: u32,
        /// The newest version this program reads.
        known: u32,
    },
    /// A migration refused the document.
    #[error(
        "the document in `{dir}` could not be brought to version {to}: {reason}; it is unchanged, and a copy is beside it"
    )]
    Migration {
        /// The folder.
        dir: PathBuf,
        /// The version that was not reached.
        to: u32,
        /// What the migration said.
        reason: String,
    },
    /// A row is not what was written.
    #[error("the store `{dir}` is damaged; restore a backup")]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// The first damaged row.
        #[source]
        row: DamagedRow,
    },
    /// The file is damaged. Opening it would go back to a copy, if there is a sound one.
    #[error("the store `{dir}` is damaged: {reason}")]
    Unsound {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is damaged, and no sound copy of it is beside it.
    #[error(
        "the store `{dir}` is damaged ({reason}), and no sound copy is beside it; restore a backup"
    )]
    DamagedBeyondCopies {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// LMDB said no.
    #[error("the store `{dir}` could not be opened")]
    Database {
        /// The folder.
        dir: PathBuf,
        /// What LMDB or the system said.
        #[source]
        source: heed::Error,
    },
    /// A file or folder could not be made or read.
    #[error("`{path}` could not be used")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why a change was not made. The document, in memory and on disk, is as it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// It does not fit the document.
    #[error("the change does not fit the document")]
    Change(#[from] ChangeError),
    /// No space. Reading and volatile changes go on; no restart is needed once there is space.
    #[error("the disk that holds `{dir}` is full; free some space and try again")]
    Full {
        /// The folder of the store.
        dir: PathBuf,
    },
    /// The filesystem takes no writes any more. Reading and volatile changes go on; no restart is
    /// needed once it does.
    #[error(
        "the disk that holds `{dir}` has become read-only, as failing disks do; look at the system's log"
    )]
    ReadOnly {
        /// The folder of the store.
        dir: PathBuf,
    },
    /// The disk or LMDB failed.
    #[error("the change could not be written to `{dir}`")]
    Disk {
        /// The folder of the store.
        dir: PathBuf,
        /// What LMDB or the system said.
        #[source]
        source: Arc<heed::Error>,
    },
    /// The function given to `mutate` panicked.
    #[error("the function that was to make the change panicked")]
    Panicked,
    /// The store was closed meanwhile.
    #[error("the store is closed")]
    Closed,
}

impl CommitError {
    /// Whether the same change may work later without anyone changing it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::ReadOnly { .. } | Self::Disk { .. }
        )
    }

    pub(crate) fn disk(dir: &Path, source: heed::Error) -> Self {
        if is_full(dir, &source) {
            Self::Full {
                dir: dir.to_owned(),
            }
        } else if is_read_only(&source) {
            Self::ReadOnly {
                dir: dir.to_owned(),
            }
        } else {
            Self::Disk {
                dir: dir.to_owned(),
                source: Arc::new(source),
            }
        }
    }
}

/// Why `mutate` made no change.
#[derive(Debug, thiserror::Error)]
pub enum MutateError<E> {
    /// The function looked at the document and said no.
    #[error("refused")]
    Refused(E),
    /// The change it made could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Why a volatile change was not published. The document is as it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// It does not fit the document.
    #[error("the change does not fit the document")]
    Change(#[from] ChangeError),
    /// All reserved ids are used and the disk takes no new reservation.
    #[error("no revision ids are left until the disk accepts writes again")]
    OutOfIds,
}

/// Why a value could not be read as the type asked for.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The place is not a JSON Pointer.
    #[error("cannot read from a place that cannot be")]
    Pointer(#[from] PointerError),
    /// The value has another shape.
    #[error("the value at `{at}` has not the expected shape")]
    Shape {
        /// The place.
        at: Pointer,
        /// What the deserialiser said.
        #[source]
        source: serde_json::Error,
    },
}

/// Why history, checks or copies could not be read from the disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskReadError {
    /// LMDB or the system failed.
    #[error("the store `{dir}` could not be read")]
    Database {
        /// The folder.
        dir: PathBuf,
        /// What LMDB or the system said.
        #[source]
        source: heed::Error,
    },
    /// The store was closed meanwhile.
    #[error("the store `{dir}` is closed")]
    Closed {
        /// The folder.
        dir: PathBuf,
    },
    /// A stored revision is not what was written.
    #[error("the history in `{dir}` is damaged")]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// The row.
        #[source]
        row: DamagedRow,
    },
}

/// Why a store was not copied or compacted. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// LMDB or the system failed.
    #[error("the store `{dir}` could not be copied")]
    Database {
        /// The folder.
        dir: PathBuf,
        /// What LMDB or the system said.
        #[source]
        source: heed::Error,
    },
    /// A file or folder could not be made or renamed.
    #[error("`{path}` could not be written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder for it could not be made.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// What was written does not read back; the disk may be failing.
    #[error("a copy of the store `{dir}` did not read back ({reason}); look at the disk")]
    NotSound {
        /// The folder of the store.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The store was closed meanwhile.
    #[error("the store is closed")]
    Closed,
}

/// A document that cannot be imported. The store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not what `export_json` writes.
    #[error("this is not an exported document")]
    NotAnExport(#[source] serde_json::Error),
    /// Exported by a newer or older program.
    #[error("the export has schema version {found}, this store has {known}")]
    OtherSchema {
        /// The export's version.
        found: u32,
        /// The store's version.
        known: u32,
    },
    /// It could not be written.
    #[error("the imported document was not written")]
    Commit(#[from] CommitError),
}

/// A disk with less than this left is full: LMDB writes up to 256 KiB at a time.
const FULL_BYTES: u64 = 1 << 20;

/// Whether writing below `dir` failed for want of space.
pub(crate) fn is_full(dir: &Path, error: &heed::Error) -> bool {
    match error {
        heed::Error::Mdb(heed::MdbError::MapFull) => true,
        heed::Error::Io(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => true,
            // What LMDB makes of a write that was cut short. A disk fails that way as well, so
            // look at what is left; when that cannot be told, it is the disk.
            Some(Errno::EIO) => statvfs(dir)
                .is_ok_and(|disk| disk.blocks_available() * disk.fragment_size() < FULL_BYTES),
            _ => false,
        },
        _ => false,
    }
}

fn is_read_only(error: &heed::Error) -> bool {
    matches!(error, heed::Error::Io(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

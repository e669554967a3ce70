//! Giving back the room that a store once needed and no longer does.
//!
//! LMDB's file never shrinks; its free pages are used again. Compacting writes what is there to a new
//! file and swaps that in.
//!
//! Invariants: the new file takes the old one's name only when it is on the disk and holds the very
//! same rows, which a digest over both tells; a crash at any moment leaves one of the two. Nothing is
//! written to it before the name, too, is on the disk.

use std::{fs, path::Path};

use super::{Disk, Opened, TABLES, examine};
use crate::error::CopyError;

/// Less than this to be gained is not worth the writing.
const WORTH_BYTES: u64 = 16 << 20;

/// What compacting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the file before.
    pub before: u64,
    /// Bytes of the file now.
    pub after: u64,
}

impl Disk {
    /// Compacts the store. The caller is the writer: nothing is written meanwhile.
    pub(crate) fn compact(&self) -> Result<Compacted, CopyError> {
        let data = self.dir().join("data.mdb");
        let partial = self.dir().join("data.mdb.partial");
        let database = |source| CopyError::Database {
            dir: self.dir().to_owned(),
            source,
        };
        let io = |source| CopyError::Io {
            path: partial.clone(),
            source,
        };
        // What a crash left; usually nothing.
        let _ = fs::remove_file(&partial);
        let swapped = self.swap(|opened| {
            let before = size(&data)?;
            super::copy(opened, &partial).map_err(database)?;
            let not_same = |reason: String| CopyError::NotSound {
                dir: self.dir().to_owned(),
                reason,
            };
            let copied = examine::examine(&partial).map_err(|flaw| not_same(flaw.to_string()))?;
            if opened.digest().map_err(|flaw| not_same(flaw.to_string()))? != copied {
                return Err(not_same("it does not hold the same rows".to_owned()));
            }
            let after = size(&partial)?;
            fs::rename(&partial, &data).map_err(io)?;
            Ok(Compacted { before, after })
        });
        if swapped.is_err() {
            let _ = fs::remove_file(&partial);
        }
        swapped
    }

    /// Whether compacting would make much of the file go away.
    pub(crate) fn is_worth_compacting(&self) -> Result<bool, heed::Error> {
        self.read(|opened, txn| {
            let size = opened.env.real_disk_size()?;
            let mut used = 0;
            for table in [opened.doc, opened.history, opened.meta] {
                let stat = table.stat(txn)?;
                let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
                used += pages as u64 * u64::from(stat.page_size);
            }
            Ok(size.saturating_sub(used) > WORTH_BYTES.max(size / 2))
        })
    }
}

impl Opened {
    fn digest(&self) -> Result<examine::Sound, examine::Flaw> {
        let txn = self.env.read_txn()?;
        let [doc, history, meta] = TABLES;
        let tables = [(doc, self.doc), (history, self.history), (meta, self.meta)];
        examine::digest(tables, &txn)
    }
}

fn size(file: &Path) -> Result<u64, CopyError> {
    fs::metadata(file)
        .map(|file| file.len())
        .map_err(|source| CopyError::Io {
            path: file.to_owned(),
            source,
        })
}

//! Before a store is mapped: is it sound? If not, its newest sound copy takes its place.
//!
//! ```text
//! data.mdb ──examined──▶ sound ──────────────────────────────────────────▶ map it
//!                └─▶ damaged ─▶ newest sound copy ─▶ data.mdb (swapped in) ─▶ map it
//!                                    └─▶ none: refuse to open
//! ```
//!
//! Invariants:
//! - `data.mdb` is at every moment the old file or the whole new one.
//! - The damaged file is kept, with what was wrong, in `damaged-N`; as long as it is, every open
//!   tells of it ([`Recovery`]).
//! - `restored` is there from before the swap until the first transaction after it: ids of clients
//!   that the copy does not know of may have been given out, and the next open leaps over them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use coppice_clock::Wall;
use serde::{Deserialize, Serialize};

use super::{copies, sync_dir};
use crate::{
    error::OpenError,
    examiner::{Examiner, Verdict},
};

const DATA: &str = "data.mdb";
const RESTORED: &str = "restored";
const DAMAGED: &str = "damaged-";
const STORY: &str = "story.json";

/// That a store was damaged and an older copy of it took its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// When that was noticed.
    pub at: Wall,
    /// What was wrong.
    pub reason: String,
    /// When the copy was made that took the damaged store's place.
    pub copy_of: Wall,
    /// Where the damaged file is. While this folder exists, the recovery is told of.
    #[serde(skip)]
    pub kept: PathBuf,
}

/// Sees to it that `data.mdb` may be mapped. The caller holds the store's lock.
pub(crate) fn ensure_sound(dir: &Path, examiner: &Examiner) -> Result<(), OpenError> {
    let data = dir.join(DATA);
    let io = |source| OpenError::Io {
        path: dir.to_owned(),
        source,
    };
    let copies = copies::list(dir).map_err(io)?;
    let reason = if data.try_exists().map_err(io)? {
        match examiner.examine(&data) {
            Verdict::Sound(_) => return Ok(()),
            Verdict::Unknown(reason) => {
                // Its rows are compared with their checksums when they are read, as well.
                tracing::warn!(dir = %dir.display(), reason, "nobody could look the store over");
                return Ok(());
            }
            Verdict::Damaged(reason) => reason,
        }
    } else if copies.is_empty() {
        return Ok(());
    } else {
        "the file is missing".to_owned()
    };
    tracing::error!(dir = %dir.display(), reason, "the store is damaged");
    let is_sound = |copy: &&PathBuf| matches!(examiner.examine(copy), Verdict::Sound(_));
    let Some(copy) = copies.iter().find(is_sound) else {
        return Err(OpenError::DamagedBeyondCopies {
            dir: dir.to_owned(),
            reason,
        });
    };
    put_back(dir, copy, &copies, reason).map_err(io)?;
    sync_dir(dir)
}

fn put_back(dir: &Path, copy: &Path, copies: &[PathBuf], reason: String) -> io::Result<()> {
    let data = dir.join(DATA);
    let kept = free_name(dir)?;
    fs::create_dir(&kept)?;
    let written = fs::metadata(copy)?.modified()?;
    let since = written
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let recovery = Recovery {
        at: Wall::now(),
        reason,
        copy_of: Wall::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        kept: kept.clone(),
    };
    fs::write(kept.join(STORY), serde_json::to_vec(&recovery)?)?;
    if data.try_exists()? {
        fs::hard_link(&data, kept.join(DATA))?;
    }
    fs::File::create(dir.join(RESTORED))?.sync_all()?;
    let partial = dir.join("data.mdb.partial");
    fs::copy(copy, &partial)?;
    fs::File::open(&partial)?.sync_all()?;
    fs::File::open(&kept)?.sync_all()?;
    fs::rename(&partial, &data)?;
    // Newer than the one that was good, so not good: they must not be tried before it again.
    for worse in copies.iter().take_while(|other| *other != copy) {
        fs::remove_file(worse)?;
    }
    Ok(())
}

fn free_name(dir: &Path) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let name = dir.join(format!("{DAMAGED}{number}"));
        if !name.try_exists()? {
            return Ok(name);
        }
        number += 1;
    }
}

/// What was damaged before and is still kept, newest last. A story that cannot be read is left out:
/// it may be that of a recovery that was cut short, and the next one tells its own.
pub(crate) fn kept(dir: &Path) -> Vec<Recovery> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<Recovery> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(DAMAGED))
        .filter_map(|entry| {
            let story = fs::read(entry.path().join(STORY)).ok()?;
            let recovery: Recovery = serde_json::from_slice(&story).ok()?;
            Some(Recovery {
                kept: entry.path(),
                ..recovery
            })
        })
        .collect();
    found.sort_by_key(|recovery| recovery.at);
    found
}

/// Whether the file is a copy whose first transaction is still to come.
pub(crate) fn is_restored(dir: &Path) -> Result<bool, OpenError> {
    let mark = dir.join(RESTORED);
    mark.try_exists()
        .map_err(|source| OpenError::Io { path: mark, source })
}

/// That transaction is on the disk.
pub(crate) fn forget_restored(dir: &Path) {
    // When it stays, the next open leaps once more, and there is room for thousands of leaps.
    let _ = fs::remove_file(dir.join(RESTORED));
}

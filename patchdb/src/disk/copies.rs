//! Copies of a store that were looked over after they were written: what there is to go back to.
//!
//! ```text
//! copies/00000007.mdb.partial ──examined: sound──▶ copies/00000007.mdb
//! ```
//!
//! Invariants: whatever has its final name was sound when it got it, and is on the disk; numbers
//! grow, so the highest is the newest. No more than [`KEEP`] are kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Disk, sync_dir};
use crate::{
    error::CopyError,
    examiner::{Examiner, Verdict},
};

/// The newest may itself turn out damaged.
const KEEP: usize = 2;

const FOLDER: &str = "copies";
const ENDING: &str = "mdb";
const PARTIAL: &str = "partial";

/// The copies beside the store in `dir`, newest first.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    let entries = match fs::read_dir(dir.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING)
            && let Some(number) = number(&path)
        {
            found.push((number, path));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn number(copy: &Path) -> Option<u64> {
    copy.file_stem()?.to_str()?.parse().ok()
}

/// Makes another copy, and lets the oldest go. Writes go on meanwhile.
pub(crate) fn make(disk: &Disk, examiner: &Examiner) -> Result<PathBuf, CopyError> {
    let folder = disk.dir().join(FOLDER);
    let io = |source| CopyError::Io {
        path: folder.clone(),
        source,
    };
    super::make_private_dir(&folder)?;
    let before = list(disk.dir()).map_err(io)?;
    let last = before.first().and_then(|copy| number(copy)).unwrap_or(0);
    let copy = folder.join(format!("{:08}.{ENDING}", last + 1));
    let partial = Partial(copy.with_extension(PARTIAL));
    partial.remove();
    disk.copy_to(&partial.0)
        .map_err(|source| CopyError::Database {
            dir: disk.dir().to_owned(),
            source,
        })?;
    match examiner.examine(&partial.0) {
        Verdict::Sound(_) => {}
        Verdict::Damaged(reason) | Verdict::Unknown(reason) => {
            return Err(CopyError::NotSound {
                dir: disk.dir().to_owned(),
                reason,
            });
        }
    }
    fs::rename(&partial.0, &copy).map_err(io)?;
    sync_dir(&folder)?;
    // Only now: the new one is on the disk.
    for old in before.iter().skip(KEEP - 1) {
        if let Err(error) = fs::remove_file(old) {
            tracing::warn!(copy = %old.display(), %error, "an old copy of the store was not removed");
        }
    }
    Ok(copy)
}

/// A copy that is not to be trusted yet; gone when dropped, unless it got another name.
struct Partial(PathBuf);

impl Partial {
    fn remove(&self) {
        // That it is not there is what is wanted.
        let _ = fs::remove_file(&self.0);
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

//! Room kept for bad times: a file that is given up when the disk is full, so that stopping, removing and
//! saying so still work.
//!
//! Invariant: it is taken only where several times as much is free, so it never makes a disk full.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{FallocateFlags, fallocate},
    sys::statvfs::statvfs,
};

/// Thousands of writes of the document, or the logs of a few restarts.
const BYTES: u64 = 64 << 20;
/// Free space that there must be for it to be taken.
const PLENTY: u64 = 4 * BYTES;

/// The file.
#[derive(Clone, Debug)]
pub struct Reserve {
    file: PathBuf,
}

impl Reserve {
    /// The one in the data folder.
    #[must_use]
    pub fn in_folder(data: &Path) -> Self {
        Self {
            file: data.join("reserve"),
        }
    }

    /// Takes the room, unless it is taken already or there is not plenty. Blocks.
    pub(crate) fn hold(&self) {
        if let Err(error) = self.try_hold() {
            // Without it everything works until the disk is full.
            tracing::warn!(file = %self.file.display(), %error, "no room could be reserved for a full disk");
        }
    }

    fn try_hold(&self) -> io::Result<()> {
        if fs::metadata(&self.file).is_ok_and(|file| file.len() >= BYTES) {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let disk = statvfs(folder)?;
        if disk.blocks_available() as u64 * disk.fragment_size() as u64 <= PLENTY {
            return Ok(());
        }
        let file = File::create(&self.file)?;
        let length = i64::try_from(BYTES).map_err(io::Error::other)?;
        fallocate(&file, FallocateFlags::empty(), 0, length)?;
        Ok(())
    }

    /// Bytes that are missing from it.
    pub(crate) fn lacks(&self) -> u64 {
        let held = fs::metadata(&self.file).map_or(0, |file| file.len());
        BYTES.saturating_sub(held)
    }

    /// Gives the room up; says whether there was any. Blocks.
    pub(crate) fn give_up(&self) -> bool {
        let had = fs::remove_file(&self.file).is_ok();
        if had {
            tracing::warn!(
                "the disk is full: the reserve of {} MiB was given up; free some space",
                BYTES >> 20
            );
        }
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_after_holding_twice_and_gone_after_giving_up_once() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::in_folder(folder.path());
        reserve.try_hold().unwrap();
        reserve.try_hold().unwrap();
        assert_eq!(fs::metadata(&reserve.file).unwrap().len(), BYTES);
        assert!(reserve.give_up());
        assert!(!reserve.give_up());
    }
}

//! Files without their final name yet.
//!
//! Invariant: dropping one removes it; only [`Partial::keep`] ends that.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The ending by which [`super::Store::open`] knows what a crash left.
pub(super) const SUFFIX: &str = ".partial";

#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Partial {
    /// Makes an empty file. It can be written through this handle only: its mode is 0444 already,
    /// so that no moment exists in which the final name could be opened for writing.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&path)?;
        Ok(Self {
            path,
            file,
            kept: false,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file has another name now, or is to stay under this one.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // What stays behind has the suffix, so the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

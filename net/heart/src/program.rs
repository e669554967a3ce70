//! The program that a child is made from.
//!
//! Invariant: what was opened stays what is run. The file at the path may be replaced at any time (that is how an
//! upgrade comes onto the disk); a child that has to be started again meanwhile is started from what its sibling runs.

use std::{
    fs::File,
    io::{self, Read},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    file: File,
}

impl Program {
    /// What this process runs, even if its file is gone from the disk.
    pub(crate) fn own() -> io::Result<Self> {
        Ok(Self {
            path: std::env::current_exe()?,
            file: File::open("/proc/self/exe")?,
        })
    }

    /// A program on the disk, as it is now.
    ///
    /// # Errors
    /// In words that can follow "could not be run".
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let found = file.metadata().map_err(|error| error.to_string())?;
        if !found.is_file() {
            return Err("it is not a file".to_owned());
        }
        if found.permissions().mode() & 0o111 == 0 {
            return Err("it is not executable".to_owned());
        }
        // Anything else would be given to a shell, line by line.
        let mut magic = [0; 4];
        if (&file).read_exact(&mut magic).is_err() || magic != *b"\x7fELF" {
            return Err("it is not a program".to_owned());
        }
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// How it is called; what is there may be another program by now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path by which this process, or a fork of it, can run it.
    pub(crate) fn to_run(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

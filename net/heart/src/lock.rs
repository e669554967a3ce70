//! The lock on the data folder.
//!
//! Invariant: while it is held, the lock file says which processes belong to the holder: itself and
//! the children it has started. The kernel releases the lock with its holder, whatever happens;
//! the children's lines are then what a next heart knows of them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use coppice_clock::Mono;
use serde::{Deserialize, Serialize};

use crate::{config::HeartError, layout::file};

/// A process of ours, told from a later one with the same number by when it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    /// In clock ticks since boot, as in `/proc/<pid>/stat`.
    pub(crate) started: u64,
}

/// Held as long as this lives.
#[derive(Debug)]
pub(crate) struct DataLock {
    file: File,
    path: PathBuf,
}

const TRY_EVERY: Duration = Duration::from_millis(50);

impl DataLock {
    /// Takes the lock, waiting up to `patience` for its holder to end.
    pub(crate) fn take(data: &Path, patience: Duration) -> Result<Self, HeartError> {
        let path = data.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(file("open", &path))?;
        let give_up = Mono::now() + patience;
        while file.try_lock().is_err() {
            if Mono::now() >= give_up {
                return Err(HeartError::Locked {
                    data_dir: data.to_owned(),
                    holder: holder(&mut file),
                });
            }
            #[allow(
                clippy::disallowed_methods,
                reason = "a file lock has no wait with an end"
            )]
            thread::sleep(TRY_EVERY);
        }
        Ok(Self { file, path })
    }

    /// The lock that this process has held since before it ran this program.
    pub(crate) fn held(file: File, data: &Path) -> Self {
        Self {
            file,
            path: data.join("lock"),
        }
    }

    /// The children of the holder before us, as far as it wrote them down.
    pub(crate) fn children_of_predecessor(&mut self) -> Result<Vec<ProcessId>, HeartError> {
        let text = read(&mut self.file).map_err(file("read", &self.path))?;
        Ok(text
            .lines()
            .filter_map(|line| {
                let mut words = line.strip_prefix("child ")?.split(' ');
                Some(ProcessId {
                    pid: words.next()?.parse().ok()?,
                    started: words.next()?.parse().ok()?,
                })
            })
            .collect())
    }

    /// A way for a child to write itself down before it becomes the program it is to be. A heart
    /// that is killed while it starts a child leaves no child that the next one does not know of:
    /// until the line is written, the child itself keeps the lock held.
    pub(crate) fn sign_in(&self) -> io::Result<SignIn> {
        Ok(SignIn(self.file.try_clone()?))
    }

    /// Writes down who belongs to this heart.
    pub(crate) fn record(&mut self, children: &[ProcessId]) -> Result<(), HeartError> {
        let mut text = format!("heart {}\n", std::process::id());
        for child in children {
            text.push_str(&line(*child));
        }
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())
        };
        write().map_err(file("write", &self.path))
    }
}

impl AsFd for DataLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

pub(crate) struct SignIn(File);

impl SignIn {
    pub(crate) fn sign(&mut self, child: ProcessId) -> io::Result<()> {
        self.0.seek(SeekFrom::End(0))?;
        self.0.write_all(line(child).as_bytes())
    }
}

fn line(child: ProcessId) -> String {
    format!("child {} {}\n", child.pid, child.started)
}

fn read(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn holder(file: &mut File) -> String {
    // What cannot be read is left out of the message; the message is about something else.
    let text = read(file).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("heart "))
        .map_or_else(
            || "another process".to_owned(),
            |pid| format!("process {pid}"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_pid_of_the_first() {
        let data = tempfile::tempdir().unwrap();
        let mut first = DataLock::take(data.path(), Duration::ZERO).unwrap();
        first.record(&[]).unwrap();
        let error = DataLock::take(data.path(), Duration::from_millis(1)).unwrap_err();
        let expected = format!("process {}", std::process::id());
        assert!(matches!(error, HeartError::Locked { holder, .. } if holder == expected));
    }

    #[test]
    fn the_next_holder_reads_which_children_there_were() {
        let data = tempfile::tempdir().unwrap();
        let child = ProcessId {
            pid: 12,
            started: 345,
        };
        let mut first = DataLock::take(data.path(), Duration::ZERO).unwrap();
        first.record(&[child, child]).unwrap();
        first.record(&[child]).unwrap();
        drop(first);
        let mut next = DataLock::take(data.path(), Duration::ZERO).unwrap();
        assert_eq!(next.children_of_predecessor().unwrap(), [child]);
    }
}

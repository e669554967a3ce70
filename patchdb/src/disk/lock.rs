//! One process per store: an exclusive lock on a file that holds the owner's pid.
//!
//! The lock belongs to the open file, and a process that another thread is just starting has all open
//! files until it becomes another program. So a lock without a living owner is let go of in a moment,
//! and is waited for.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};

use coppice_clock::Mono;

use crate::error::OpenError;

/// How long a lock without an owner is waited for, and how often it is tried.
const MOMENT: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(2);

/// The lock, held until dropped; the kernel lets go of it whatever way the process ends.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    file: File,
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // Whoever comes next and finds no owner knows that it is on its way to be free.
        let _ = self.file.set_len(0);
    }
}

impl OwnerLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            path: dir.join("owner"),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("owner"))
            .map_err(io)?;
        let deadline = Mono::now() + MOMENT;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(io(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let pid = owner(&mut file);
            if pid.is_some_and(is_alive) || Mono::now() > deadline {
                return Err(OpenError::Locked {
                    dir: dir.to_owned(),
                    pid,
                });
            }
            thread::park_timeout(STEP);
        }
        write_pid(&mut file).map_err(io)?;
        Ok(Self { file })
    }
}

/// Who says to have it; `None` when nobody does.
fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    // A full disk must not keep the store from opening: the pid is a courtesy.
    match write!(file, "{}", std::process::id()) {
        Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_only_a_starting_process_still_has_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let lock = OwnerLock::take(dir.path()).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        assert!(matches!(
            OwnerLock::take(dir.path()),
            Err(OpenError::Locked { pid: Some(_), .. })
        ));
        drop(lock);
        let waits = thread::spawn({
            let dir = dir.path().to_owned();
            move || OwnerLock::take(&dir).is_ok()
        });
        // As the other program's start closes it.
        thread::park_timeout(STEP * 5);
        drop(inherited);
        assert!(waits.join().unwrap());
    }
}

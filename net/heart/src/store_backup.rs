//! The stores as they were before an upgrade.
//!
//! ```text
//! upgrade.partial ──whole, and on the disk: renamed──▶ upgrade ─┬─ the new core is ready: renamed back, removed
//!   (means nothing)                                             └─ else: what is in it takes its old place
//! ```
//!
//! Invariant: as long as DATA/upgrade is there, it is not known that a newer core works with the stores, and whoever is
//! about to start a core puts them back first. Every step may be cut short and done again.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{fs::DirBuilderExt, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::ExitStatus,
};

use nix::{
    fcntl::OFlag,
    libc,
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{ForkResult, Pid, fork, getppid, pipe2},
};

use crate::child::wait_for;

/// What a newer core may change. The services' volumes are not its business.
const KEPT: [&str; 3] = ["VERSION", "state", "secrets"];

/// The longest complaint that is passed on.
const COMPLAINT: u64 = 4 << 10;

fn whole(data: &Path) -> PathBuf {
    data.join("upgrade")
}

fn partial(data: &Path) -> PathBuf {
    data.join("upgrade.partial")
}

/// A copy being made, by a process of its own: the heart does not wait for disks.
#[derive(Debug)]
pub(crate) struct Copying {
    pid: Pid,
    complaint: File,
}

impl Copying {
    /// Begins to copy the stores, which nobody may have open.
    pub(crate) fn begin(data: &Path) -> io::Result<Self> {
        let (complaint, complain) = pipe2(OFlag::O_CLOEXEC)?;
        let parent = nix::unistd::getpid();
        // SAFETY: the heart has one thread, so the fork has everything that a process has.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                complaint: complaint.into(),
            }),
            ForkResult::Child => copy_and_end(data, parent, complain),
        }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<Result<(), String>> {
        let status: ExitStatus = wait_for(self.pid, libc::WNOHANG)?;
        Some(if status.success() {
            Ok(())
        } else {
            let mut complaint = String::new();
            // What cannot be read is told by the status.
            let _ = (&self.complaint)
                .take(COMPLAINT)
                .read_to_string(&mut complaint);
            Err(match status.signal() {
                Some(number) => format!("the copying was ended by signal {number}"),
                None => complaint,
            })
        })
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        // It has ended already, or is not wanted any more. What it has made so far means nothing.
        if wait_for(self.pid, libc::WNOHANG).is_none() && kill(self.pid, Signal::SIGKILL).is_ok() {
            wait_for(self.pid, 0);
        }
    }
}

fn copy_and_end(data: &Path, parent: Pid, complain: OwnedFd) -> ! {
    // The copy holds the heart's lock, too, so it must not outlive the heart.
    let followed = prctl::set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent;
    let done = if followed {
        copy(data)
    } else {
        Err(io::Error::other("the heart is gone"))
    };
    let code = match done {
        Ok(()) => 0,
        Err(error) => {
            // Nobody is there to hear why not.
            let _ = File::from(complain).write_all(error.to_string().as_bytes());
            1
        }
    };
    // SAFETY: ends this process without running anything of the heart's.
    unsafe { libc::_exit(code) }
}

/// Copies the stores; afterwards, and across a power cut, they are what [`restore`] brings back.
fn copy(data: &Path) -> io::Result<()> {
    remove(&partial(data))?;
    private_dir(&partial(data))?;
    for name in KEPT {
        let from = data.join(name);
        if from.exists() {
            copy_tree(&from, &partial(data).join(name))?;
        }
    }
    sync(&partial(data))?;
    fs::rename(partial(data), whole(data))?;
    sync(data)
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        private_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        // Shares the blocks where the file system can.
        fs::copy(from, to).map_err(|error| named(&error, from))?;
    }
    sync(to)
}

fn private_dir(path: &Path) -> io::Result<()> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(|error| named(&error, path))
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Puts the stores back if an upgrade was begun and not ended; whether there was one. No core may run.
pub(crate) fn restore(data: &Path) -> io::Result<bool> {
    remove(&partial(data))?;
    let kept = whole(data);
    if !kept.exists() {
        return Ok(false);
    }
    for name in KEPT {
        // Moved, so there is always room for it. One that is gone has been moved by a try before this one.
        if kept.join(name).exists() {
            remove(&data.join(name))?;
            fs::rename(kept.join(name), data.join(name))?;
        }
    }
    sync(data)?;
    remove(&kept)?;
    sync(data)?;
    Ok(true)
}

/// The stores stay as they are now: a newer core has them.
pub(crate) fn forget(data: &Path) -> io::Result<()> {
    fs::rename(whole(data), partial(data))?;
    sync(data)?;
    remove(&partial(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        for folder in ["state", "secrets", "services"] {
            fs::create_dir(data.path().join(folder)).unwrap();
        }
        write(&data, "VERSION", "1");
        write(&data, "state/data.mdb", "old");
        write(&data, "secrets/data.mdb", "old");
        write(&data, "services/volume", "old");
        data
    }

    fn write(data: &tempfile::TempDir, name: &str, text: &str) {
        fs::write(data.path().join(name), text).unwrap();
    }

    fn read(data: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(data.path().join(name)).unwrap()
    }

    /// What a newer core may do before it fails.
    fn spoil(data: &tempfile::TempDir) {
        write(data, "VERSION", "2");
        write(data, "state/data.mdb", "new");
        write(data, "state/more", "new");
        write(data, "services/volume", "new");
        fs::remove_dir_all(data.path().join("secrets")).unwrap();
    }

    fn is_as_before(data: &tempfile::TempDir) {
        assert_eq!(read(data, "VERSION"), "1");
        assert_eq!(read(data, "state/data.mdb"), "old");
        assert_eq!(read(data, "secrets/data.mdb"), "old");
        assert!(!data.path().join("state/more").exists());
        assert_eq!(read(data, "services/volume"), "new", "no store");
        assert!(!whole(data.path()).exists() && !partial(data.path()).exists());
    }

    #[test]
    fn what_a_newer_core_made_of_the_stores_is_undone() {
        let data = stores();
        copy(data.path()).unwrap();
        spoil(&data);
        assert!(restore(data.path()).unwrap());
        is_as_before(&data);
        assert!(!restore(data.path()).unwrap());
    }

    #[test]
    fn a_restore_that_was_cut_short_anywhere_is_finished_by_the_next() {
        for moved in 0..=KEPT.len() {
            for removed in [false, true] {
                let data = stores();
                copy(data.path()).unwrap();
                spoil(&data);
                for name in &KEPT[..moved] {
                    remove(&data.path().join(name)).unwrap();
                    fs::rename(whole(data.path()).join(name), data.path().join(name)).unwrap();
                }
                if let (true, Some(name)) = (removed, KEPT.get(moved)) {
                    remove(&data.path().join(name)).unwrap();
                }
                assert!(restore(data.path()).unwrap());
                is_as_before(&data);
            }
        }
    }

    #[test]
    fn a_copy_that_was_cut_short_means_nothing() {
        let data = stores();
        private_dir(&partial(data.path())).unwrap();
        write(&data, "upgrade.partial/VERSION", "0");
        assert!(!restore(data.path()).unwrap());
        assert_eq!(read(&data, "VERSION"), "1");
        assert!(!partial(data.path()).exists());
    }

    #[test]
    fn what_a_newer_core_works_with_stays() {
        let data = stores();
        copy(data.path()).unwrap();
        write(&data, "state/data.mdb", "new");
        forget(data.path()).unwrap();
        assert!(!restore(data.path()).unwrap());
        assert_eq!(read(&data, "state/data.mdb"), "new");
    }
}

//! Killing the members of a cgroup and removing it.

use std::{
    collections::BTreeSet,
    ffi::CStr,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, unlinkat, write},
};

use super::walk::{text, walk};
use crate::{
    cgroup::{Hierarchies, Version},
    error::{Doing, StepError},
    sys::pidfd::PidFd,
};

/// How many times the members are listed and killed. A fork between listing and killing needs one
/// more round each; a container's pid 1 is dead by now, so nothing forks for long.
const ROUNDS: usize = 50;

/// Longest wait for one round's processes to end, after SIGKILL.
const ROUND_WAIT: Duration = Duration::from_millis(200);

/// Pids in `path` and below, in any hierarchy.
pub(crate) fn members(hierarchies: &Hierarchies, path: &str) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    for dir in hierarchies.dirs(path) {
        // What changes while it is read is met again by whoever needs all of it.
        let _ = walk(&dir, |cgroup| pids.extend(procs(cgroup)), |_, _| Ok(()));
    }
    pids
}

/// Lets everything in `path` and below run that v1's freezer holds: there a frozen process does not
/// even die of SIGKILL, and a container may freeze its own. (On v2 it dies.)
pub(crate) fn thaw(hierarchies: &Hierarchies, path: &str) {
    let Some((Version::V1, dir)) = hierarchies.controller("freezer", path) else {
        return;
    };
    let thaw_one = |cgroup: &OwnedFd| {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        // One that vanished needs no thawing.
        if let Ok(state) = openat(cgroup, c"freezer.state", flags, Mode::empty()) {
            let _ = write(&state, b"THAWED");
        }
    };
    if let Err(error) = walk(&dir, thaw_one, |_, _| Ok(())) {
        tracing::warn!(%error, dir = %dir.display(), "not everything was thawed");
    }
}

/// Kills everything in `path` and below, in every hierarchy, and removes it. Returns whether there
/// was anything.
pub(crate) fn remove(hierarchies: &Hierarchies, path: &str) -> Result<bool, StepError> {
    let dirs: Vec<PathBuf> = hierarchies.dirs(path).filter(|dir| dir.is_dir()).collect();
    if dirs.is_empty() {
        return Ok(false);
    }
    for _ in 0..ROUNDS {
        if !kill(hierarchies, path) {
            break;
        }
    }
    for dir in &dirs {
        walk(dir, |_| {}, remove_dir)
            .and_then(|()| remove_top(dir))
            .doing(format!("remove cgroup {}", dir.display()))?;
    }
    Ok(true)
}

/// Kills everything in `path` and below, and waits a moment for it; what came meanwhile is left to the
/// next time. Returns whether there was anything.
pub(crate) fn kill(hierarchies: &Hierarchies, path: &str) -> bool {
    let pids = members(hierarchies, path);
    let handles: Vec<(i32, PidFd)> = pids
        .iter()
        .filter_map(|pid| Some((*pid, PidFd::open(*pid).ok()?)))
        .collect();
    // Between the listing and the opening a pid may have passed to a stranger: only those still
    // listed now are what the descriptor stands for.
    let still = members(hierarchies, path);
    let ours = || handles.iter().filter(|(pid, _)| still.contains(pid));
    for (_, process) in ours() {
        // It may be gone already, which is what we want.
        let _ = process.signal(libc::SIGKILL);
    }
    thaw(hierarchies, path);
    for (_, process) in ours() {
        // One that takes longer ends the round, or thousands would each take as long; all are met
        // again in the next.
        if !process.wait(ROUND_WAIT).unwrap_or(false) {
            break;
        }
    }
    !pids.is_empty()
}

fn remove_top(dir: &Path) -> io::Result<()> {
    let path = crate::sys::mount::c_path(dir)?;
    remove_dir(&AT_FDCWD, &path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "cgroup v1 has no event for the end of being busy"
)]
fn remove_dir(above: &impl AsFd, name: &CStr) -> io::Result<()> {
    for _ in 0..ROUNDS {
        match unlinkat(above, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            // For a moment after its last process ended.
            Err(Errno::EBUSY) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::EBUSY.into())
}

fn procs(cgroup: &OwnedFd) -> Vec<i32> {
    text(cgroup, c"cgroup.procs")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect()
}

//! Children that were killed and have not ended yet.
//!
//! A process in a lookup that a container's own file system (FUSE) has taken and never answers does not
//! die of SIGKILL; the kernel lets it go when that file system does, at the latest with the container.
//! Waiting for it would hand the deadline of an errand back to the container, so it is left here, and
//! reaped when somebody next comes by.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many children one container may hold up before nothing more is sent into it: each is a process
/// of the host's.
const MOST_PER_OWNER: usize = 4;

struct Stray {
    pid: libc::pid_t,
    owner: String,
}

static STRAYS: Mutex<Vec<Stray>> = Mutex::new(Vec::new());

/// Leaves a killed child of ours, which nobody else waits for.
pub(crate) fn leave(pid: libc::pid_t, owner: &str) {
    let owner = owner.to_owned();
    strays().push(Stray { pid, owner });
}

/// Reaps whoever has ended, and refuses when `owner` holds up too many of the others.
///
/// # Errors
/// `TimedOut`, as the next one most likely would be.
pub(crate) fn check(owner: &str) -> io::Result<()> {
    let mut strays = strays();
    strays.retain(|stray| !reaped(stray.pid));
    if strays.iter().filter(|stray| stray.owner == owner).count() < MOST_PER_OWNER {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "a file system of the container's own answers nothing that is asked of it",
    ))
}

/// Whether the child has ended; then its pid is free from here on.
fn reaped(pid: libc::pid_t) -> bool {
    // SAFETY: a child of ours that was not waited for, and no place for its status.
    let answer = unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
    // -1: there is no such child, so there is nothing to wait for either.
    answer != 0
}

fn strays() -> MutexGuard<'static, Vec<Stray>> {
    // Every change is one call, so a panic elsewhere has not spoilt the list.
    STRAYS.lock().unwrap_or_else(PoisonError::into_inner)
}

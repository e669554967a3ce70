//! A short errand in a forked child.
//!
//! The child of a many-threaded process may only make system calls: another thread may have held the
//! allocator's lock at the fork. So an errand allocates nothing, prints nothing and cannot panic; it
//! tells its outcome through a pipe in sixteen bytes.

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

use crate::sys::{pidfd::PidFd, strays};

/// Where an errand failed: its own name for the step, and the system's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) step: u32,
    pub(crate) errno: i32,
}

impl Failed {
    /// Names the step of a result. Allocates nothing.
    pub(crate) fn at<T>(step: u32, result: io::Result<T>) -> Result<T, Self> {
        result.map_err(|error| Self {
            step,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })
    }
}

/// A child that has not been waited for; dropped, it is killed and waited for.
pub(crate) struct Child {
    pid: libc::pid_t,
    reaped: bool,
}

impl Child {
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    fn kill(&self) {
        // SAFETY: not waited for yet, so the pid is still this child's.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// Kills it and leaves the waiting to others.
    fn leave(mut self, owner: &str) {
        self.kill();
        strays::leave(self.pid, owner);
        self.reaped = true;
    }

    fn reap(&mut self) {
        let mut status = 0;
        // SAFETY: our own child, waited for once.
        while unsafe { libc::waitpid(self.pid, &raw mut status, 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        self.reaped = true;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            self.reap();
        }
    }
}

/// Starts a child that runs `errand` and exits.
///
/// # Safety
/// `errand` must only make system calls: no allocation, no lock, no panic, no drop that does either.
pub(crate) unsafe fn fork(errand: impl FnOnce()) -> io::Result<Child> {
    // SAFETY: the child runs only `errand`, which this function's contract binds, and `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            die_with_parent();
            errand();
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
        pid => Ok(Child { pid, reaped: false }),
    }
}

/// Has the kernel kill the calling child when the thread that forked it ends. A change of user takes
/// that back, so say it again after one. Allocates nothing.
pub(crate) fn die_with_parent() {
    // SAFETY: two integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// What a child gets of the many descriptors of its parent.
#[derive(Clone, Copy)]
pub(crate) enum Inherits<'a> {
    /// All.
    All,
    /// These and the standard ones. For an errand that a container can hold up: what it has open stays
    /// open with it, locks and listeners too.
    Only(&'a [RawFd]),
}

/// How an errand is sent out.
pub(crate) struct Terms<'a> {
    /// For whom, by a name that no other life of a container has.
    pub(crate) owner: &'a str,
    /// With what.
    pub(crate) inherits: Inherits<'a>,
    /// For how long.
    pub(crate) at_most: Duration,
}

/// Runs `errand` in a child, and tells its outcome: a number of its own choosing, or where it failed.
/// Returns soon after the deadline whatever the child is held up by.
///
/// # Errors
/// The fork's own error; `TimedOut` when the child had to be killed (a container can make a lookup in
/// its tree hang for ever), or when several such children of the same owner have not even ended yet.
///
/// # Safety
/// As for [`fork`].
pub(crate) unsafe fn run(
    terms: &Terms<'_>,
    errand: impl FnOnce() -> Result<u64, Failed>,
) -> io::Result<Result<u64, Failed>> {
    strays::check(terms.owner)?;
    let (mut reader, writer) = io::pipe()?;
    // SAFETY: the errand is bound by this function's contract; the rest is system calls.
    let mut child = unsafe {
        fork(|| {
            if let Inherits::Only(kept) = terms.inherits {
                close_all_but(kept, writer.as_raw_fd());
            }
            let outcome = errand();
            tell(&writer, &outcome);
        })
    }?;
    drop(writer);
    // The child cannot be reaped by anyone else, so its pid still is its own.
    match PidFd::open(child.pid()).and_then(|process| process.wait(terms.at_most)) {
        Ok(true) => {
            child.reap();
            hear(&mut reader)
        }
        late => {
            child.leave(terms.owner);
            Err(late.err().unwrap_or_else(|| io::ErrorKind::TimedOut.into()))
        }
    }
}

/// Closes every descriptor beyond the standard ones but these. Allocates nothing.
fn close_all_but(kept: &[RawFd], and: RawFd) {
    let kept = || kept.iter().copied().chain([and]);
    let mut from: RawFd = 3;
    loop {
        let next = kept().filter(|fd| *fd >= from).min();
        let to = next.map_or(libc::c_uint::MAX, |fd| (fd - 1).unsigned_abs());
        // Equal means the next one is kept itself. A failure leaves open what need not be: no harm yet.
        if next != Some(from) {
            // SAFETY: integers; what is closed belongs to objects that this child never drops or uses.
            unsafe { libc::syscall(libc::SYS_close_range, from.unsigned_abs(), to, 0) };
        }
        match next {
            Some(fd) => from = fd + 1,
            None => return,
        }
    }
}

fn tell(writer: &PipeWriter, outcome: &Result<u64, Failed>) {
    let (step, errno, value) = match outcome {
        Ok(value) => (0, 0, *value),
        Err(failed) => (failed.step, failed.errno, 0),
    };
    let mut words = [0_u8; 16];
    words[..4].copy_from_slice(&step.to_ne_bytes());
    words[4..8].copy_from_slice(&errno.to_ne_bytes());
    words[8..].copy_from_slice(&value.to_ne_bytes());
    // SAFETY: sixteen bytes of our own. If the parent is gone nobody is left to hear it.
    unsafe { libc::write(writer.as_raw_fd(), words.as_ptr().cast(), words.len()) };
}

fn hear(reader: &mut PipeReader) -> io::Result<Result<u64, Failed>> {
    let (mut step, mut errno, mut value) = ([0_u8; 4], [0_u8; 4], [0_u8; 8]);
    // A child that was killed has said nothing.
    reader.read_exact(&mut step)?;
    reader.read_exact(&mut errno)?;
    reader.read_exact(&mut value)?;
    Ok(
        match (u32::from_ne_bytes(step), i32::from_ne_bytes(errno)) {
            (_, 0) => Ok(u64::from_ne_bytes(value)),
            (step, errno) => Err(Failed { step, errno }),
        },
    )
}

/// Waits in a child until the other end of `until` is closed. Allocates nothing.
pub(crate) fn wait_for_close(until: &OwnedFd) {
    let mut byte = 0_u8;
    // SAFETY: one byte of our own; 0 is the close, anything else ends the wait as well.
    unsafe { libc::read(until.as_raw_fd(), (&raw mut byte).cast(), 1) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms<'a>(owner: &'a str, at_most: Duration) -> Terms<'a> {
        Terms {
            owner,
            inherits: Inherits::All,
            at_most,
        }
    }

    #[test]
    fn an_errand_tells_its_outcome() {
        let terms = terms("tells", Duration::from_secs(5));
        // SAFETY: the errands make no allocation.
        let fine = unsafe { run(&terms, || Ok(1 << 40)) }.unwrap();
        assert_eq!(fine, Ok(1 << 40));
        // SAFETY: as above.
        let failed = unsafe {
            run(&terms, || {
                Err(Failed {
                    step: 7,
                    errno: libc::EPERM,
                })
            })
        };
        let expected = Failed {
            step: 7,
            errno: libc::EPERM,
        };
        assert_eq!(failed.unwrap(), Err(expected));
    }

    #[test]
    fn an_errand_that_hangs_is_ended_as_often_as_it_does() {
        let terms = terms("hangs", Duration::from_millis(50));
        for _ in 0..8 {
            // SAFETY: one system call.
            let outcome = unsafe {
                run(&terms, || {
                    libc::pause();
                    Ok(0)
                })
            };
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        // SAFETY: no system call at all.
        let next = unsafe { run(&terms, || Ok(3)) };
        assert_eq!(next.unwrap(), Ok(3), "those who died do not count");
    }

    #[test]
    fn an_errand_has_only_the_descriptors_it_is_given() {
        let (kept, _kept_too) = io::pipe().unwrap();
        let (closed, _closed_too) = io::pipe().unwrap();
        let (kept, closed) = (kept.as_raw_fd(), closed.as_raw_fd());
        let only = [kept];
        let terms = Terms {
            inherits: Inherits::Only(&only),
            ..terms("closes", Duration::from_secs(5))
        };
        // SAFETY: two system calls.
        let open = unsafe {
            run(&terms, || {
                let is_open = |fd| u64::from(libc::fcntl(fd, libc::F_GETFD) >= 0);
                Ok(is_open(kept) * 2 + is_open(closed))
            })
        };
        assert_eq!(open.unwrap(), Ok(2));
    }
}

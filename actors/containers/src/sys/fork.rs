//! A short errand in a forked child.
//!
//! The child of a many-threaded process may only make system calls: another thread may have held the
//! allocator's lock at the fork. So an errand allocates nothing, prints nothing and cannot panic; it
//! tells its outcome through a pipe in eight bytes.

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use crate::sys::pidfd::PidFd;

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
            // SAFETY: not waited for yet, so the pid is still this child's.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
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

/// Runs `errand` in a child for at most `at_most`, and tells its outcome.
///
/// # Errors
/// The fork's own error; `TimedOut` when the child had to be killed (a container can make a lookup in
/// its tree hang for ever).
///
/// # Safety
/// As for [`fork`].
pub(crate) unsafe fn run(
    errand: impl FnOnce() -> Result<(), Failed>,
    at_most: Duration,
) -> io::Result<Result<(), Failed>> {
    let (mut reader, writer) = io::pipe()?;
    // SAFETY: the errand is bound by this function's contract; telling is one system call.
    let mut child = unsafe {
        fork(|| {
            let outcome = errand();
            tell(&writer, &outcome);
        })
    }?;
    drop(writer);
    // The child cannot be reaped by anyone else, so its pid still is its own.
    if !PidFd::open(child.pid())?.wait(at_most)? {
        return Err(io::ErrorKind::TimedOut.into());
    }
    child.reap();
    hear(&mut reader)
}

fn tell(writer: &PipeWriter, outcome: &Result<(), Failed>) {
    let (step, errno) = match outcome {
        Ok(()) => (0, 0),
        Err(failed) => (failed.step, failed.errno),
    };
    let mut words = [0_u8; 8];
    words[..4].copy_from_slice(&step.to_ne_bytes());
    words[4..].copy_from_slice(&errno.to_ne_bytes());
    // SAFETY: eight bytes of our own. If the parent is gone nobody is left to hear it.
    unsafe { libc::write(writer.as_raw_fd(), words.as_ptr().cast(), words.len()) };
}

fn hear(reader: &mut PipeReader) -> io::Result<Result<(), Failed>> {
    let mut words = [0_u8; 8];
    // A child that was killed has said nothing.
    reader.read_exact(&mut words)?;
    let [a, b, c, d, e, f, g, h] = words;
    let (step, errno) = (
        u32::from_ne_bytes([a, b, c, d]),
        i32::from_ne_bytes([e, f, g, h]),
    );
    Ok(if errno == 0 {
        Ok(())
    } else {
        Err(Failed { step, errno })
    })
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

    #[test]
    fn an_errand_tells_its_outcome() {
        // SAFETY: the errands make no allocation.
        let (fine, failed) = unsafe {
            (
                run(|| Ok(()), Duration::from_secs(5)).unwrap(),
                run(
                    || {
                        Err(Failed {
                            step: 7,
                            errno: libc::EPERM,
                        })
                    },
                    Duration::from_secs(5),
                )
                .unwrap(),
            )
        };
        assert_eq!(fine, Ok(()));
        assert_eq!(
            failed,
            Err(Failed {
                step: 7,
                errno: libc::EPERM
            })
        );
    }

    #[test]
    fn an_errand_that_hangs_is_ended() {
        // SAFETY: one system call.
        let outcome = unsafe {
            run(
                || {
                    libc::pause();
                    Ok(())
                },
                Duration::from_millis(50),
            )
        };
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}

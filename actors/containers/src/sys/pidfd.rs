//! A process, held by descriptor: it cannot be mistaken for a later one with the same pid.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ExitStatus;

/// A process, alive or ended.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

/// `struct pidfd_info` of Linux 6.13, first version (`include/uapi/linux/pidfd.h`).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_GET_INFO: libc::c_ulong =
    0xC000_FF0B | ((size_of::<PidfdInfo>() as libc::c_ulong) << 16);
const PIDFD_INFO_EXIT: u64 = 1 << 3;

impl PidFd {
    /// The process that has this pid now.
    ///
    /// # Errors
    /// `ESRCH` when there is none.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: the call takes two integers; the descriptor it returns (close-on-exec) is ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nothing else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: integers and a null siginfo, which the call allows.
        let done = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Waits until the process has ended; `false` when it has not within `at_most`.
    pub(crate) fn wait(&self, at_most: Duration) -> io::Result<bool> {
        self.wait_for(PollFlags::POLLIN, at_most)
    }

    fn wait_for(&self, events: PollFlags, at_most: Duration) -> io::Result<bool> {
        let mut polled = [PollFd::new(self.0.as_fd(), events)];
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut polled, timeout) {
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    let seen = polled[0].revents().unwrap_or(PollFlags::empty());
                    return Ok(seen.intersects(events));
                }
            }
        }
    }

    /// How an ended process ended, once its parent has taken note (waits up to `at_most` for that);
    /// `None` before Linux 6.15, which tells only the parent.
    pub(crate) fn exit_status(&self, at_most: Duration) -> Option<ExitStatus> {
        // The hang-up comes when the process was reaped, and from then on the status can be read.
        if !self.wait_for(PollFlags::POLLHUP, at_most).ok()? {
            return None;
        }
        let mut info = PidfdInfo {
            mask: PIDFD_INFO_EXIT,
            ..PidfdInfo::default()
        };
        // SAFETY: the request carries the size of the structure, which the kernel fills at most.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), PIDFD_GET_INFO, &mut info) };
        (done == 0 && info.mask & PIDFD_INFO_EXIT != 0)
            .then(|| ExitStatus::from_wait(info.exit_code))
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Start time of a process in clock ticks since boot, and its parent; `None` when there is no such
/// process.
pub(crate) fn start_and_parent(pid: i32) -> Option<(u64, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may contain anything, parentheses too.
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some((started, parent))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_seen_ending_with_its_status_where_the_kernel_tells() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = PidFd::open(pid).unwrap();
        assert!(start_and_parent(pid).is_some());
        assert!(!process.wait(Duration::ZERO).unwrap());
        process.signal(libc::SIGKILL).unwrap();
        assert!(process.wait(Duration::from_secs(5)).unwrap());
        assert_eq!(start_and_parent(pid), None, "a zombie does not run");
        child.wait().unwrap();
        let status = process.exit_status(Duration::from_secs(1));
        assert!(
            matches!(status, None | Some(ExitStatus::Signal(libc::SIGKILL))),
            "{status:?}"
        );
    }
}

//! Core and edge of a heart that was killed.
//!
//! They end within a second of its death by themselves. A new heart makes sure: two cores must
//! never have the store open at once, and an old edge would still answer on ports that the new
//! one needs.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
    time::Duration,
};

use coppice_clock::Mono;
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{config::HeartError, lock::ProcessId};

/// Twice what they need.
const ENDS_BY_ITSELF: Duration = Duration::from_secs(2);
const ENDS_WHEN_KILLED: Duration = Duration::from_secs(5);

/// Waits until all of them have ended; kills those that take too long.
pub(crate) fn await_end(processes: &[ProcessId]) -> Result<(), HeartError> {
    for process in processes {
        // No such process, or another one by that number: it has ended.
        let Ok(pidfd) = pidfd_open(process.pid) else {
            continue;
        };
        if !lives(process) || ends_within(&pidfd, ENDS_BY_ITSELF) {
            continue;
        }
        eprintln!(
            "coppice heart: killing process {}, left by an earlier Coppice",
            process.pid
        );
        // An error means that it has just ended.
        let _ = pidfd_kill(&pidfd);
        if !ends_within(&pidfd, ENDS_WHEN_KILLED) {
            return Err(HeartError::Leftover { pid: process.pid });
        }
    }
    Ok(())
}

fn ends_within(pidfd: &OwnedFd, patience: Duration) -> bool {
    let give_up = Mono::now() + patience;
    loop {
        let left = give_up.since(Mono::now()).as_millis();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => {}
            // An error cannot be, with one good descriptor; it is not an end either.
            other => return other.is_ok_and(|ready| ready > 0),
        }
    }
}

/// A descriptor of a process: readable when the process has ended, whoever its parent is, and
/// never that of a later one with the same number.
fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: two plain numbers in, a new descriptor or -1 out.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, for us alone, and close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn pidfd_kill(pidfd: &OwnedFd) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: an open descriptor, a signal, and no further information, which the call allows.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            no_info,
            0,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The identity of a process that runs now.
pub(crate) fn identify(pid: u32) -> Option<ProcessId> {
    let (started, _) = stat(pid)?;
    Some(ProcessId { pid, started })
}

fn lives(process: &ProcessId) -> bool {
    stat(process.pid)
        .is_some_and(|(started, state)| started == process.started && !matches!(state, "Z" | "X"))
}

/// When a process was started, and its state.
fn stat(pid: u32) -> Option<(u64, &'static str)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

fn parse_stat(text: &str) -> Option<(u64, &'static str)> {
    // The name in parentheses may itself hold blanks and parentheses.
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = match fields.next()? {
        "Z" => "Z",
        "X" => "X",
        _ => "",
    };
    // `starttime` is field 22; the state was field 3.
    Some((fields.nth(18)?.parse().ok()?, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_not_by_its_number_alone() {
        let own = identify(std::process::id()).unwrap();
        assert!(lives(&own));
        let other = ProcessId {
            started: own.started + 1,
            ..own
        };
        assert!(!lives(&other));
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) b (c)) Z 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(parse_stat(line), Some((4711, "Z")));
    }

    #[test]
    fn a_process_that_does_not_end_is_killed() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = identify(child.id()).unwrap();
        await_end(&[process]).unwrap();
        child.wait().unwrap();
    }
}

//! Pid 1 of a subcontainer that has no command, and the end of an earlier one.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    mount::{MntFlags, MsFlags, mount, umount2},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal, kill},
        stat::Mode,
        statfs::{PROC_SUPER_MAGIC, fstatfs},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{Doing, Failure};

/// How long a killed leader may take to vanish: its namespace dies with it.
const GONE_WITHIN_MS: u16 = 10_000;

/// Gives the root a `/proc` of the pid namespace this process is in.
pub(super) fn mount_proc(root: &Path) -> Result<(), Failure> {
    let at = root.join("proc");
    match fs::create_dir(&at) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!(
                "could not make {}: {error}",
                at.display()
            )));
        }
        _ => {}
    }
    let dir = open_proc(root).doing(|| format!("open {}", at.display()))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("proc"),
        path_of(&dir).as_str(),
        Some("proc"),
        flags,
        None::<&str>,
    )
    .doing(|| format!("mount proc on {}", at.display()))
}

/// Takes away every `/proc` of the root whose namespace is dead. One that lives is a later
/// leader's: this may run while that one starts.
pub(super) fn unmount_dead_proc(root: &Path) {
    while let Ok(dir) = open_proc(root)
        && is_dead_proc(&dir)
        && unmount(&dir).is_ok()
    {}
}

/// The directory itself: an image may have a link there, and through it /proc would land anywhere.
fn open_proc(root: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    open(&root.join("proc"), flags, Mode::empty())
}

/// Names the very mount that was opened, whatever its path leads to by now.
fn path_of(dir: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", dir.as_raw_fd())
}

fn unmount(dir: &OwnedFd) -> Result<(), Errno> {
    umount2(path_of(dir).as_str(), MntFlags::MNT_DETACH)
}

/// A namespace without a pid 1 can never have a process again.
fn is_dead_proc(dir: &OwnedFd) -> bool {
    fstatfs(dir).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC)
        && !Path::new(&path_of(dir)).join("1").exists()
}

/// Kills the leader of this root, if one lives, and waits until it is gone.
pub(super) fn end_earlier(root: &Path) -> Result<(), Failure> {
    unmount_dead_proc(root);
    let (Ok(namespace), Ok(proc)) = (fs::read_link(root.join("proc/1/ns/pid")), open_proc(root))
    else {
        return Ok(());
    };
    for pid in pids_in("/proc") {
        let is_leader = fs::read_link(format!("/proc/{pid}/ns/pid"))
            .is_ok_and(|found| found == namespace)
            && is_init_of_its_namespace(pid);
        // Never ourselves: a root whose /proc shows our own namespace is not a subcontainer's.
        if !is_leader || pid == std::process::id().cast_signed() || pid == 1 {
            continue;
        }
        // SAFETY: takes two numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(Errno::result(fd).doing(|| format!("watch process {pid}"))?)
            .unwrap_or(-1);
        // SAFETY: the kernel just gave us this descriptor; nobody else has it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        kill(Pid::from_raw(pid), Signal::SIGKILL)
            .doing(|| format!("end the earlier leader {pid}"))?;
        let mut gone = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        if poll(&mut gone, PollTimeout::from(GONE_WITHIN_MS)).doing(|| "wait".into())? == 0 {
            return Err(Failure::new(format!(
                "the earlier leader {pid} does not end"
            )));
        }
    }
    // The killed leader may still wait to be reaped; its own CLI may also have been faster.
    let _ = unmount(&proc);
    Ok(())
}

/// Lives as pid 1 without a command: reaps orphans until it is told to end.
pub(super) fn live() -> i32 {
    let watched: SigSet = [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGCHLD,
    ]
    .into_iter()
    .collect();
    if watched.thread_block().is_err() {
        return 1;
    }
    loop {
        match watched.wait() {
            Ok(Signal::SIGCHLD) => {
                while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                    if status == WaitStatus::StillAlive {
                        break;
                    }
                }
            }
            Ok(_) => return 0,
            Err(Errno::EINTR) => {}
            Err(_) => return 1,
        }
    }
}

fn pids_in(proc: &str) -> Vec<i32> {
    fs::read_dir(proc)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn is_init_of_its_namespace(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .and_then(|pids| pids.split_whitespace().last())
        == Some("1")
}

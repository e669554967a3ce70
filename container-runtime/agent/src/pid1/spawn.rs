//! Starts one process for the host.
//!
//! ```text
//! agent: fork ──▶ place in leaf ──▶ open the gate ──▶ read the fault pipe: closed = it runs
//! child:   wait at the gate ─────────────▶ session, stdio, environment ──▶ exec, or tell errno
//!        └─────── [`prepare`] ──────┘└────────────────── [`Waiting::go`] ─────────────────────┘
//! ```
//!
//! Invariant: the child runs no instruction of the program before it is in its leaf, and an
//! answer means that the program was executed.

use std::{
    ffi::CString,
    io::{self, Read, Write},
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

use coppice_wire::{agent::Spawn, paths::ENV_BOOT};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask},
        stat::Mode,
        wait::waitpid,
    },
    unistd::{
        ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork, pipe2, setsid,
    },
};

use super::cgroups::{CgroupError, Cgroups};

#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("the program of `{id}` must be an absolute path")]
    NoProgram { id: String },
    #[error("an argument or variable of `{id}` holds a zero byte")]
    ZeroByte { id: String },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error("could not {what} for `{id}`")]
    Prepare {
        id: String,
        what: &'static str,
        source: io::Error,
    },
    #[error("could not run `{program}` for `{id}`")]
    Exec {
        id: String,
        program: String,
        source: io::Error,
    },
}

/// A running process and the agent's ends of its outputs.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: i32,
    pub(super) out: OwnedFd,
    pub(super) err: OwnedFd,
}

/// A child in its leaf, waiting at the gate. It has nothing of the agent's open, and ends when this is
/// dropped; whoever reaps orphans reaps it.
#[derive(Debug)]
pub(super) struct Waiting {
    pid: Pid,
    open_gate: OwnedFd,
    fault: OwnedFd,
    out: OwnedFd,
    err: OwnedFd,
    id: String,
    program: String,
}

/// Starts what `spawn` says, in its leaf.
pub(super) fn spawn(spawn: &Spawn, boot: &str, cgroups: &Cgroups) -> Result<Child, SpawnError> {
    prepare(spawn, boot, cgroups)?.go()
}

/// Forks the child that will be what `spawn` says, and puts it in its leaf.
pub(super) fn prepare(spawn: &Spawn, boot: &str, cgroups: &Cgroups) -> Result<Waiting, SpawnError> {
    let id = &spawn.id;
    let prepare = |what| {
        move |errno: Errno| SpawnError::Prepare {
            id: id.clone(),
            what,
            source: errno.into(),
        }
    };
    let zero_byte = |_| SpawnError::ZeroByte { id: id.clone() };
    let argv = c_strings(spawn.argv.iter().cloned()).map_err(zero_byte)?;
    let variables = spawn
        .env
        .iter()
        .filter(|(name, _)| *name != ENV_BOOT)
        .map(|(name, value)| format!("{name}={value}"))
        .chain([format!("{ENV_BOOT}={boot}")]);
    let env = c_strings(variables).map_err(zero_byte)?;
    let cwd = spawn.cwd.as_deref().unwrap_or("/");
    let program = argv
        .first()
        .filter(|program| program.as_bytes().starts_with(b"/"))
        .ok_or_else(|| SpawnError::NoProgram { id: id.clone() })?;

    cgroups.make(&spawn.leaf)?;
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(prepare("make a pipe"));
    let (out, child_out) = pipe()?;
    let (err, child_err) = pipe()?;
    let (gate, open_gate) = pipe()?;
    let (fault, child_fault) = pipe()?;
    let null = open(
        "/dev/null",
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(prepare("open /dev/null"))?;

    // SAFETY: the agent has one thread, so the child may use everything it has copied.
    match unsafe { fork() }.map_err(prepare("fork"))? {
        ForkResult::Child => {
            let kept = keep_only([gate, null, child_out, child_err, child_fault]);
            // Without descriptors there is no way to say so either: the fault pipe's end says too little.
            if let Ok([gate, null, child_out, child_err, child_fault]) = kept {
                let errno = become_program(&Becoming {
                    gate,
                    stdio: [null, child_out, child_err],
                    cwd,
                    program,
                    argv: &argv,
                    env: &env,
                });
                let _ = io::Write::write(
                    &mut std::fs::File::from(child_fault),
                    &(errno as i32).to_ne_bytes(),
                );
            }
            // SAFETY: ends the child at once; nothing of the agent's must be run or flushed in it.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => {
            drop((gate, child_out, child_err, child_fault, null));
            if let Err(error) = cgroups.place(child.as_raw(), &spawn.leaf) {
                drop(open_gate);
                reap(child);
                return Err(error.into());
            }
            Ok(Waiting {
                pid: child,
                open_gate,
                fault,
                out,
                err,
                id: id.clone(),
                program: spawn.argv.first().cloned().unwrap_or_default(),
            })
        }
    }
}

impl Waiting {
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Lets the child become its program.
    pub(super) fn go(self) -> Result<Child, SpawnError> {
        // The child is alive and reads, or is gone and the fault pipe says so.
        let _ = std::fs::File::from(self.open_gate).write_all(b"g");
        let mut errno = [0; 4];
        if std::fs::File::from(self.fault)
            .read_exact(&mut errno)
            .is_ok()
        {
            reap(self.pid);
            return Err(SpawnError::Exec {
                id: self.id,
                program: self.program,
                source: io::Error::from_raw_os_error(i32::from_ne_bytes(errno)),
            });
        }
        Ok(Child {
            pid: self.pid.as_raw(),
            out: self.out,
            err: self.err,
        })
    }
}

struct Becoming<'a> {
    gate: OwnedFd,
    stdio: [OwnedFd; 3],
    cwd: &'a str,
    program: &'a CString,
    argv: &'a [CString],
    env: &'a [CString],
}

/// In the child, which may wait for days: keeps these open, and nothing else but its stdio. What the
/// agent has open ends when the agent closes it, and not when the last of its children does.
fn keep_only<const N: usize>(kept: [OwnedFd; N]) -> Result<[OwnedFd; N], Errno> {
    const FIRST: RawFd = 3;
    let first = |n: usize| FIRST + RawFd::try_from(n).unwrap_or(RawFd::MAX - FIRST);
    // Out of the way first: one of them may have the place of another.
    let mut aside = Vec::new();
    for fd in &kept {
        aside.push(fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(first(N)))?);
    }
    for (n, fd) in aside.iter().enumerate() {
        // SAFETY: takes three numbers; what had the place is the agent's, whose copy stays open.
        Errno::result(unsafe { libc::dup3(*fd, first(n), libc::O_CLOEXEC) })?;
    }
    // SAFETY: closes by number what nothing in this process will use again.
    unsafe { libc::syscall(libc::SYS_close_range, first(N), libc::c_uint::MAX, 0) };
    std::mem::forget(kept);
    // SAFETY: the loop above has put them there, and nobody else has them.
    Ok(std::array::from_fn(|n| unsafe {
        OwnedFd::from_raw_fd(first(n))
    }))
}

/// In the child: waits at the gate and becomes the program; returns only when that failed.
fn become_program(becoming: &Becoming<'_>) -> Errno {
    let mut byte = [0];
    match nix::unistd::read(&becoming.gate, &mut byte) {
        Ok(1) => {}
        Ok(_) => return Errno::ECANCELED,
        Err(errno) => return errno,
    }
    let run = || -> Result<(), Errno> {
        // A process just forked leads no group, so this only fails where it does not matter.
        let _ = setsid();
        let [null, out, err] = &becoming.stdio;
        dup2_stdin(null)?;
        dup2_stdout(out)?;
        dup2_stderr(err)?;
        reset_signals()?;
        restore_descriptor_limit();
        chdir(becoming.cwd)?;
        execve(becoming.program, becoming.argv, becoming.env)?;
        Ok(())
    };
    run().err().unwrap_or(Errno::UnknownErrno)
}

/// Signals as a fresh process has them: none blocked, none ignored.
fn reset_signals() -> Result<(), Errno> {
    for signal in Signal::iterator() {
        // KILL and STOP refuse, and have only one disposition anyway.
        // SAFETY: the default disposition runs no code of ours.
        let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// The agent raises its own limit; programs that size tables by it expect the usual one.
fn restore_descriptor_limit() {
    const USUAL: u64 = 1024;
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, USUAL.min(hard), hard);
    }
}

/// A child that will end now by itself.
fn reap(child: Pid) {
    while waitpid(child, None) == Err(Errno::EINTR) {}
}

fn c_strings(words: impl IntoIterator<Item = String>) -> Result<Vec<CString>, std::ffi::NulError> {
    words.into_iter().map(CString::new).collect()
}

/// Closes whatever the agent was started with beyond its stdio: nothing in the container may hold
/// what belongs to its maker.
pub(super) fn close_inherited() {
    // SAFETY: called before the agent has opened anything. On a kernel without the call (before
    // 5.9, which cannot run us for other reasons) nothing happens.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Raises the agent's own descriptor limit as far as it may: every process costs it two pipes.
pub(super) fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Makes reads of the agent's end return at once when there is nothing.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

//! Runs one child and stands in for it: signals go in, the status comes out.
//!
//! ```text
//! parent: block signals ─▶ fork ─▶ tell the agent ─▶ open the gate ─▶ forward signals until it ends
//! child:  die with the parent ─▶ wait at the gate, signals still blocked ─▶ `life`
//! ```
//!
//! Invariant: the child cannot outlive this process, not even when that is killed: packages kill
//! the CLI for time-outs and take the command's death for granted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl::set_pdeathsig,
        signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, sigprocmask},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, pipe2},
};

use super::{Doing, Failure, agent_report::AgentReport, pty::Terminal};

/// Everything a parent can pass on. KILL and STOP cannot be caught; CHLD is our own.
const FORWARDED: [Signal; 18] = [
    Signal::SIGABRT,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGIO,
    Signal::SIGPIPE,
    Signal::SIGPROF,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTRAP,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGURG,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGVTALRM,
];

/// The child's hold on its parent.
pub(super) struct Lifeline {
    gate: OwnedFd,
    mask: SigSet,
}

impl Lifeline {
    /// Asks the kernel for SIGKILL when the parent ends. Changing ids takes this back, so the last
    /// step before a command runs does it again.
    pub(super) fn tie(&self) -> Result<(), Errno> {
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have ended before the call: its end of the gate is closed then.
        let mut gate = [PollFd::new(self.gate.as_fd(), PollFlags::empty())];
        match poll(&mut gate, PollTimeout::ZERO)? {
            0 => Ok(()),
            _ => Err(Errno::EOWNERDEAD),
        }
    }

    /// Gives the command its signals as this program got them. Until here they are blocked, and
    /// wait: pid 1 of a namespace would lose those it has no handler for.
    pub(super) fn restore_signals(&self) -> Result<(), Errno> {
        restore_sigpipe()?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)
    }
}

/// Rust ignores SIGPIPE in this program; a command must have it as everyone else.
pub(super) fn restore_sigpipe() -> Result<(), Errno> {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) }.map(drop)
}

/// Forks; the child lives `life`, whose return value is its exit status. Returns how it ended.
pub(super) fn run(
    mut report: Option<AgentReport>,
    mut terminal: Option<Terminal>,
    life: impl FnOnce(&Lifeline) -> i32,
) -> Result<WaitStatus, Failure> {
    let watched: SigSet = FORWARDED
        .into_iter()
        .chain([Signal::SIGCHLD, Signal::SIGWINCH])
        .collect();
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&watched), Some(&mut before))
        .doing(|| "block signals".into())?;
    let (gate, open_gate) = pipe2(OFlag::O_CLOEXEC).doing(|| "make a pipe".into())?;
    // SAFETY: this process has one thread, so the child may use everything it has copied.
    match unsafe { fork() }.doing(|| "fork".into())? {
        ForkResult::Child => {
            drop((open_gate, report.take()));
            let lifeline = Lifeline { gate, mask: before };
            let status = begin(&lifeline, terminal.as_ref()).map_or(1, |()| life(&lifeline));
            // SAFETY: ends the child at once; what the parent has buffered is the parent's to flush.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => {
            drop(gate);
            if let Some(report) = &mut report {
                report.running(child.as_raw());
            }
            // The child reads, or has died and the wait below says so. Kept open: see `Lifeline`.
            let _ = nix::unistd::write(&open_gate, b"g");
            let mut pass = |signal| {
                if signal == Signal::SIGTERM
                    && let Some(report) = &mut report
                {
                    // Before it is passed on: what ends of it must not be told first.
                    report.asked();
                }
                forward_one(child, signal)
            };
            let status = match &mut terminal {
                Some(terminal) => terminal.relay(child, &watched, pass)?,
                None => forward_until_exit(&watched, &mut pass)?,
            };
            if let Some(report) = report {
                report.ended(status);
            }
            Ok(status)
        }
    }
}

fn begin(lifeline: &Lifeline, terminal: Option<&Terminal>) -> Result<(), Errno> {
    lifeline.tie()?;
    let mut byte = [0];
    if nix::unistd::read(&lifeline.gate, &mut byte)? != 1 {
        return Err(Errno::EOWNERDEAD);
    }
    if let Some(terminal) = terminal {
        terminal.become_controlling()?;
    }
    Ok(())
}

/// Passes one signal on, or takes the child's end from it.
fn forward_one(child: Pid, signal: Signal) -> Option<WaitStatus> {
    if signal == Signal::SIGCHLD {
        return match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => Some(status),
            _ => None,
        };
    }
    // It may be gone: the next SIGCHLD says so.
    let _ = kill(child, signal);
    None
}

fn forward_until_exit(
    watched: &SigSet,
    pass: &mut dyn FnMut(Signal) -> Option<WaitStatus>,
) -> Result<WaitStatus, Failure> {
    loop {
        let signal = match watched.wait() {
            Ok(signal) => signal,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(Failure::new(format!("could not wait for signals: {error}"))),
        };
        if let Some(status) = pass(signal) {
            return Ok(status);
        }
    }
}

/// The exit status the package sees: its own code; 0 for SIGTERM, which is how daemons are ended;
/// 1 for any other signal, named on stderr.
pub(super) fn exit_status(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, Signal::SIGTERM, _) => 0,
        WaitStatus::Signaled(_, signal, _) => {
            eprintln!("start-container: the command was ended by {signal}");
            1
        }
        _ => 1,
    }
}

/// A descriptor of this process that the child shares.
pub(super) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

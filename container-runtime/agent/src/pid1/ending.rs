//! The end of a container, step by step.
//!
//! ```text
//! Serving ─shutdown or SIGTERM─▶ Asking ─all commands gone, or grace over─▶ Killing ─no child left─▶ Flushing ─▶ exit 0
//! ```
//!
//! Asking first kills the Node runtime: alive, it would start again what we end. Then every command
//! gets SIGTERM. Leaders without a command are left alone meanwhile, because a leader that ends takes
//! its whole subcontainer with it before a database could close its files.

use std::time::Duration;

use coppice_clock::Mono;
use coppice_wire::agent::ProcessKind;
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};

use super::{agent::Agent, processes::Process};

/// Grace when nobody says one (SIGTERM, SIGINT, SIGPWR). The SDK's own default for a daemon.
pub(super) const SIGTERM_GRACE: Duration = Duration::from_secs(60);
/// How long processes may take to vanish after SIGKILL (one in a device's hands may never).
const KILL_DEADLINE: Duration = Duration::from_secs(5);
/// How long the last reports may take to be acknowledged.
const FLUSH_DEADLINE: Duration = Duration::from_millis(300);

/// Where the container is in its life.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Serving,
    Asking { kill_at: Mono },
    Killing { give_up_at: Mono },
    Flushing { until: Mono },
}

impl Phase {
    /// When to look again although nothing happened.
    pub(super) fn wake_at(self) -> Option<Mono> {
        match self {
            Self::Serving => None,
            Self::Asking { kill_at } => Some(kill_at),
            Self::Killing { give_up_at } => Some(give_up_at),
            Self::Flushing { until } => Some(until),
        }
    }
}

impl Agent {
    /// Starts to end; a second call may shorten the grace, never lengthen it.
    pub(super) fn begin_ending(&mut self, grace: Duration, now: Mono) {
        let kill_at = now + grace;
        match self.phase {
            Phase::Serving => {}
            Phase::Asking { kill_at: earlier } => {
                self.phase = Phase::Asking {
                    kill_at: earlier.min(kill_at),
                };
                return;
            }
            Phase::Killing { .. } | Phase::Flushing { .. } => return,
        }
        self.phase = Phase::Asking { kill_at };
        for process in self.processes.iter().filter(|process| is_asked(process)) {
            if self.processes.is_relayed(process) {
                // Its stand-in is signalled too and passes it on: twice could mean something else.
                continue;
            }
            let signal = match process.started.kind {
                ProcessKind::Runtime => Signal::SIGKILL,
                ProcessKind::Host | ProcessKind::Exec | ProcessKind::Leader => Signal::SIGTERM,
            };
            // Gone already is where it is going anyway.
            let _ = kill(Pid::from_raw(process.started.pid), signal);
        }
    }

    /// Takes whatever steps are due; true at the very end.
    pub(super) fn progress_ending(&mut self, now: Mono) -> bool {
        if let Phase::Asking { kill_at } = self.phase {
            let busy = self.processes.iter().any(is_asked);
            if !busy || kill_at <= now {
                // Everything in our pid namespace but ourselves; ESRCH when there is nothing.
                let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
                self.phase = Phase::Killing {
                    give_up_at: now + KILL_DEADLINE,
                };
            }
        }
        if let Phase::Killing { give_up_at } = self.phase {
            // Looks without reaping: what is found dead is the next turn's to journal.
            let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            let none_left = waitid(Id::All, look) == Err(Errno::ECHILD);
            if none_left && self.callers.is_empty() || give_up_at <= now {
                self.phase = Phase::Flushing {
                    until: now + FLUSH_DEADLINE,
                };
            }
        }
        match self.phase {
            Phase::Flushing { until } => {
                until <= now || self.journal.is_empty() || !self.link.is_up()
            }
            Phase::Serving | Phase::Asking { .. } | Phase::Killing { .. } => false,
        }
    }
}

/// Whether a process is given the time to end by itself.
fn is_asked(process: &Process) -> bool {
    process.started.kind != ProcessKind::Leader || !process.started.argv.is_empty()
}

//! The processes the agent knows to be alive.
//!
//! Invariant: ids are unique among the living; a process leaves the table exactly when its exit is
//! journalled. Pids are only trusted while the entry is here: the agent is the one who reaps
//! (spawned processes), or holds the connection of the CLI that does (leaders and execs).

use coppice_clock::{Mono, Wall};
use coppice_wire::agent::{ProcessExited, ProcessKind, ProcessStarted};

#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) started: ProcessStarted,
    pub(super) since: Mono,
    /// Pid of the `start-container` that stands in for it, for leaders and execs.
    pub(super) cli: Option<i32>,
    /// Out-of-memory kills its leaf had counted before it began.
    pub(super) oom_before: Option<u64>,
    /// Whether its package asked it to end.
    pub(super) asked: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Code(i32),
    Signal(i32),
}

#[derive(Debug, Default)]
pub(super) struct Processes {
    alive: Vec<Process>,
    made: u64,
}

impl Processes {
    pub(super) fn insert(&mut self, process: Process) {
        self.alive.push(process);
    }

    /// A fresh id for something `start-container` runs.
    pub(super) fn new_id(&mut self, kind: ProcessKind) -> String {
        self.made += 1;
        let word = if kind == ProcessKind::Leader {
            "leader"
        } else {
            "exec"
        };
        format!("{word}-{}", self.made)
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Process> {
        self.alive.iter().find(|process| process.started.id == id)
    }

    /// The package wants the process with this id to end.
    pub(super) fn asked(&mut self, id: &str) {
        if let Some(process) = self.alive.iter_mut().find(|one| one.started.id == id) {
            process.asked = true;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.alive.iter()
    }

    /// Whether another process in the table passes signals on to this one.
    pub(super) fn is_relayed(&self, process: &Process) -> bool {
        process.cli.is_some_and(|cli| {
            let relays =
                |other: &Process| other.started.pid == cli && is_spawned(other.started.kind);
            self.alive.iter().any(relays)
        })
    }

    /// Takes out the spawned process (host's or runtime) with this pid.
    pub(super) fn take_spawned(&mut self, pid: i32) -> Option<Process> {
        let at = self
            .alive
            .iter()
            .position(|process| process.started.pid == pid && is_spawned(process.started.kind))?;
        Some(self.alive.remove(at))
    }

    /// Takes out the process with this id.
    pub(super) fn take(&mut self, id: &str) -> Option<Process> {
        let at = self
            .alive
            .iter()
            .position(|process| process.started.id == id)?;
        Some(self.alive.remove(at))
    }

    /// Whether a known process still lives in `leaf`.
    pub(super) fn uses_leaf(&self, leaf: &str) -> bool {
        self.alive
            .iter()
            .any(|process| process.started.leaf == leaf)
    }
}

/// Whether the agent itself forked processes of this kind, and so reaps them.
pub(super) fn is_spawned(kind: ProcessKind) -> bool {
    matches!(kind, ProcessKind::Host | ProcessKind::Runtime)
}

impl Process {
    /// A process that starts now; its number is given when it is journalled.
    pub(super) fn begin(
        mut started: ProcessStarted,
        cli: Option<i32>,
        oom_before: Option<u64>,
    ) -> Self {
        started.at_ms = Wall::now().as_millis();
        Self {
            started,
            since: Mono::now(),
            cli,
            oom_before,
            asked: false,
        }
    }

    /// The report of its end.
    pub(super) fn exited(
        &self,
        seq: u64,
        end: End,
        now: Mono,
        oom_now: Option<u64>,
    ) -> ProcessExited {
        let (code, signal) = match end {
            End::Code(code) => (Some(code), None),
            End::Signal(signal) => (None, Some(signal)),
        };
        ProcessExited {
            seq,
            id: self.started.id.clone(),
            pid: self.started.pid,
            kind: self.started.kind,
            generation: self.started.generation,
            code,
            signal,
            ran_ms: u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX),
            // A leaf that was made anew counts from zero again: then all of its kills are ours.
            oom_kills: oom_now.map(|now| now.saturating_sub(self.oom_before.unwrap_or(0))),
            root: self.started.root.clone(),
            program: self.started.argv.first().cloned(),
            daemon: self.started.daemon,
            asked: self.asked,
        }
    }
}

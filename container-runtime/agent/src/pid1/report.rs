//! Reports of `start-container`: launches and execs inside subcontainers.
//!
//! ```text
//!   (connected) ─begin─▶ Placed ─running─▶ Running ─ended or gone─▶ (removed)
//! ```
//!
//! Anything out of this order is ignored: package code can reach this socket, and all it could
//! damage is its own bookkeeping.

use coppice_clock::{Mono, Wall};
use coppice_wire::agent::{ProcessKind, ProcessStarted, daemon_leaf, is_safe_name};

use super::{
    agent::Agent,
    cgroups::Cgroups,
    clients::ClientEvent,
    processes::{End, Process},
};
use crate::local::{ARGV_BYTES, Placed, Report};

/// Where one connection is in its order.
pub(super) enum Caller {
    Placed {
        cli: i32,
        started: Box<ProcessStarted>,
        oom_before: Option<u64>,
    },
    Running {
        id: String,
        leaf: String,
    },
}

impl Caller {
    pub(super) fn leaf(&self) -> &str {
        match self {
            Self::Placed { started, .. } => &started.leaf,
            Self::Running { leaf, .. } => leaf,
        }
    }
}

impl Agent {
    pub(super) fn take_client_events(&mut self, events: Vec<ClientEvent>, now: Mono) {
        for event in events {
            match event {
                ClientEvent::Gone { client } => {
                    self.client_ended(client, End::Signal(libc::SIGKILL), now)
                }
                ClientEvent::Report {
                    client,
                    pid,
                    report,
                } => match report {
                    Report::Begin { kind, root, argv } => {
                        self.client_begins(client, pid, kind, &root, argv)
                    }
                    Report::Running { pid } => self.client_runs(client, pid),
                    Report::Asked => {
                        if let Some(Caller::Running { id, .. }) = self.callers.get(&client) {
                            self.processes.asked(id);
                        }
                    }
                    Report::Ended { code, signal } => {
                        let end = match (code, signal) {
                            (Some(code), _) => End::Code(code),
                            (None, signal) => End::Signal(signal.unwrap_or(libc::SIGKILL)),
                        };
                        self.client_ended(client, end, now);
                    }
                },
            }
        }
    }

    fn client_begins(
        &mut self,
        client: u64,
        caller_pid: i32,
        kind: ProcessKind,
        root: &str,
        mut argv: Vec<String>,
    ) {
        let reportable = matches!(kind, ProcessKind::Leader | ProcessKind::Exec);
        if !reportable || !is_safe_name(root, 128) || self.callers.contains_key(&client) {
            return;
        }
        crop(&mut argv, ARGV_BYTES);
        let generation = match kind {
            // It lives in the leader's namespaces and dies with it, whoever asked for it; its leaf
            // must be the leader's too, or the cgroup namespace it joins would not hold it.
            ProcessKind::Exec => self
                .leader_of(root)
                .or_else(|| self.generation_of(caller_pid)),
            _ => self.generation_of(caller_pid),
        };
        let mut leaf = daemon_leaf(root, generation);
        let there = Cgroups::leaves_of(caller_pid);
        let placed = if !there.is_empty() && there.iter().all(|other| *other == leaf) {
            // A daemon of the host's is there from the beginning; moving it again would cost as much.
            Ok(())
        } else {
            let made = self.cgroups.make(&leaf);
            made.and_then(|()| self.cgroups.place(caller_pid, &leaf))
        };
        match placed {
            Ok(()) => {
                self.idle_leaves.remove(&leaf);
                self.leaves.insert(leaf.clone(), generation);
            }
            Err(error) => {
                // It runs in its caller's leaf then: counted with the wrong one, but killed with it.
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let why = format!("{error}: {}", cause.unwrap_or_default());
                self.logs.note(Wall::now().as_millis(), &why);
                leaf = Cgroups::leaves_of(caller_pid)
                    .into_iter()
                    .next()
                    .unwrap_or_default();
            }
        }
        self.clients.answer(
            client,
            &Placed {
                generation,
                leaf: leaf.clone(),
            },
        );
        let started = ProcessStarted {
            seq: 0,
            id: self.processes.new_id(kind),
            pid: 0,
            kind,
            generation,
            root: Some(root.to_owned()),
            argv,
            daemon: self.shares_output(caller_pid),
            grace_ms: None,
            at_ms: 0,
            leaf,
        };
        let oom_before = self.cgroups.oom_kills(&started.leaf);
        let started = Box::new(started);
        self.callers.insert(
            client,
            Caller::Placed {
                cli: caller_pid,
                started,
                oom_before,
            },
        );
    }

    fn client_runs(&mut self, client: u64, pid: i32) {
        match self.callers.remove(&client) {
            Some(Caller::Placed {
                cli,
                mut started,
                oom_before,
            }) if pid > 1 => {
                started.pid = pid;
                let running = Caller::Running {
                    id: started.id.clone(),
                    leaf: started.leaf.clone(),
                };
                self.callers.insert(client, running);
                self.journal_start(Process::begin(*started, Some(cli), oom_before));
            }
            Some(other) => {
                self.callers.insert(client, other);
            }
            None => {}
        }
    }

    fn client_ended(&mut self, client: u64, end: End, now: Mono) {
        match self.callers.remove(&client) {
            Some(Caller::Running { id, .. }) => {
                if let Some(process) = self.processes.take(&id) {
                    self.journal_exit(&process, end, now);
                }
            }
            Some(Caller::Placed { started, .. }) if !started.leaf.is_empty() => {
                self.idle_leaves.insert(started.leaf, now);
            }
            Some(Caller::Placed { .. }) | None => {}
        }
    }

    /// Whose the living leader of a subcontainer is.
    fn leader_of(&self, root: &str) -> Option<u64> {
        let is_leader = |process: &&Process| {
            process.started.kind == ProcessKind::Leader
                && process.started.root.as_deref() == Some(root)
        };
        self.processes.iter().find(is_leader)?.started.generation
    }

    /// Whose a calling process is: that of the leaf it is in.
    fn generation_of(&self, pid: i32) -> Option<u64> {
        Cgroups::leaves_of(pid)
            .iter()
            .find_map(|leaf| self.leaves.get(leaf))
            .copied()
            .flatten()
    }
}

/// Keeps as many whole arguments as fit in so many bytes.
pub(super) fn crop(argv: &mut Vec<String>, bytes: usize) {
    let mut left = bytes;
    let fits = argv
        .iter()
        .take_while(|word| match left.checked_sub(word.len() + 1) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .count();
    argv.truncate(fits);
}

//! What is known of the processes of one container, decided without I/O or clock.
//!
//! Two things tell of processes: reports, numbered and in order, and the list that the agent gives
//! when it is asked. Invariants:
//! - a report counts once, however often the agent sends it;
//! - a process that was reported gone stays gone, whatever an older list says;
//! - a report is called safe only after everything that follows from it and from those before it;
//! - reports up to the first list of a life tell of the time before we watched: what they call
//!   alive is taken from the list, what they call dead had died unseen.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use coppice_wire::agent::{ProcessExited, ProcessKind, ProcessList, ProcessStarted};

use super::super::ProcessEvent;

/// Reports kept until the first list, and ends remembered while a list is on its way. Ten seconds
/// of a busy container; what is beyond is not shown right until the next list.
pub(super) const KEPT: usize = 4096;

/// What follows from what was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A daemon lives.
    Began(ProcessStarted),
    /// A daemon that was told of before lives no more, and how it ended was not reported.
    Gone {
        /// Its id.
        id: String,
    },
    /// A daemon died, told of before or not, or the Node process did while nobody watched, and this is
    /// the report.
    Died {
        /// The report.
        exit: ProcessExited,
        /// Whether we were there; otherwise it died while nobody watched.
        watched: bool,
    },
    /// This report and all before it need not come again.
    Safe {
        /// Its number.
        seq: u64,
    },
    /// Reports of another life came: its list is needed.
    Ask,
}

/// The processes of one container; see the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    life: Option<Arc<str>>,
    living: BTreeMap<String, ProcessStarted>,
    /// Number of the newest report that was taken.
    newest: u64,
    first: Option<First>,
    /// Reports from before the first list.
    early: VecDeque<ProcessEvent>,
    /// Lists that were asked for and did not come yet.
    asked: usize,
    /// Ends that a list which is on its way may not know of.
    ended: BTreeMap<u64, String>,
}

/// What the first list of a life said.
#[derive(Debug)]
struct First {
    seq: u64,
    /// Generation of the Node process that lived then.
    runtime: Option<u64>,
}

impl Ledger {
    /// A list is asked for.
    pub(super) fn asked(&mut self) {
        self.asked += 1;
    }

    /// A list will not come after all.
    pub(super) fn unanswered(&mut self) {
        self.asked = self.asked.saturating_sub(1);
        if self.asked == 0 {
            self.ended.clear();
        }
    }

    /// Whether a process of this generation was looked after by the Node process that lived when
    /// the first list was made. The host's own processes need no Node.
    pub(super) fn had_its_runtime(&self, generation: Option<u64>) -> bool {
        let runtime = self.first.as_ref().and_then(|first| first.runtime);
        generation.is_none() || generation == runtime
    }

    /// Whether this was the Node process, and nobody has started another since: its actor, which tells of
    /// every end that it sees, was not there.
    fn was_the_last_runtime(&self, exit: &ProcessExited) -> bool {
        let none = self
            .first
            .as_ref()
            .is_some_and(|first| first.runtime.is_none());
        exit.kind == ProcessKind::Runtime && none
    }

    /// The list came.
    pub(super) fn listed(&mut self, list: ProcessList) -> Vec<Change> {
        let mut changes = Vec::new();
        let gone: Vec<String> = self
            .living
            .iter()
            .filter(|(id, one)| {
                let listed = list.processes.iter().any(|process| process.id == **id);
                !listed && one.seq <= list.seq
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.living.remove(&id);
            changes.push(Change::Gone { id });
        }
        let runtimes = list
            .processes
            .iter()
            .filter(|one| one.kind == ProcessKind::Runtime);
        let runtime = runtimes.filter_map(|one| one.generation).max();
        for process in list.processes {
            let mut later = self.ended.range(list.seq.saturating_add(1)..);
            if !later.any(|(_, id)| *id == process.id) {
                self.began(process, &mut changes);
            }
        }
        self.unanswered();
        if self.first.is_none() {
            self.first = Some(First {
                seq: list.seq,
                runtime,
            });
            for event in std::mem::take(&mut self.early) {
                self.take(event, &mut changes);
            }
        }
        changes
    }

    /// A report came.
    pub(super) fn reported(&mut self, life: &Arc<str>, event: ProcessEvent) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.life.as_ref().is_some_and(|known| known != life) {
            let ended = std::mem::take(&mut self.living).into_keys();
            changes.extend(ended.map(|id| Change::Gone { id }));
            *self = Self::default();
            changes.push(Change::Ask);
        }
        self.life.get_or_insert_with(|| Arc::clone(life));
        let seq = event.seq();
        if seq <= self.newest {
            // Sent again: our acknowledgement did not arrive, or is still on its way.
            if self.first.is_some() {
                changes.push(Change::Safe { seq });
            }
            return changes;
        }
        self.newest = seq;
        if self.first.is_some() {
            self.take(event, &mut changes);
        } else {
            if self.early.len() >= KEPT {
                self.early.pop_front();
            }
            self.early.push_back(event);
        }
        changes
    }

    fn take(&mut self, event: ProcessEvent, changes: &mut Vec<Change>) {
        let seq = event.seq();
        let before = self.first.as_ref().is_some_and(|first| seq <= first.seq);
        match event {
            ProcessEvent::Started(_) if before => {}
            ProcessEvent::Started(process) => self.began(process, changes),
            ProcessEvent::Exited(exit) => self.ended(exit, !before, changes),
        }
        changes.push(Change::Safe { seq });
    }

    fn began(&mut self, process: ProcessStarted, changes: &mut Vec<Change>) {
        if is_daemon(process.kind, process.daemon, !process.argv.is_empty())
            && !self.living.contains_key(&process.id)
            // An agent that lies about its processes makes no more actors than this.
            && self.living.len() < KEPT
        {
            self.living.insert(process.id.clone(), process.clone());
            changes.push(Change::Began(process));
        }
    }

    fn ended(&mut self, exit: ProcessExited, watched: bool, changes: &mut Vec<Change>) {
        if self.asked > 0 {
            if self.ended.len() >= KEPT {
                self.ended.pop_first();
            }
            self.ended.insert(exit.seq, exit.id.clone());
        }
        let known = self.living.remove(&exit.id).is_some();
        let told = is_daemon(exit.kind, exit.daemon, exit.program.is_some());
        if known || told || (!watched && self.was_the_last_runtime(&exit)) {
            changes.push(Change::Died { exit, watched });
        }
    }
}

/// A process of the package that is neither a bare leader nor a question whose answer it reads.
fn is_daemon(kind: ProcessKind, daemon: bool, runs_something: bool) -> bool {
    match kind {
        ProcessKind::Leader | ProcessKind::Exec => runs_something && daemon,
        ProcessKind::Host => true,
        ProcessKind::Runtime => false,
    }
}

#[cfg(test)]
mod tests;

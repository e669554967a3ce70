//! Processes that wait in their leaf to be the next incarnation of a daemon of the host's.
//!
//! Moving a process into a cgroup makes the kernel wait for every processor: 8 to 30 ms, and so most of
//! what the death of a daemon costs. So it is done beforehand: some time after a daemon was started, the
//! child for its next start is forked, moved, and left waiting at its gate.
//!
//! Invariants: there is at most one for each leaf, it is started only by exactly the request it was made
//! for, and it goes when its leaf does. It is none of the processes that are reported. It costs one process
//! and some 100 KiB, and is counted in its leaf.

use std::{collections::BTreeMap, time::Duration};

use coppice_clock::Mono;
use coppice_wire::agent::Spawn;

use super::{
    cgroups::Cgroups,
    processes::Processes,
    spawn::{self, Waiting},
};

/// From a start to the child for the next: a daemon that comes up has other things to do, and one that
/// fails at once needs none.
const DELAY: Duration = Duration::from_secs(1);

/// Those that wait, and those that are to be made.
#[derive(Debug, Default)]
pub(super) struct Standbys {
    waiting: BTreeMap<String, (Spawn, Waiting)>,
    due: BTreeMap<String, (Spawn, Mono)>,
}

impl Standbys {
    /// A daemon was started by this request: it will want a successor.
    pub(super) fn started(&mut self, spawn: &Spawn, now: Mono) {
        self.due
            .insert(spawn.leaf.clone(), (spawn.clone(), now + DELAY));
    }

    /// The child that was made for this very request.
    pub(super) fn take(&mut self, spawn: &Spawn) -> Option<Waiting> {
        self.due.remove(&spawn.leaf);
        let (made_for, child) = self.waiting.remove(&spawn.leaf)?;
        (made_for == *spawn).then_some(child)
    }

    /// The process that waits in a leaf.
    pub(super) fn pid(&self, leaf: &str) -> Option<i32> {
        self.waiting.get(leaf).map(|(_, child)| child.pid())
    }

    /// Nobody will start anything in this leaf as before.
    pub(super) fn forget(&mut self, leaf: &str) {
        self.due.remove(leaf);
        self.waiting.remove(leaf);
    }

    /// A child has been reaped; perhaps one of these.
    pub(super) fn reaped(&mut self, pid: i32) {
        self.waiting.retain(|_, (_, child)| child.pid() != pid);
    }

    /// When [`Standbys::make_due`] wants to be called.
    pub(super) fn wake_at(&self) -> Option<Mono> {
        self.due.values().map(|(_, at)| *at).min()
    }

    /// Makes those whose time has come, for daemons that still live. One that cannot be made is done
    /// without: the next start takes longer.
    pub(super) fn make_due(
        &mut self,
        processes: &Processes,
        boot: &str,
        cgroups: &Cgroups,
        now: Mono,
    ) {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(_, (_, at))| *at <= now);
        self.due = later.into_iter().collect();
        for (leaf, (spawn, _)) in due {
            let lives = processes.by_id(&spawn.id).is_some();
            if let Some(Ok(child)) = lives.then(|| spawn::prepare(&spawn, boot, cgroups)) {
                self.waiting.insert(leaf, (spawn, child));
            }
        }
    }
}

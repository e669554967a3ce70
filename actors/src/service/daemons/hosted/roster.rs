//! Which daemons the host keeps for one service, across restarts of the actors that do it.
//!
//! Invariant: what is marked as to be ended stays marked until it is struck off, so an actor that
//! was restarted in between goes on ending it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use coppice_wire::agent::ProcessExited;
use ractor::ActorRef;
use tokio::sync::watch;

use super::{
    actor::HostedMsg,
    declared::Declared,
    plan::Stage,
    step::{End, Input},
};

/// The host's daemons of one service; see the module.
#[derive(Debug)]
pub struct Roster {
    entries: Mutex<Vec<Entry>>,
    count: watch::Sender<usize>,
    /// One change of what is declared at a time.
    pub(super) declaring: tokio::sync::Mutex<()>,
    /// What is declared was seen while the service was not to run, and nothing was declared since.
    void: AtomicBool,
}

/// One of them.
#[derive(Debug)]
struct Entry {
    daemon: Arc<Declared>,
    actor: Option<ActorRef<HostedMsg>>,
    stage: Stage,
    /// Its root and mounts are made, in this life of the container.
    rooted: bool,
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            count: watch::Sender::new(0),
            declaring: tokio::sync::Mutex::default(),
            void: AtomicBool::new(false),
        }
    }
}

impl Roster {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, process: &str, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut entries = self.entries();
        let known = |entry: &&mut Entry| entry.daemon.process() == process;
        entries.iter_mut().find(known).map(change)
    }

    /// Strikes off those that have no actor any more; `supervised` are the names of daemons that do.
    pub(super) fn keep_only(&self, supervised: &[String]) {
        let mut entries = self.entries();
        entries.retain(|entry| supervised.contains(&entry.daemon.spec.id));
        for entry in entries.iter_mut() {
            // Perhaps of another container; asking again does no harm.
            entry.rooted = false;
        }
        self.count.send_replace(entries.len());
    }

    /// What is declared now holds no more, even if the service is wanted again before it is taken back.
    pub(super) fn make_void(&self) {
        self.void.store(true, Ordering::Release);
    }

    /// What is declared now was declared since.
    pub(super) fn holds(&self) {
        self.void.store(false, Ordering::Release);
    }

    pub(super) fn is_void(&self) -> bool {
        self.void.load(Ordering::Acquire)
    }

    /// All of them, in start order.
    pub(super) fn present(&self) -> Vec<(String, Stage)> {
        let entries = self.entries();
        let all = entries.iter();
        all.map(|entry| (entry.daemon.process(), entry.stage))
            .collect()
    }

    pub(super) fn add(&self, daemon: Arc<Declared>, stage: Stage) {
        let mut entries = self.entries();
        entries.push(Entry {
            daemon,
            actor: None,
            stage,
            rooted: false,
        });
        self.count.send_replace(entries.len());
    }

    pub(super) fn strike(&self, process: &str) {
        let mut entries = self.entries();
        entries.retain(|entry| entry.daemon.process() != process);
        self.count.send_replace(entries.len());
    }

    pub(super) fn daemon(&self, process: &str) -> Option<Arc<Declared>> {
        self.with(process, |entry| Arc::clone(&entry.daemon))
    }

    /// Notes the present actor of a daemon; whether the daemon is to be ended.
    pub(super) fn enter(&self, process: &str, actor: ActorRef<HostedMsg>) -> bool {
        let entered = self.with(process, |entry| {
            entry.actor = Some(actor);
            entry.stage == Stage::Stopping
        });
        entered.unwrap_or(true)
    }

    /// It has been up.
    pub(super) fn is_up(&self, process: &str) {
        self.with(process, |entry| {
            if entry.stage == Stage::Starting {
                entry.stage = Stage::Up;
            }
        });
    }

    /// Marks a daemon as to be ended and tells its actor; whether there was one to tell.
    pub(super) fn stop(&self, process: &str) -> bool {
        let told = self.with(process, |entry| {
            entry.stage = Stage::Stopping;
            let grace = entry.daemon.grace();
            let told = entry.actor.as_ref().map(|actor| {
                let stop = HostedMsg::Input(Input::Stop { grace });
                actor.send_message(stop)
            });
            matches!(told, Some(Ok(())))
        });
        told.unwrap_or(false)
    }

    pub(super) fn has_root(&self, process: &str) -> bool {
        self.with(process, |entry| entry.rooted).unwrap_or(false)
    }

    pub(super) fn note_root(&self, process: &str) {
        self.with(process, |entry| entry.rooted = true);
    }

    /// Tells the actor of a process that it ended; whether that was what was wanted. `None` when nobody
    /// keeps it: not yet, or not any more.
    pub(in super::super) fn exited(&self, exit: &ProcessExited) -> Option<bool> {
        let how = match (exit.code, exit.signal) {
            (_, Some(signal)) => End::Signal(signal),
            (code, None) => End::Code(code.unwrap_or(-1)),
        };
        self.ended(&exit.id, Some(exit.pid), how)
    }

    /// The same, of one whose end nobody saw.
    pub(in super::super) fn vanished(&self, process: &str) {
        self.ended(process, None, End::Unseen);
    }

    fn ended(&self, process: &str, pid: Option<i32>, how: End) -> Option<bool> {
        self.with(process, |entry| {
            if let Some(actor) = &entry.actor {
                // One that is gone has a successor that asks the agent.
                let _ = actor.send_message(HostedMsg::Input(Input::Exited { pid, how }));
            }
            entry.stage == Stage::Stopping
        })
    }

    /// Waits until there is none.
    pub async fn emptied(&self) {
        let mut count = self.count.subscribe();
        // The sender is in `self`, which is borrowed for as long as this waits.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

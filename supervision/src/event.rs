//! What a supervisor tells an observer: every start, exit and decision, as it happens.

use std::time::Duration;

use coppice_clock::Mono;

use crate::{
    exit::ExitReason,
    id::{ChildId, TreePath},
};

/// Target of the `TRACE` events that state machines write of their steps: `machine`, `whose`, `from`,
/// `input`, `to`, and `due`, the deadline of the state they are in now, in milliseconds of [`Mono`].
pub const STEPS: &str = "coppice::step";

/// Something that happened in one supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisionEvent {
    /// When.
    pub at: Mono,
    /// In which supervisor.
    pub supervisor: TreePath,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A child is being started.
    Starting {
        /// Which.
        child: ChildId,
        /// How often it was restarted before.
        restarts: u32,
    },
    /// A child is up.
    Started {
        /// Which.
        child: ChildId,
        /// How often it was restarted before.
        restarts: u32,
    },
    /// A child chose not to run.
    Ignored {
        /// Which.
        child: ChildId,
    },
    /// A child ended by itself, or did not come up, and this was decided.
    Exited {
        /// Which.
        child: ChildId,
        /// Why. [`ExitReason::StartFailed`] if it did not come up.
        reason: ExitReason,
        /// How long it was up; zero if it never was.
        uptime: Duration,
        /// What follows.
        decision: Decision,
    },
    /// A child is asked to stop.
    Stopping {
        /// Which.
        child: ChildId,
    },
    /// A child ended because the supervisor ended it.
    Stopped {
        /// Which.
        child: ChildId,
        /// How; [`ExitReason::Killed`] if it would not go.
        reason: ExitReason,
    },
    /// A child did not stop in time and is killed.
    Killing {
        /// Which.
        child: ChildId,
    },
    /// A killed child did not end: its handler holds a thread and lets nobody in. The supervisor
    /// goes on without it.
    Abandoned {
        /// Which.
        child: ChildId,
    },
    /// A child is kept aside until it is tried again.
    Parked {
        /// Which.
        child: ChildId,
        /// How it ended last.
        reason: ExitReason,
        /// When it is tried again.
        next_probe: Mono,
    },
    /// A parked child is tried again.
    Probing {
        /// Which.
        child: ChildId,
        /// How many probes came before.
        probes: u32,
    },
    /// A parked child is back among the others.
    Unparked {
        /// Which.
        child: ChildId,
    },
    /// The supervisor begins to end, and will end its children.
    Ending {
        /// Why.
        reason: ExitReason,
    },
    /// The supervisor ended; its parent decides.
    Ended {
        /// Why.
        reason: ExitReason,
    },
}

/// What a supervisor does about an exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It starts the child again, and with it whom the strategy names, after `delay`.
    Restart {
        /// How long it waits before.
        delay: Duration,
    },
    /// A failed restart is tried again; the next event about this child tells how it went.
    TryAgain,
    /// The child stays down, its spec kept.
    StayDown,
    /// The child's spec is gone.
    Remove,
    /// The child is kept aside; it is tried again at `next_probe`.
    Park {
        /// When.
        next_probe: Mono,
    },
    /// Too many restarts: the supervisor ends (escalation).
    GiveUp,
    /// Significant children ended: the supervisor ends.
    AutoShutdown,
    /// The supervisor did not come up because this child did not.
    FailStart,
}

/// Someone who wants to know. Called from the supervisor's own task: it must not block; send to a
/// channel.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, event: SupervisionEvent);
}

impl<F: Fn(SupervisionEvent) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: SupervisionEvent) {
        self(event);
    }
}

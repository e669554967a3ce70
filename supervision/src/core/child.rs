//! One child: its rules, its counters, and where it is in its life.

use coppice_clock::Mono;

use super::{
    command::CommandId,
    counting::Window,
    rules::{ChildRules, Restart},
};
use crate::{exit::ExitReason, id::ChildId};

/// A child within its supervisor; keys grow in start order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u64);

/// One attempt to start a child, and the incarnation that came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StartId(pub(crate) u64);

/// What a child is doing, as shown to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// Not running, spec kept: stopped by command, ended for good, or not yet started.
    Down,
    /// Its start is under way.
    Starting {
        /// Since when.
        since: Mono,
    },
    /// Up.
    Running {
        /// Since when.
        since: Mono,
    },
    /// It ended and will be started again.
    Restarting {
        /// When, at the earliest.
        at: Mono,
    },
    /// It was asked to stop.
    Stopping {
        /// When it is killed; `None` if it has all the time it wants.
        kill_at: Option<Mono>,
    },
    /// It exceeded its intensity and is kept aside.
    Parked {
        /// Since when.
        since: Mono,
        /// How it ended last.
        reason: ExitReason,
        /// When it is tried again.
        next_probe: Mono,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) id: ChildId,
    pub(super) rules: ChildRules,
    /// Starts so far, successful or not.
    pub(super) starts: u32,
    /// Restarts in a row, for the backoff.
    pub(super) streak: u32,
    /// Its own restarts, counted only under parking.
    pub(super) window: Window,
    /// Since when nothing has failed in it: its start, or the last restart below it.
    pub(super) steady_since: Mono,
    pub(super) life: Life,
}

#[derive(Clone, Debug)]
pub(super) enum Life {
    Down,
    Starting {
        start: StartId,
        since: Mono,
        why: Why,
    },
    Running {
        start: StartId,
        since: Mono,
        /// Set while a probed child has yet to prove itself.
        parole: Option<Parole>,
    },
    /// It ended while the supervisor was busy; the decision is due.
    Dead {
        start: StartId,
        since: Mono,
        reason: ExitReason,
        at: Mono,
    },
    Stopping {
        start: StartId,
        stage: StopStage,
        /// Commands that wait for the end.
        waiting: Vec<CommandId>,
    },
    /// A restart failed; a message to ourselves will try again.
    Retry {
        reason: ExitReason,
        at: Mono,
    },
    /// To be started at `until`, alone or with its group.
    Waiting {
        until: Mono,
    },
    Parked {
        since: Mono,
        reason: ExitReason,
        probes: u32,
        next: Mono,
    },
}

/// Why a start was begun: decides what its failure means.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// First start of the supervisor.
    Boot,
    /// Restart of this child alone.
    Again,
    /// Restart with its group.
    Group,
    /// New child.
    Add(CommandId),
    /// A child that was down.
    Command(CommandId),
    /// Parked, tried by the supervisor.
    Probe(Parole),
    /// Parked, tried by command.
    Unpark(CommandId),
}

/// What is remembered of a parked child while it is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parole {
    pub(super) parked_since: Mono,
    /// Probes so far, this one included.
    pub(super) probes: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum StopStage {
    Asked { kill_at: Option<Mono> },
    Killed { abandon_at: Mono },
}

impl Child {
    pub(super) fn new(id: ChildId, rules: ChildRules) -> Self {
        Self {
            id,
            rules,
            starts: 0,
            streak: 0,
            window: Window::default(),
            steady_since: Mono::default(),
            life: Life::Down,
        }
    }

    pub(super) fn is_temporary(&self) -> bool {
        matches!(self.rules.restart, Restart::Temporary { .. })
    }

    pub(super) fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// A start or a stop is under way.
    pub(super) fn is_changing(&self) -> bool {
        matches!(self.life, Life::Starting { .. } | Life::Stopping { .. })
    }

    pub(super) fn state(&self) -> ChildState {
        match &self.life {
            Life::Down => ChildState::Down,
            Life::Starting { since, .. } => ChildState::Starting { since: *since },
            Life::Running { since, .. } => ChildState::Running { since: *since },
            Life::Dead { at, .. } | Life::Retry { at, .. } => ChildState::Restarting { at: *at },
            Life::Waiting { until } => ChildState::Restarting { at: *until },
            Life::Stopping { stage, .. } => ChildState::Stopping {
                kill_at: match stage {
                    StopStage::Asked { kill_at } => *kill_at,
                    StopStage::Killed { abandon_at } => Some(*abandon_at),
                },
            },
            Life::Parked {
                since,
                reason,
                next,
                ..
            } => ChildState::Parked {
                since: *since,
                reason: reason.clone(),
                next_probe: *next,
            },
        }
    }
}

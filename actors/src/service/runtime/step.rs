//! The life of one Node runtime, decided without I/O or clock.
//!
//! ```text
//!                    agent up, a runtime lives (adopt)
//!              ┌───────────────────────────────────────┐
//!              │  agent up, none lives: spawn          ▼
//!  Waiting ────┴─────────────────────────────────▶ Launching ──hello──▶ Initialising
//!                                                      │                     │ init answered
//!                                                      │ deadline            ▼
//!                                                      ▼        ┌────────── Idle ◀──────────┐
//!                                                    Failed ◀───┤ start     │ wants running │ stop answered
//!                                          (actor ends; its     │ deadline  ▼               │
//!                                           supervisor decides) │        Starting        Stopping
//!                                                               │           │ answered      ▲
//!                                                               │           ▼               │ wants a stop
//!                                                               └──────── Running ──────────┘
//!  Idle or Running ──exit──▶ Exiting ──answered──▶ Exited
//!  Failed, or Idle after a start that failed ──hold──▶ Held ──release, or a new wish──▶ Waiting, or Idle
//!
//!  Running ──drowsy──▶ Settling ──Node ended──▶ Asleep ──roused, or another wish──▶ Waking ──agent up──▶ Launching
//!     ▲                   │ not yet                ▲
//!     └───────────────────┘                        └── Waiting, when the agent is up and the mark says so
//! ```
//!
//! Invariants:
//! - `init` is asked once per generation and before any `start`.
//! - A new generation is spawned only after every other one was killed ([`Effect::Spawn`]).
//! - Every state on the way has a deadline; its successor is `Failed`, which names what was waited for.
//! - A `main` that was adopted and is not wanted as it is, is stopped before anything else is asked of it.
//! - What the user wants is read when it matters, never queued: the last wish wins.
//! - From `Settling` to the next `Idle` all that the service runs is kept by the host: whatever becomes of Node
//!   in `Settling` is no death, and what was noted as running stays noted.
//! - What is held is not tried until it is released or its owner wishes something. `Held` is a state
//!   to rest in ([`super::super::hold`] watches for what is missing), so it has no deadline.

mod effect;
mod ending;
mod input;
mod rising;
mod sleeping;
mod wishes;

use std::time::Duration;

use coppice_clock::Mono;
use coppice_supervision::variants;

pub use self::{effect::Effect, input::Input};
use super::failure::Failure;

/// From the agent's answer to the runtime's hello. Node boots in well under a second on a slow disk.
pub const LAUNCH_DEADLINE: Duration = Duration::from_secs(60);
/// `init` runs migrations of real data: long, but not for ever.
pub const INIT_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// `start` answers when the package has built its daemons, which may wait for one another.
pub const START_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// The SDK gives a daemon 60 s and its container process 30 s after that.
pub const STOP_DEADLINE: Duration = Duration::from_secs(150);
/// `exit` stops, then runs the package's `uninit`.
pub const EXIT_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// From the leave to sleep to Node's end, which has nothing left to do.
pub const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
/// What the `init` of a woken package has, which migrates nothing, when only its `uninit` is wanted: whoever removes
/// it waits for all of that ([`crate::jobs`]), and does not come back.
pub const LEAVE_DEADLINE: Duration = Duration::from_secs(30);
/// Between two tries of a `start` that failed; the contract's figure.
pub const START_RETRY: Duration = Duration::from_secs(10);

/// What a Node process comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Started, in a container where nothing ran.
    New,
    /// It ran before this actor did.
    Adopted,
    /// Started for a service that slept: what it had declared is running.
    Woken {
        /// Its `uninit` is wanted as soon as its `init` has answered.
        to_leave: bool,
    },
}

impl Origin {
    /// Whether `main` may be up although this actor has not started it.
    const fn may_be_up(self) -> bool {
        !matches!(self, Self::New)
    }
}

/// What is to follow when Node has gone to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// Nothing.
    Sleep,
    /// It is wanted again.
    Wake,
    /// Its `uninit` is wanted.
    Leave,
}

/// Where the runtime stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No agent to talk to; the container's actor owns the deadline for that.
    Waiting,
    /// A Node process was started or is expected to dial again.
    Launching {
        /// Its generation.
        generation: u64,
        /// What it comes from.
        origin: Origin,
        /// When to give up.
        deadline: Mono,
    },
    /// The package's `init` runs.
    Initialising {
        /// Its generation.
        generation: u64,
        /// What it comes from.
        origin: Origin,
        /// When to give up.
        deadline: Mono,
    },
    /// Initialised; `main` is not up.
    Idle {
        /// Its generation.
        generation: u64,
        /// It ran before this actor did, and nobody has told yet whether `main` is up.
        adopted: bool,
        /// Not before this time is `start` tried again; it failed.
        retry_at: Option<Mono>,
    },
    /// Something it needs is missing: what failed is not tried again until that is there.
    Held {
        /// Its generation, when Node lives and only `main` waits; `None` when nothing lives.
        generation: Option<u64>,
    },
    /// The package's `main` builds its daemons.
    Starting {
        /// Its generation.
        generation: u64,
        /// When to give up.
        deadline: Mono,
    },
    /// `main` is up.
    Running {
        /// Its generation.
        generation: u64,
    },
    /// All that `main` runs is kept by the host, and Node may end.
    Settling {
        /// Its generation.
        generation: u64,
        /// When it is ended by force.
        deadline: Mono,
        /// What came up meanwhile.
        then: Then,
    },
    /// `main` is up without Node, which ended for having nothing to do.
    Asleep {
        /// The generation that fell asleep.
        generation: u64,
    },
    /// Node is wanted again; nobody has said yet which generation comes next.
    Waking {
        /// Its `uninit` is wanted.
        to_leave: bool,
    },
    /// `main` is being ended.
    Stopping {
        /// Its generation.
        generation: u64,
        /// When to give up.
        deadline: Mono,
    },
    /// The package's `uninit` runs; the process ends after it.
    Exiting {
        /// Its generation.
        generation: u64,
        /// When to give up.
        deadline: Mono,
    },
    /// `uninit` is done; nothing will be asked of this generation again.
    Exited,
    /// Over; the actor ends with this reason and its successor begins anew.
    Failed(Failure),
}

variants!(
    State: Waiting, Launching, Initialising, Idle, Starting, Running, Settling, Asleep, Waking, Stopping,
    Exiting, Exited, Held, Failed
);

impl State {
    /// The generation that is alive in this state.
    #[must_use]
    pub const fn generation(&self) -> Option<u64> {
        match self {
            Self::Launching { generation, .. }
            | Self::Initialising { generation, .. }
            | Self::Idle { generation, .. }
            | Self::Starting { generation, .. }
            | Self::Running { generation }
            | Self::Settling { generation, .. }
            | Self::Stopping { generation, .. }
            | Self::Exiting { generation, .. } => Some(*generation),
            Self::Held { generation } => *generation,
            Self::Waiting
            | Self::Asleep { .. }
            | Self::Waking { .. }
            | Self::Exited
            | Self::Failed(_) => None,
        }
    }

    /// When this state gives up, and what it waits for.
    #[must_use]
    pub const fn deadline(&self) -> Option<(Mono, &'static str)> {
        match self {
            Self::Launching { deadline, .. } => Some((*deadline, "the Node runtime to come up")),
            Self::Initialising { deadline, .. } => Some((*deadline, "the package's init")),
            Self::Starting { deadline, .. } => Some((*deadline, "the package's main to start")),
            Self::Stopping { deadline, .. } => Some((*deadline, "the package's main to stop")),
            Self::Exiting { deadline, .. } => Some((*deadline, "the package's uninit")),
            Self::Settling { deadline, .. } => Some((*deadline, "the Node runtime to fall asleep")),
            Self::Waiting
            | Self::Idle { .. }
            | Self::Held { .. }
            | Self::Running { .. }
            | Self::Asleep { .. }
            | Self::Waking { .. }
            | Self::Exited
            | Self::Failed(_) => None,
        }
    }

    /// The next state and what to do. The same arguments always give the same answer.
    #[must_use]
    pub fn step(self, input: Input, now: Mono) -> (Self, Vec<Effect>) {
        match input {
            Input::AgentUp { live, next, asleep } => self.agent_up(live, next, asleep, now),
            Input::SpawnFailed(why) => self.spawn_failed(why),
            Input::RuntimeUp { generation } => self.runtime_up(generation, now),
            Input::RuntimeEnded {
                generation,
                code,
                signal,
                oom_kills,
            } => {
                let ended = Failure::Ended {
                    code,
                    signal,
                    oom_kills,
                };
                self.runtime_ended(generation, ended)
            }
            Input::RuntimeMissing { generation } => self.runtime_missing(generation),
            Input::InitDone(result) => self.init_done(result, now),
            Input::StartDone(result) => self.start_done(result, now),
            Input::StopDone(result) => self.stop_done(result),
            Input::ExitDone(result) => self.exit_done(result),
            Input::Drowsy { generation } => self.drowsy(generation, now),
            Input::NotYet => self.not_yet(now),
            Input::Rouse => self.rouse(),
            Input::Exit => self.exit(now),
            Input::Desired(desired) => self.desired(desired, now),
            Input::Hold => (self.hold(), vec![]),
            Input::Release => self.release(),
            Input::Wake => self.wake(now),
        }
    }
}

#[cfg(test)]
mod tests;

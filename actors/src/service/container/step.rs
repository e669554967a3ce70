//! The life of one container, decided without I/O or clock.
//!
//! ```text
//!  Looking ──runs already──────────────────────────▶ Up ──ended──▶ Failed (the actor ends)
//!     │ nothing runs                                  ▲ │
//!     ▼                                               │ │ stop
//!  Creating ──created────────────────────────────────┘ ▼
//!   ▲    │ failed, or deadline                       Stopping ──gone──▶ Gone
//!   │    ▼
//!   │  Failed
//!   │ gone
//!  Clearing (the old container is condemned)
//!
//!  Failed for want of room ──hold──▶ Held ──release──▶ Looking
//! ```
//!
//! Invariants:
//! - A container that runs is adopted, never made again; one that is condemned is removed first.
//! - Only a command or a condemnation ends a container; the end of this actor does not.
//! - Every state on the way has a deadline. `Held` is a state to rest in: its way out is room on the
//!   disk, or its owner's start.

use std::time::Duration;

use coppice_clock::Mono;
use coppice_supervision::variants;

/// Looking is a few file reads.
pub const LOOK_DEADLINE: Duration = Duration::from_secs(30);
/// Mounts, an overlay and liblxc: tenths of a second, seconds on an old disk.
pub const CREATE_DEADLINE: Duration = Duration::from_secs(120);
/// What the processes of a condemned container have to end by themselves.
pub const CLEARING_GRACE: Duration = Duration::from_secs(20);
/// Beyond the grace: SIGKILL, unmounting, removing the upper layer.
pub const DESTROY_DEADLINE: Duration = Duration::from_secs(60);

/// Where the container stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Asking the backend whether it runs already.
    Looking {
        /// When to give up.
        deadline: Mono,
    },
    /// The container of the incarnation before is condemned and being removed.
    Clearing {
        /// When to give up.
        deadline: Mono,
    },
    /// Being made.
    Creating {
        /// When to give up.
        deadline: Mono,
    },
    /// Running since then.
    Up {
        /// Since when we know it.
        since: Mono,
    },
    /// There is no room to make it; not tried again until there is.
    Held,
    /// Being ended on command.
    Stopping {
        /// When to give up.
        deadline: Mono,
    },
    /// Ended on command; nothing of it is left.
    Gone,
    /// Over; the actor ends with this reason and its successor begins anew.
    Failed(Failure),
}

variants!(State: Looking, Clearing, Creating, Up, Held, Stopping, Gone, Failed);

/// How a container's pid 1 ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Unseen; what is known of it, in words.
    Unseen(String),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "its first process ended with code {code}"),
            Self::Signal(signal) => write!(f, "its first process was ended by signal {signal}"),
            Self::Unseen(words) => f.write_str(words),
        }
    }
}

/// Why the actor is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The container ended without our doing.
    Ended {
        /// How its pid 1 ended.
        how: Ending,
        /// How long it had been up.
        ran: Duration,
    },
    /// It could not be looked at, so it may well run.
    Look(String),
    /// It could not be made.
    Create(String),
    /// It did not do this in time.
    Deadline(&'static str),
    /// It could not be removed.
    Destroy(String),
}

/// What happens to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The backend looked; `true` when it runs.
    Looked(Result<bool, String>),
    /// The condemned container was removed, or not.
    Cleared(Result<(), String>),
    /// The backend made it, or not.
    Created(Result<(), String>),
    /// Its pid 1 ended.
    Ended {
        /// How.
        how: Ending,
    },
    /// End it: ask politely, wait this long, then kill.
    Stop {
        /// How long its processes have.
        grace: Duration,
    },
    /// The backend removed it, or not.
    Destroyed(Result<(), String>),
    /// What has just failed is not to be tried again for now.
    Hold,
    /// What is held may be tried again.
    Release,
    /// A deadline may be due.
    Wake,
}

variants!(Input: Looked, Cleared, Created, Ended, Stop, Destroyed, Hold, Release, Wake);

/// What the shell does for the machine, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the backend whether it runs.
    Look,
    /// Remove the condemned container, its processes given this long.
    Clear {
        /// How long its processes have.
        grace: Duration,
    },
    /// Ask the backend to make it.
    Create,
    /// Tell the others that it runs, and watch its pid 1.
    Announce,
    /// Ask its agent to end everything, then remove it.
    Destroy {
        /// How long its processes have.
        grace: Duration,
    },
    /// Tell whoever asked that it is gone.
    AnnounceGone,
    /// Send [`Input::Wake`] at this time.
    WakeAt(Mono),
}

impl State {
    /// Where a container's actor begins; `condemned` when what runs must not be adopted.
    #[must_use]
    pub fn begin(condemned: bool, now: Mono) -> (Self, Vec<Effect>) {
        if condemned {
            let (grace, deadline) = (CLEARING_GRACE, now + CLEARING_GRACE + DESTROY_DEADLINE);
            let effects = vec![Effect::Clear { grace }, Effect::WakeAt(deadline)];
            return (Self::Clearing { deadline }, effects);
        }
        Self::looking(now)
    }

    fn looking(now: Mono) -> (Self, Vec<Effect>) {
        let deadline = now + LOOK_DEADLINE;
        let effects = vec![Effect::Look, Effect::WakeAt(deadline)];
        (Self::Looking { deadline }, effects)
    }

    /// Whether what dials now may belong to the container this actor stands for.
    #[must_use]
    pub const fn takes_connections(&self) -> bool {
        match self {
            Self::Looking { .. }
            | Self::Creating { .. }
            | Self::Up { .. }
            | Self::Stopping { .. } => true,
            Self::Clearing { .. } | Self::Held | Self::Gone | Self::Failed(_) => false,
        }
    }

    /// When this state gives up, and what it waits for.
    #[must_use]
    pub const fn deadline(&self) -> Option<(Mono, &'static str)> {
        match self {
            Self::Looking { deadline } => Some((*deadline, "the container to be found")),
            Self::Clearing { deadline } => Some((*deadline, "the old container to be removed")),
            Self::Creating { deadline } => Some((*deadline, "the container to be made")),
            Self::Stopping { deadline } => Some((*deadline, "the container to be removed")),
            Self::Up { .. } | Self::Held | Self::Gone | Self::Failed(_) => None,
        }
    }

    /// Being ended by a command that is begun at this time or before.
    fn stopping(begun: Mono, grace: Duration) -> (Self, Vec<Effect>) {
        let deadline = begun + grace + DESTROY_DEADLINE;
        (
            Self::Stopping { deadline },
            vec![Effect::Destroy { grace }, Effect::WakeAt(deadline)],
        )
    }

    /// The next state and what to do. The same arguments always give the same answer.
    #[must_use]
    pub fn step(self, input: Input, now: Mono) -> (Self, Vec<Effect>) {
        match (self, input) {
            (Self::Looking { .. }, Input::Looked(Ok(true)))
            | (Self::Creating { .. }, Input::Created(Ok(()))) => {
                (Self::Up { since: now }, vec![Effect::Announce])
            }
            (Self::Looking { .. }, Input::Looked(Ok(false)))
            | (Self::Clearing { .. }, Input::Cleared(Ok(()))) => {
                let deadline = now + CREATE_DEADLINE;
                (
                    Self::Creating { deadline },
                    vec![Effect::Create, Effect::WakeAt(deadline)],
                )
            }
            (Self::Looking { .. }, Input::Looked(Err(why))) => {
                (Self::Failed(Failure::Look(why)), vec![])
            }
            (Self::Creating { .. }, Input::Created(Err(why))) => {
                (Self::Failed(Failure::Create(why)), vec![])
            }
            (Self::Up { since }, Input::Ended { how }) => (
                Self::Failed(Failure::Ended {
                    how,
                    ran: now.since(since),
                }),
                vec![],
            ),
            (Self::Looking { .. } | Self::Up { .. } | Self::Held, Input::Stop { grace }) => {
                Self::stopping(now, grace)
            }
            (Self::Failed(Failure::Create(_)), Input::Hold) => (Self::Held, vec![]),
            (Self::Held, Input::Release) => Self::looking(now),
            // Removing waits until the making, or the removing of the old one, has ended, so it has
            // that long more.
            (Self::Creating { deadline } | Self::Clearing { deadline }, Input::Stop { grace }) => {
                Self::stopping(deadline.max(now), grace)
            }
            (Self::Stopping { .. }, Input::Destroyed(Ok(()))) => {
                (Self::Gone, vec![Effect::AnnounceGone])
            }
            (Self::Stopping { .. }, Input::Destroyed(Err(why)))
            | (Self::Clearing { .. }, Input::Cleared(Err(why))) => {
                (Self::Failed(Failure::Destroy(why)), vec![])
            }
            (Self::Gone, Input::Stop { .. }) => (Self::Gone, vec![Effect::AnnounceGone]),
            (state, Input::Wake) => match state.deadline() {
                Some((deadline, waited_for)) if now >= deadline => {
                    (Self::Failed(Failure::Deadline(waited_for)), vec![])
                }
                _ => (state, vec![]),
            },
            // Late answers and repeated requests: what they speak of is already so, or no longer.
            (
                state,
                Input::Looked(_)
                | Input::Cleared(_)
                | Input::Created(_)
                | Input::Ended { .. }
                | Input::Stop { .. }
                | Input::Destroyed(_)
                | Input::Hold
                | Input::Release,
            ) => (state, vec![]),
        }
    }
}

#[cfg(test)]
mod tests;

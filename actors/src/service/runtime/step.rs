//! The life of one Node runtime, decided without I/O or clock.
//!
//! ```text
//!                    agent up, a runtime lives (adopt)
//!              ┌───────────────────────────────────────┐
//!              │  agent up, none lives: spawn          ▼
//!  Waiting ────┴─────────────────────────────────▶ Launching ──hello──▶ Initialising
//!     ▲                                                │                     │ init answered
//!     │ agent gone                                     │ deadline            ▼
//!     └────────── every state but Exited               ▼        ┌────────── Idle ◀──────────┐
//!                                                    Failed ◀───┤ start     │ wants running │ stop answered
//!                                          (actor ends; its     │ deadline  ▼               │
//!                                           supervisor decides) │        Starting        Stopping
//!                                                               │           │ answered      ▲
//!                                                               │           ▼               │ wants a stop
//!                                                               └──────── Running ──────────┘
//!  Idle or Running ──exit──▶ Exiting ──answered──▶ Exited
//! ```
//!
//! Invariants:
//! - `init` is asked once per generation and before any `start`.
//! - A new generation is spawned only after every other one was killed ([`Effect::Spawn`]).
//! - Every state on the way has a deadline; its successor is `Failed`, which names what was waited for.
//! - What the user wants is read when it matters, never queued: the last wish wins.

use std::time::Duration;

use coppice_clock::Mono;
use coppice_supervision::variants;

use super::failure::Failure;
use crate::model::DesiredStatus;

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
/// Between two tries of a `start` that failed; the contract's figure.
pub const START_RETRY: Duration = Duration::from_secs(10);

/// Where the runtime stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No agent to talk to; the container's actor owns the deadline for that.
    Waiting,
    /// A Node process was started or is expected to dial again.
    Launching {
        /// Its generation.
        generation: u64,
        /// Whether it ran before this actor did.
        adopted: bool,
        /// When to give up.
        deadline: Mono,
    },
    /// The package's `init` runs.
    Initialising {
        /// Its generation.
        generation: u64,
        /// Whether it ran before this actor did.
        adopted: bool,
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
    State: Waiting, Launching, Initialising, Idle, Starting, Running, Stopping, Exiting, Exited, Failed
);

/// What happens to a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The agent is connected; `live` is the generation of a Node process that already runs.
    AgentUp {
        /// Generation of a running Node process.
        live: Option<u64>,
        /// The generation to use for a new one.
        next: u64,
    },
    /// The agent could not start Node.
    SpawnFailed(String),
    /// A Node process said hello.
    RuntimeUp {
        /// The generation it says it is.
        generation: u64,
    },
    /// A Node process ended.
    RuntimeEnded {
        /// Its generation.
        generation: u64,
        /// Its exit code, when it had one.
        code: Option<i32>,
        /// The signal that ended it, when one did.
        signal: Option<i32>,
    },
    /// The agent was asked what lives, and this generation's Node process does not.
    RuntimeMissing {
        /// Its generation.
        generation: u64,
    },
    /// `init` answered.
    InitDone(Result<(), String>),
    /// `start` answered.
    StartDone(Result<(), String>),
    /// `stop` answered.
    StopDone(Result<(), String>),
    /// `exit` answered.
    ExitDone(Result<(), String>),
    /// Run the package's `uninit` and end.
    Exit,
    /// What is wanted may have changed.
    Desired(DesiredStatus),
    /// A deadline or a retry may be due.
    Wake,
}

variants!(
    Input: AgentUp, SpawnFailed, RuntimeUp, RuntimeEnded, RuntimeMissing, InitDone, StartDone,
    StopDone, ExitDone, Exit, Desired, Wake
);

/// What the shell does for the machine, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Kill everything of other generations that the agent knows of, then start Node as this one.
    Spawn {
        /// The new generation.
        generation: u64,
    },
    /// Note that nothing runs any more: `started` and health are cleared, a restart is a run.
    ClearRun,
    /// Ask `init`.
    CallInit,
    /// Ask `start`.
    CallStart,
    /// Ask `stop`.
    CallStop,
    /// Ask `exit`.
    CallExit,
    /// Note that `main` is up (`started` is set, a restart is over or goes round once more), and
    /// then send [`Input::Desired`] with what is wanted.
    NoteStarted,
    /// Note that `main` is down: `started` and health are cleared.
    NoteStopped,
    /// Show this error until the next success.
    ShowError(String),
    /// Clear the error shown.
    ClearError,
    /// Kill everything of a generation.
    KillGeneration {
        /// The generation.
        generation: u64,
    },
    /// Send [`Input::Wake`] at this time.
    WakeAt(Mono),
    /// Send [`Input::Desired`] with what is wanted now.
    AskDesired,
}

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
            | Self::Stopping { generation, .. }
            | Self::Exiting { generation, .. } => Some(*generation),
            Self::Waiting | Self::Exited | Self::Failed(_) => None,
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
            Self::Waiting
            | Self::Idle { .. }
            | Self::Running { .. }
            | Self::Exited
            | Self::Failed(_) => None,
        }
    }

    /// The next state and what to do. The same arguments always give the same answer.
    #[must_use]
    pub fn step(self, input: Input, now: Mono) -> (Self, Vec<Effect>) {
        match input {
            Input::AgentUp { live, next } => self.agent_up(live, next, now),
            Input::SpawnFailed(why) => match self {
                Self::Launching { .. } => (Self::Failed(Failure::Spawn(why)), vec![]),
                other => (other, vec![]),
            },
            Input::RuntimeUp { generation } => self.runtime_up(generation, now),
            Input::RuntimeEnded {
                generation,
                code,
                signal,
            } => self.runtime_ended(generation, code, signal),
            Input::RuntimeMissing { generation } => self.runtime_missing(generation),
            Input::InitDone(result) => self.init_done(result),
            Input::StartDone(result) => self.start_done(result, now),
            Input::StopDone(result) => self.stop_done(result),
            Input::ExitDone(result) => self.exit_done(result),
            Input::Exit => self.exit(now),
            Input::Desired(desired) => self.desired(desired, now),
            Input::Wake => self.wake(now),
        }
    }

    fn agent_up(self, live: Option<u64>, next: u64, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Waiting => {
                let deadline = now + LAUNCH_DEADLINE;
                let wake = Effect::WakeAt(deadline);
                match live {
                    Some(generation) => (
                        Self::Launching {
                            generation,
                            adopted: true,
                            deadline,
                        },
                        vec![wake],
                    ),
                    None => (
                        Self::Launching {
                            generation: next,
                            adopted: false,
                            deadline,
                        },
                        vec![Effect::ClearRun, Effect::Spawn { generation: next }, wake],
                    ),
                }
            }
            // The agent redialled: the same container, the same Node, nothing to do. A Node that
            // died meanwhile is reported by the agent's journal.
            other => (other, vec![]),
        }
    }

    fn runtime_up(self, generation: u64, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Launching {
                generation: expected,
                adopted,
                ..
            } if expected == generation => {
                let deadline = now + INIT_DEADLINE;
                (
                    Self::Initialising {
                        generation,
                        adopted,
                        deadline,
                    },
                    vec![Effect::CallInit, Effect::WakeAt(deadline)],
                )
            }
            // The connection was lost and is back while a call was under way: ask again. Calls are
            // idempotent in the runtime.
            Self::Initialising {
                generation: same,
                adopted,
                deadline,
            } if same == generation => (
                Self::Initialising {
                    generation,
                    adopted,
                    deadline,
                },
                vec![Effect::CallInit],
            ),
            Self::Starting {
                generation: same,
                deadline,
            } if same == generation => (
                Self::Starting {
                    generation,
                    deadline,
                },
                vec![Effect::CallStart],
            ),
            Self::Stopping {
                generation: same,
                deadline,
            } if same == generation => (
                Self::Stopping {
                    generation,
                    deadline,
                },
                vec![Effect::CallStop],
            ),
            Self::Exiting {
                generation: same,
                deadline,
            } if same == generation => (
                Self::Exiting {
                    generation,
                    deadline,
                },
                vec![Effect::CallExit],
            ),
            other => (other, vec![]),
        }
    }

    fn runtime_ended(
        self,
        ended: u64,
        code: Option<i32>,
        signal: Option<i32>,
    ) -> (Self, Vec<Effect>) {
        match self {
            // The package's uninit ended the process before its answer arrived: that is an answer.
            Self::Exiting { generation, .. } if generation == ended && code == Some(0) => (
                Self::Exited,
                vec![Effect::KillGeneration { generation }, Effect::NoteStopped],
            ),
            Self::Failed(_) | Self::Exited | Self::Waiting => (self, vec![]),
            // What it ran is killed with it: from here on nothing of it may be shown as current.
            other if other.generation() == Some(ended) => (
                Self::Failed(Failure::Ended { code, signal }),
                vec![
                    Effect::KillGeneration { generation: ended },
                    Effect::NoteStopped,
                ],
            ),
            other => (other, vec![]),
        }
    }

    fn runtime_missing(self, missing: u64) -> (Self, Vec<Effect>) {
        match self {
            // Asked before the agent had started it, perhaps; the deadline sees to it otherwise.
            Self::Launching { .. } | Self::Failed(_) | Self::Exited | Self::Waiting => {
                (self, vec![])
            }
            other if other.generation() == Some(missing) => (
                Self::Failed(Failure::Vanished),
                vec![
                    Effect::KillGeneration {
                        generation: missing,
                    },
                    Effect::NoteStopped,
                ],
            ),
            other => (other, vec![]),
        }
    }

    fn init_done(self, result: Result<(), String>) -> (Self, Vec<Effect>) {
        match (self, result) {
            (
                Self::Initialising {
                    generation,
                    adopted,
                    ..
                },
                Ok(()),
            ) => (
                Self::Idle {
                    generation,
                    adopted,
                    retry_at: None,
                },
                vec![Effect::ClearError, Effect::AskDesired],
            ),
            (Self::Initialising { generation, .. }, Err(why)) => (
                Self::Failed(Failure::Init(why.clone())),
                vec![
                    Effect::ShowError(why),
                    Effect::KillGeneration { generation },
                ],
            ),
            (other, _) => (other, vec![]),
        }
    }

    fn start_done(self, result: Result<(), String>, now: Mono) -> (Self, Vec<Effect>) {
        match (self, result) {
            (Self::Starting { generation, .. }, Ok(())) => (
                Self::Running { generation },
                // The wish is read again once the note is durable: until then it still says that a
                // restart is under way, and following it would stop what has just come up.
                vec![Effect::ClearError, Effect::NoteStarted],
            ),
            (Self::Starting { generation, .. }, Err(why)) => {
                let retry_at = now + START_RETRY;
                (
                    Self::Idle {
                        generation,
                        adopted: false,
                        retry_at: Some(retry_at),
                    },
                    vec![Effect::ShowError(why), Effect::WakeAt(retry_at)],
                )
            }
            (other, _) => (other, vec![]),
        }
    }

    fn stop_done(self, result: Result<(), String>) -> (Self, Vec<Effect>) {
        match (self, result) {
            (Self::Stopping { generation, .. }, Ok(())) => (
                Self::Idle {
                    generation,
                    adopted: false,
                    retry_at: None,
                },
                vec![Effect::NoteStopped, Effect::AskDesired],
            ),
            // The runtime dropped its main whatever `term` said; what the failed stop left behind
            // would meet the next start, so this generation ends here.
            (Self::Stopping { generation, .. }, Err(why)) => (
                Self::Failed(Failure::Stop(why.clone())),
                vec![
                    Effect::NoteStopped,
                    Effect::ShowError(why),
                    Effect::KillGeneration { generation },
                ],
            ),
            (other, _) => (other, vec![]),
        }
    }

    fn exit_done(self, result: Result<(), String>) -> (Self, Vec<Effect>) {
        match (self, result) {
            (Self::Exiting { generation, .. }, Ok(())) => (
                Self::Exited,
                vec![Effect::NoteStopped, Effect::KillGeneration { generation }],
            ),
            (Self::Exiting { generation, .. }, Err(why)) => (
                Self::Failed(Failure::Uninit(why.clone())),
                vec![
                    Effect::NoteStopped,
                    Effect::ShowError(why),
                    Effect::KillGeneration { generation },
                ],
            ),
            (other, _) => (other, vec![]),
        }
    }

    fn exit(self, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Idle { generation, .. }
            | Self::Running { generation }
            | Self::Starting { generation, .. }
            | Self::Stopping { generation, .. } => {
                let deadline = now + EXIT_DEADLINE;
                (
                    Self::Exiting {
                        generation,
                        deadline,
                    },
                    vec![Effect::CallExit, Effect::WakeAt(deadline)],
                )
            }
            // Nothing was initialised, so there is nothing to uninitialise.
            Self::Waiting => (Self::Exited, vec![Effect::NoteStopped]),
            Self::Launching { generation, .. } | Self::Initialising { generation, .. } => (
                Self::Exited,
                vec![Effect::NoteStopped, Effect::KillGeneration { generation }],
            ),
            Self::Exiting { .. } | Self::Exited | Self::Failed(_) => (self, vec![]),
        }
    }

    fn desired(self, desired: DesiredStatus, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            // `main` may be up since before a stop or a restart was wanted, which nobody did then.
            Self::Idle {
                generation,
                adopted: true,
                ..
            } if desired != DesiredStatus::Running => Self::stop(generation, now),
            // A wish that comes while a failed start waits for its retry is a new one, since the
            // shell sends only wishes that changed: try at once.
            Self::Idle { generation, .. } if desired.wants_running() => {
                let deadline = now + START_DEADLINE;
                (
                    Self::Starting {
                        generation,
                        deadline,
                    },
                    vec![Effect::CallStart, Effect::WakeAt(deadline)],
                )
            }
            Self::Idle { generation, .. } => (
                Self::Idle {
                    generation,
                    adopted: false,
                    retry_at: None,
                },
                vec![],
            ),
            Self::Running { generation } | Self::Starting { generation, .. }
                if !stays_up(&self, desired) =>
            {
                Self::stop(generation, now)
            }
            Self::Waiting
            | Self::Launching { .. }
            | Self::Initialising { .. }
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Exiting { .. }
            | Self::Exited
            | Self::Failed(_) => (self, vec![]),
        }
    }

    fn stop(generation: u64, now: Mono) -> (Self, Vec<Effect>) {
        let deadline = now + STOP_DEADLINE;
        (
            Self::Stopping {
                generation,
                deadline,
            },
            vec![Effect::CallStop, Effect::WakeAt(deadline)],
        )
    }

    fn wake(self, now: Mono) -> (Self, Vec<Effect>) {
        if let Some((deadline, waited_for)) = self.deadline()
            && now >= deadline
        {
            let kill = self
                .generation()
                .map(|generation| Effect::KillGeneration { generation });
            return (
                Self::Failed(Failure::Deadline(waited_for)),
                kill.into_iter().chain([Effect::NoteStopped]).collect(),
            );
        }
        match self {
            Self::Idle {
                generation,
                adopted,
                retry_at: Some(at),
            } if now >= at => (
                Self::Idle {
                    generation,
                    adopted,
                    retry_at: None,
                },
                vec![Effect::AskDesired],
            ),
            other => (other, vec![]),
        }
    }
}

/// Whether `main` may stay as it is. A restart asked while it is still starting is remembered in
/// the wish itself (`restart_again`), so the start goes on and the round follows it.
const fn stays_up(state: &State, desired: DesiredStatus) -> bool {
    match (state, desired) {
        (_, DesiredStatus::Running)
        | (State::Starting { .. }, DesiredStatus::Restarting { .. }) => true,
        (
            _,
            DesiredStatus::Stopped
            | DesiredStatus::Restarting { .. }
            | DesiredStatus::BackingUp { .. },
        ) => false,
    }
}

#[cfg(test)]
mod tests;

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
/// From the leave to sleep to Node's end, which has nothing left to do.
pub const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
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

/// What happens to a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The agent is connected; `live` is the generation of a Node process that already runs.
    AgentUp {
        /// Generation of a running Node process.
        live: Option<u64>,
        /// The generation to use for a new one.
        next: u64,
        /// The generation that fell asleep in this container.
        asleep: Option<u64>,
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
        /// How many processes the kernel killed for memory in its leaf, where that is counted.
        oom_kills: Option<u64>,
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
    /// A Node process has nothing to do: all that the service runs is kept by the host.
    Drowsy {
        /// Its generation.
        generation: u64,
    },
    /// It may not end after all: somebody is asking it something.
    NotYet,
    /// Somebody wants to ask Node something.
    Rouse,
    /// Run the package's `uninit` and end.
    Exit,
    /// What is wanted may have changed.
    Desired(DesiredStatus),
    /// What has just failed is not to be tried again for now.
    Hold,
    /// What is held may be tried again.
    Release,
    /// A deadline or a retry may be due.
    Wake,
}

variants!(
    Input: AgentUp, SpawnFailed, RuntimeUp, RuntimeEnded, RuntimeMissing, InitDone, StartDone,
    StopDone, ExitDone, Drowsy, NotYet, Rouse, Exit, Desired, Hold, Release, Wake
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
    /// Unless somebody is asking Node something, note durably that it sleeps and give it leave to end;
    /// otherwise refuse it, and send [`Input::NotYet`].
    GiveLeave {
        /// The generation.
        generation: u64,
    },
    /// Tell the Node process that has nothing to do to stay.
    RefuseLeave,
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
    /// Look for an agent, as when this life began.
    LookForAgent,
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

    /// Whether nothing can be asked of Node although all that the service runs is up.
    #[must_use]
    pub const fn sleeps(&self) -> bool {
        matches!(
            self,
            Self::Settling { .. }
                | Self::Asleep { .. }
                | Self::Waking { .. }
                | Self::Launching {
                    origin: Origin::Woken { .. },
                    ..
                }
                | Self::Initialising {
                    origin: Origin::Woken { .. },
                    ..
                }
        )
    }

    /// The next state and what to do. The same arguments always give the same answer.
    #[must_use]
    pub fn step(self, input: Input, now: Mono) -> (Self, Vec<Effect>) {
        match input {
            Input::AgentUp { live, next, asleep } => self.agent_up(live, next, asleep, now),
            Input::SpawnFailed(why) => match self {
                Self::Launching { .. } => {
                    (Self::Failed(Failure::Spawn(why)), vec![Effect::NoteStopped])
                }
                other => (other, vec![]),
            },
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

    fn agent_up(
        self,
        live: Option<u64>,
        next: u64,
        asleep: Option<u64>,
        now: Mono,
    ) -> (Self, Vec<Effect>) {
        let (origin, begun) = match (self, live, asleep) {
            (Self::Waiting | Self::Waking { to_leave: false }, Some(_), _) => {
                (Origin::Adopted, vec![])
            }
            // Whoever asked for its end is answered by the one that lives.
            (Self::Waking { to_leave: true }, Some(_), _) => {
                (Origin::Woken { to_leave: true }, vec![])
            }
            (Self::Waiting, None, Some(generation)) => {
                return (Self::Asleep { generation }, vec![Effect::AskDesired]);
            }
            (Self::Waiting, None, None) => (
                Origin::New,
                vec![Effect::ClearRun, Effect::Spawn { generation: next }],
            ),
            (Self::Waking { to_leave }, None, _) => (
                Origin::Woken { to_leave },
                vec![Effect::Spawn { generation: next }],
            ),
            // The agent redialled: the same container, the same Node, nothing to do. A Node that
            // died meanwhile is reported by the agent's journal.
            (other, _, _) => return (other, vec![]),
        };
        let deadline = now + LAUNCH_DEADLINE;
        let launching = Self::Launching {
            generation: live.unwrap_or(next),
            origin,
            deadline,
        };
        let wake = [Effect::WakeAt(deadline)];
        (launching, begun.into_iter().chain(wake).collect())
    }

    fn runtime_up(self, generation: u64, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Launching {
                generation: expected,
                origin,
                ..
            } if expected == generation => {
                let deadline = now + INIT_DEADLINE;
                (
                    Self::Initialising {
                        generation,
                        origin,
                        deadline,
                    },
                    vec![Effect::CallInit, Effect::WakeAt(deadline)],
                )
            }
            // The connection was lost and is back while a call was under way: ask again. Calls are
            // idempotent in the runtime.
            Self::Initialising {
                generation: same,
                origin,
                deadline,
            } if same == generation => (
                Self::Initialising {
                    generation,
                    origin,
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

    fn runtime_ended(self, ended: u64, failure: Failure) -> (Self, Vec<Effect>) {
        let well = matches!(failure, Failure::Ended { code: Some(0), .. });
        match self {
            // The package's uninit ended the process before its answer arrived: that is an answer.
            Self::Exiting { generation, .. } if generation == ended && well => (
                Self::Exited,
                vec![Effect::KillGeneration { generation }, Effect::NoteStopped],
            ),
            Self::Settling {
                generation, then, ..
            } if generation == ended => Self::fall_asleep(generation, then),
            Self::Failed(_) | Self::Exited | Self::Waiting => (self, vec![]),
            // What it ran is killed with it: from here on nothing of it may be shown as current.
            other if other.generation() == Some(ended) => (
                Self::Failed(failure),
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
            Self::Settling {
                generation, then, ..
            } if generation == missing => Self::fall_asleep(generation, then),
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

    fn init_done(self, result: Result<(), String>, now: Mono) -> (Self, Vec<Effect>) {
        match (self, result) {
            (
                Self::Initialising {
                    generation, origin, ..
                },
                Ok(()),
            ) => {
                let idle = Self::Idle {
                    generation,
                    adopted: origin.may_be_up(),
                    retry_at: None,
                };
                if origin == (Origin::Woken { to_leave: true }) {
                    return idle.exit(now);
                }
                (idle, vec![Effect::ClearError, Effect::AskDesired])
            }
            (Self::Initialising { generation, .. }, Err(why)) => (
                Self::Failed(Failure::Init(why.clone())),
                vec![
                    Effect::NoteStopped,
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

    fn drowsy(self, drowsy: u64, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Running { generation } if generation == drowsy => {
                let deadline = now + SETTLE_DEADLINE;
                (
                    Self::Settling {
                        generation,
                        deadline,
                        then: Then::Sleep,
                    },
                    vec![Effect::GiveLeave { generation }, Effect::WakeAt(deadline)],
                )
            }
            // It has not heard the answer, and asks again on a new connection.
            Self::Settling { generation, .. } if generation == drowsy => {
                (self, vec![Effect::GiveLeave { generation }])
            }
            other => (other, vec![Effect::RefuseLeave]),
        }
    }

    /// Node stays, and hears what came up while it was asked nothing.
    fn not_yet(self, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Settling {
                generation, then, ..
            } => {
                let running = Self::Running { generation };
                match then {
                    Then::Leave => running.exit(now),
                    Then::Sleep | Then::Wake => (running, vec![Effect::AskDesired]),
                }
            }
            other => (other, vec![]),
        }
    }

    fn fall_asleep(generation: u64, then: Then) -> (Self, Vec<Effect>) {
        let (state, next) = match then {
            // A wish may have come meanwhile, for which Node is needed.
            Then::Sleep => (Self::Asleep { generation }, Effect::AskDesired),
            Then::Wake => (Self::Waking { to_leave: false }, Effect::LookForAgent),
            Then::Leave => (Self::Waking { to_leave: true }, Effect::LookForAgent),
        };
        (state, vec![Effect::KillGeneration { generation }, next])
    }

    fn rouse(self) -> (Self, Vec<Effect>) {
        match self {
            Self::Asleep { .. } => (Self::Waking { to_leave: false }, vec![Effect::LookForAgent]),
            Self::Settling {
                generation,
                deadline,
                then,
            } => (
                Self::Settling {
                    generation,
                    deadline,
                    then: then.max(Then::Wake),
                },
                vec![],
            ),
            other => (other, vec![]),
        }
    }

    fn exit(self, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Asleep { .. } => (Self::Waking { to_leave: true }, vec![Effect::LookForAgent]),
            Self::Waking { .. } => (Self::Waking { to_leave: true }, vec![]),
            Self::Settling {
                generation,
                deadline,
                ..
            } => (
                Self::Settling {
                    generation,
                    deadline,
                    then: Then::Leave,
                },
                vec![],
            ),
            // What it had initialised before it slept is uninitialised.
            Self::Launching {
                generation,
                origin: Origin::Woken { .. },
                deadline,
            } => (
                Self::Launching {
                    generation,
                    origin: Origin::Woken { to_leave: true },
                    deadline,
                },
                vec![],
            ),
            Self::Initialising {
                generation,
                origin: Origin::Woken { .. },
                deadline,
            } => (
                Self::Initialising {
                    generation,
                    origin: Origin::Woken { to_leave: true },
                    deadline,
                },
                vec![],
            ),
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
            Self::Held {
                generation: Some(generation),
            } => Self::Idle {
                generation,
                adopted: false,
                retry_at: None,
            }
            .exit(now),
            // Nothing was initialised, so there is nothing to uninitialise.
            Self::Waiting | Self::Held { generation: None } => {
                (Self::Exited, vec![Effect::NoteStopped])
            }
            Self::Launching { generation, .. } | Self::Initialising { generation, .. } => (
                Self::Exited,
                vec![Effect::NoteStopped, Effect::KillGeneration { generation }],
            ),
            Self::Exiting { .. } | Self::Exited | Self::Failed(_) => (self, vec![]),
        }
    }

    fn hold(self) -> Self {
        match self {
            Self::Failed(_) => Self::Held { generation: None },
            Self::Idle {
                generation,
                retry_at: Some(_),
                ..
            } => Self::Held {
                generation: Some(generation),
            },
            other => other,
        }
    }

    fn release(self) -> (Self, Vec<Effect>) {
        match self {
            Self::Held {
                generation: Some(generation),
            } => (
                Self::Idle {
                    generation,
                    adopted: false,
                    retry_at: None,
                },
                vec![Effect::AskDesired],
            ),
            Self::Held { generation: None } => (Self::Waiting, vec![Effect::LookForAgent]),
            other => (other, vec![]),
        }
    }

    fn desired(self, desired: DesiredStatus, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            // Whoever wishes something knows better than we whether it may go well: a start tries at
            // once, and a stop brings the service where it can be configured.
            Self::Held {
                generation: Some(generation),
            } => Self::Idle {
                generation,
                adopted: false,
                retry_at: None,
            }
            .desired(desired, now),
            Self::Held { generation: None } => self.release(),
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
            // The package's own code ends what it runs: it is asked as any other is.
            Self::Asleep { .. } if desired != DesiredStatus::Running => self.rouse(),
            Self::Waiting
            | Self::Launching { .. }
            | Self::Initialising { .. }
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Settling { .. }
            | Self::Asleep { .. }
            | Self::Waking { .. }
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
        // It had nothing to do: ending it by force loses nothing, and it would not have been missed.
        if let Self::Settling {
            generation,
            deadline,
            then,
        } = self
            && now >= deadline
        {
            return Self::fall_asleep(generation, then);
        }
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
mod sleeping;
#[cfg(test)]
mod tests;

//! The life of one process that Coppice keeps running, decided without I/O or clock.
//!
//! ```text
//!              agent there            spawned
//!  ┌─▶ Waiting ───────────▶ Starting ─────────▶ Up ──ended──▶ Failed (the actor ends, its
//!  │      │ stop      lost │ │ refused          │ stop                 supervisor starts anew)
//!  │      ▼         ◀──────┘ ▼ or too late      ▼
//!  │   Terminating         Failed           Terminating ──ended, or not there──▶ Gone
//!  │                                            │ grace over
//!  └── (begin, unless it is to be ended)        ▼
//!                                            Killing ──ended, or not there──▶ Gone
//!                                               │ too late
//!                                               ▼
//!                                             Failed
//! ```
//!
//! Invariants:
//! - A spawn is asked for only while no process is known to live; asking for one that lives adopts it.
//! - A process that is to be ended is never started again, and gets SIGTERM before SIGKILL.
//! - Every state on the way has a deadline. The user's way out of each is to stop the service.

use std::time::Duration;

use coppice_clock::Mono;

/// The agent redials a quarter of a second after a core is back.
pub const AGENT_DEADLINE: Duration = Duration::from_secs(30);
/// A root of its own, its mounts, and a fork; seconds on an old disk.
pub const START_DEADLINE: Duration = Duration::from_secs(60);
/// From SIGKILL to the end: at once, unless a device has it in its hands.
pub const KILL_DEADLINE: Duration = Duration::from_secs(10);

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// Where a daemon stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody is there who could start it.
    Waiting {
        /// When to give up.
        deadline: Mono,
    },
    /// The agent is asked to start it, or to say that it runs.
    Starting {
        /// When to give up.
        deadline: Mono,
        /// End it as soon as it is there, after this long by force.
        stop: Option<Duration>,
        /// Processes of this name that ended meanwhile: one of them may be ours.
        ended: Vec<(i32, End)>,
    },
    /// It runs.
    Up {
        /// As the container sees it.
        pid: i32,
        /// Since when we know.
        since: Mono,
    },
    /// It was asked to end.
    Terminating {
        /// When it is killed.
        kill_at: Mono,
    },
    /// It was killed.
    Killing {
        /// When to give up.
        deadline: Mono,
    },
    /// It was ended on command.
    Gone,
    /// Over; the actor ends with this reason and its successor begins anew.
    Failed(Failure),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Unseen.
    Unseen,
}

/// Why the actor is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The process ended without our doing.
    Ended {
        /// How.
        how: End,
        /// How long it had been up.
        ran: Duration,
    },
    /// It could not be started.
    Start(String),
    /// It did not do this in time.
    Deadline(&'static str),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended { how, .. } => match how {
                End::Code(code) => write!(f, "it ended with exit code {code}"),
                End::Signal(signal) => write!(f, "it was ended by signal {signal}"),
                End::Unseen => f.write_str("it ended while nobody watched"),
            },
            Self::Start(why) => write!(f, "it could not be started: {why}"),
            Self::Deadline(waited_for) => write!(f, "{waited_for} took too long"),
        }
    }
}

/// What happens to a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The agent is connected.
    Agent,
    /// The agent answered: its pid, or why it does not run.
    Spawned(Result<i32, NotSpawned>),
    /// A process of this name ended; `None` when nobody knows which.
    Exited {
        /// Its pid.
        pid: Option<i32>,
        /// How.
        how: End,
    },
    /// The agent knows no such process: there is nothing to end.
    NotThere,
    /// End it: ask politely, wait this long, then kill.
    Stop {
        /// How long it has.
        grace: Duration,
    },
    /// A deadline may be due.
    Wake,
}

/// Why a daemon does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSpawned {
    /// The agent hung up before it answered.
    Lost,
    /// It cannot be.
    Refused(String),
}

/// What the shell does for the machine, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make its root and ask the agent to start it, or to say that it runs.
    Spawn,
    /// Have the agent send this signal.
    Signal(i32),
    /// Tell the others that it runs.
    TellUp,
    /// Tell the others that it is ended for good.
    TellGone,
    /// Send [`Input::Wake`] at this time.
    WakeAt(Mono),
}

impl State {
    /// Where a daemon's actor begins; `stop` when it is to be ended, with its grace.
    #[must_use]
    pub fn begin(stop: Option<Duration>, now: Mono) -> (Self, Vec<Effect>) {
        match stop {
            // The signal goes out when the agent is known to be there: twice could mean something else.
            Some(grace) => {
                let kill_at = now + grace;
                (Self::Terminating { kill_at }, vec![Effect::WakeAt(kill_at)])
            }
            None => Self::waiting(now),
        }
    }

    /// When this state gives up, and what it waits for.
    #[must_use]
    pub const fn deadline(&self) -> Option<(Mono, &'static str)> {
        match self {
            Self::Waiting { deadline } => Some((*deadline, "the container's agent to call")),
            Self::Starting { deadline, .. } => Some((*deadline, "the daemon to start")),
            Self::Killing { deadline } => Some((*deadline, "the killed daemon to end")),
            Self::Up { .. } | Self::Terminating { .. } | Self::Gone | Self::Failed(_) => None,
        }
    }

    fn waiting(now: Mono) -> (Self, Vec<Effect>) {
        let deadline = now + AGENT_DEADLINE;
        (Self::Waiting { deadline }, vec![Effect::WakeAt(deadline)])
    }

    fn terminating(grace: Duration, now: Mono) -> (Self, Vec<Effect>) {
        let kill_at = now + grace;
        (
            Self::Terminating { kill_at },
            vec![Effect::Signal(SIGTERM), Effect::WakeAt(kill_at)],
        )
    }

    /// The next state and what to do. The same arguments always give the same answer.
    #[must_use]
    pub fn step(self, input: Input, now: Mono) -> (Self, Vec<Effect>) {
        match (self, input) {
            (Self::Waiting { .. }, Input::Agent) => {
                let deadline = now + START_DEADLINE;
                let state = Self::Starting {
                    deadline,
                    stop: None,
                    ended: Vec::new(),
                };
                (state, vec![Effect::Spawn, Effect::WakeAt(deadline)])
            }
            // A signal may have been lost with the connection before.
            (state @ Self::Terminating { .. }, Input::Agent) => {
                (state, vec![Effect::Signal(SIGTERM)])
            }
            (state @ Self::Killing { .. }, Input::Agent) => (state, vec![Effect::Signal(SIGKILL)]),

            (
                Self::Starting {
                    stop: Some(grace), ..
                },
                Input::Spawned(_),
            ) => {
                // Whatever the answer was: if there is a process, it is ended now.
                Self::terminating(grace, now)
            }
            (Self::Starting { ended, .. }, Input::Spawned(Ok(pid))) => {
                match ended.into_iter().find(|(other, _)| *other == pid) {
                    Some((_, how)) => {
                        let ran = Duration::ZERO;
                        (Self::Failed(Failure::Ended { how, ran }), vec![])
                    }
                    None => (Self::Up { pid, since: now }, vec![Effect::TellUp]),
                }
            }
            (Self::Starting { .. }, Input::Spawned(Err(NotSpawned::Lost))) => Self::waiting(now),
            (Self::Starting { .. }, Input::Spawned(Err(NotSpawned::Refused(why)))) => {
                (Self::Failed(Failure::Start(why)), vec![])
            }

            (
                Self::Starting {
                    deadline,
                    stop,
                    mut ended,
                },
                Input::Exited { pid, how },
            ) => {
                ended.extend(pid.map(|pid| (pid, how)));
                let state = Self::Starting {
                    deadline,
                    stop,
                    ended,
                };
                (state, vec![])
            }
            (Self::Up { pid, since }, Input::Exited { pid: which, how })
                if which.is_none_or(|which| which == pid) =>
            {
                let ran = now.since(since);
                (Self::Failed(Failure::Ended { how, ran }), vec![])
            }
            (
                Self::Terminating { .. } | Self::Killing { .. },
                Input::Exited { .. } | Input::NotThere,
            ) => (Self::Gone, vec![Effect::TellGone]),

            (Self::Waiting { .. } | Self::Up { .. }, Input::Stop { grace }) => {
                Self::terminating(grace, now)
            }
            (
                Self::Starting {
                    deadline, ended, ..
                },
                Input::Stop { grace },
            ) => {
                let state = Self::Starting {
                    deadline,
                    stop: Some(grace),
                    ended,
                };
                (state, vec![])
            }
            (Self::Gone, Input::Stop { .. }) => (Self::Gone, vec![Effect::TellGone]),

            (Self::Terminating { kill_at }, Input::Wake) if now >= kill_at => {
                let deadline = now + KILL_DEADLINE;
                (
                    Self::Killing { deadline },
                    vec![Effect::Signal(SIGKILL), Effect::WakeAt(deadline)],
                )
            }
            (state, Input::Wake) => match state.deadline() {
                Some((deadline, waited_for)) if now >= deadline => {
                    (Self::Failed(Failure::Deadline(waited_for)), vec![])
                }
                _ => (state, vec![]),
            },

            // Late answers, repeated requests, and the ends of other processes of this name.
            (
                state,
                Input::Agent
                | Input::Spawned(_)
                | Input::Exited { .. }
                | Input::NotThere
                | Input::Stop { .. },
            ) => (state, vec![]),
        }
    }
}

#[cfg(test)]
mod tests;

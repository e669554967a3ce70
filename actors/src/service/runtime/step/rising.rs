//! How Node comes up: looked for or started, its `init`, its `main`.

use coppice_clock::Mono;

use super::{
    super::failure::Failure, Effect, INIT_DEADLINE, LAUNCH_DEADLINE, LEAVE_DEADLINE, Origin,
    START_RETRY, State,
};

impl State {
    pub(super) fn agent_up(
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

    pub(super) fn spawn_failed(self, why: String) -> (Self, Vec<Effect>) {
        match self {
            Self::Launching { .. } => {
                (Self::Failed(Failure::Spawn(why)), vec![Effect::NoteStopped])
            }
            other => (other, vec![]),
        }
    }

    pub(super) fn runtime_up(self, generation: u64, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            Self::Launching {
                generation: expected,
                origin,
                ..
            } if expected == generation => {
                let patience = match origin {
                    Origin::Woken { to_leave: true } => LEAVE_DEADLINE,
                    _ => INIT_DEADLINE,
                };
                let deadline = now + patience;
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

    pub(super) fn init_done(self, result: Result<(), String>, now: Mono) -> (Self, Vec<Effect>) {
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

    pub(super) fn start_done(self, result: Result<(), String>, now: Mono) -> (Self, Vec<Effect>) {
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
}

//! How it ends: by a stop, by its package's `uninit`, or by itself.

use coppice_clock::Mono;

use super::{super::failure::Failure, EXIT_DEADLINE, Effect, Origin, STOP_DEADLINE, State};

impl State {
    pub(super) fn stop(generation: u64, now: Mono) -> (Self, Vec<Effect>) {
        let deadline = now + STOP_DEADLINE;
        (
            Self::Stopping {
                generation,
                deadline,
            },
            vec![Effect::CallStop, Effect::WakeAt(deadline)],
        )
    }

    pub(super) fn stop_done(self, result: Result<(), String>) -> (Self, Vec<Effect>) {
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

    pub(super) fn exit(self, now: Mono) -> (Self, Vec<Effect>) {
        match self {
            // What it had initialised before it slept is uninitialised.
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
            } => self.leave_when_awake(now),
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

    pub(super) fn exit_done(self, result: Result<(), String>) -> (Self, Vec<Effect>) {
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

    pub(super) fn runtime_ended(self, ended: u64, failure: Failure) -> (Self, Vec<Effect>) {
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

    pub(super) fn runtime_missing(self, missing: u64) -> (Self, Vec<Effect>) {
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
}

//! What follows from a wish, from what is missing, and from time.

use coppice_clock::Mono;

use super::{super::failure::Failure, Effect, START_DEADLINE, State};
use crate::model::DesiredStatus;

impl State {
    pub(super) fn desired(self, desired: DesiredStatus, now: Mono) -> (Self, Vec<Effect>) {
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

    pub(super) fn hold(self) -> Self {
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

    pub(super) fn release(self) -> (Self, Vec<Effect>) {
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

    pub(super) fn wake(self, now: Mono) -> (Self, Vec<Effect>) {
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

//! How it falls asleep while all that it runs goes on, and what wakes it.

use coppice_clock::Mono;

use super::{Effect, LEAVE_DEADLINE, Origin, SETTLE_DEADLINE, State, Then};

impl State {
    pub(super) fn drowsy(self, drowsy: u64, now: Mono) -> (Self, Vec<Effect>) {
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
    pub(super) fn not_yet(self, now: Mono) -> (Self, Vec<Effect>) {
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
            // It died before the answer: whoever asks it something is answered by the next.
            Self::Asleep { .. } => self.rouse(),
            other => (other, vec![]),
        }
    }

    pub(super) fn fall_asleep(generation: u64, then: Then) -> (Self, Vec<Effect>) {
        let (state, next) = match then {
            // A wish may have come meanwhile, for which Node is needed.
            Then::Sleep => (Self::Asleep { generation }, Effect::AskDesired),
            Then::Wake => (Self::Waking { to_leave: false }, Effect::LookForAgent),
            Then::Leave => (Self::Waking { to_leave: true }, Effect::LookForAgent),
        };
        (state, vec![Effect::KillGeneration { generation }, next])
    }

    pub(super) fn rouse(self) -> (Self, Vec<Effect>) {
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

    /// Of one that sleeps: its `uninit` runs as soon as it is back.
    pub(super) fn leave_when_awake(self, now: Mono) -> (Self, Vec<Effect>) {
        let woken = Origin::Woken { to_leave: true };
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
            Self::Launching {
                generation,
                deadline,
                ..
            } => (
                Self::Launching {
                    generation,
                    origin: woken,
                    deadline,
                },
                vec![],
            ),
            Self::Initialising {
                generation,
                deadline,
                ..
            } => {
                let deadline = deadline.min(now + LEAVE_DEADLINE);
                (
                    Self::Initialising {
                        generation,
                        origin: woken,
                        deadline,
                    },
                    vec![Effect::WakeAt(deadline)],
                )
            }
            other => (other, vec![]),
        }
    }
}

#[cfg(test)]
mod tests;

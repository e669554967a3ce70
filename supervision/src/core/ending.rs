//! The end of the supervisor: every child ended, in reverse order, then itself.
//!
//! A dynamic supervisor ends all children at once; each has its own limit.

use super::{
    child::{Child, Key, Life, Why},
    command::{CommandError, CommandId},
    state::{Deferred, Effect, Phase, State, Turn},
};
use crate::{event::What, exit::ExitReason};

impl State {
    /// Begins to end; harmless when it is already ending.
    pub(super) fn begin_ending(&mut self, reason: ExitReason, turn: &mut Turn) {
        if matches!(self.phase, Phase::Ending { .. } | Phase::Ended) {
            return;
        }
        turn.event(What::Ending {
            reason: reason.clone(),
        });
        self.phase = Phase::Ending { reason };
        for deferred in std::mem::take(&mut self.deferred) {
            if let Deferred::Command(id, command) = deferred {
                self.refuse(id, &command, turn);
            }
        }
        let ordered = self.is_ordered();
        let keys: Vec<Key> = self.children.keys().copied().collect();
        for key in keys {
            match &self.child(key).life {
                Life::Starting { why, .. } => {
                    match why {
                        Why::Add(id) | Why::Command(id) | Why::Unpark(id) => {
                            turn.reply(*id, Err(CommandError::ShuttingDown));
                        }
                        Why::Boot | Why::Again | Why::Group | Why::Probe(_) => {}
                    }
                    self.child_mut(key).life = Life::Down;
                    turn.push(Effect::CancelStart { key });
                }
                Life::Running { .. } if !ordered => self.begin_stop(key, Vec::new(), turn),
                // Their timers must find nothing to start any more.
                Life::Retry { .. } | Life::Waiting { .. } | Life::Parked { .. } => {
                    self.child_mut(key).life = Life::Down;
                }
                Life::Running { .. } | Life::Stopping { .. } | Life::Down | Life::Dead { .. } => {}
            }
        }
    }

    pub(super) fn advance_ending(&mut self, turn: &mut Turn) -> bool {
        let Some((key, child)) = self.children.last_key_value() else {
            let Phase::Ending { reason } = std::mem::replace(&mut self.phase, Phase::Ended) else {
                return false;
            };
            turn.event(What::Ended {
                reason: reason.clone(),
            });
            turn.push(Effect::End(reason));
            return false;
        };
        let key = *key;
        // One after another, also behind a stop that a command had begun.
        if self.is_ordered() && self.children.values().any(Child::is_changing) {
            return false;
        }
        match &child.life {
            Life::Running { .. } => {
                self.begin_stop(key, Vec::new(), turn);
                false
            }
            Life::Stopping { .. } => false,
            Life::Dead { reason, .. } => {
                let reason = reason.clone();
                self.stopped(key, reason, Vec::new(), turn);
                true
            }
            Life::Down
            | Life::Starting { .. }
            | Life::Retry { .. }
            | Life::Waiting { .. }
            | Life::Parked { .. } => {
                self.remove(key, turn);
                true
            }
        }
    }

    /// A child that was being ended has ended.
    pub(super) fn stopped(
        &mut self,
        key: Key,
        reason: ExitReason,
        waiting: Vec<CommandId>,
        turn: &mut Turn,
    ) {
        turn.event(What::Stopped {
            child: self.child(key).id.clone(),
            reason,
        });
        if matches!(self.phase, Phase::Ending { .. }) {
            self.remove(key, turn);
        } else {
            self.lay_down(key, turn);
        }
        for id in waiting {
            turn.reply(id, Ok(()));
        }
    }
}

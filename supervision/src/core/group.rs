//! Restarting a group: stop it in reverse order, wait out the backoff, start it in order.
//!
//! Invariant: no child of the group is started before all of them have ended.

use super::{
    child::{Child, Key, Life, Why},
    state::{Effect, GroupStage, Phase, State, Turn},
};
use crate::event::What;

impl State {
    pub(super) fn advance_group(&mut self, turn: &mut Turn) -> bool {
        let Phase::Regrouping { cause, stage } = &mut self.phase else {
            return false;
        };
        let cause = *cause;
        match stage {
            GroupStage::Stopping => self.advance_group_stop(cause, turn),
            GroupStage::Starting { .. } if self.children.values().any(Child::is_changing) => false,
            GroupStage::Starting { queue } => {
                let next = queue.pop_front();
                match next {
                    None => {
                        self.phase = Phase::Running;
                        true
                    }
                    Some(key) if self.children.contains_key(&key) => {
                        self.begin_start(key, Why::Group, turn);
                        false
                    }
                    Some(_) => true,
                }
            }
        }
    }

    fn advance_group_stop(&mut self, cause: Key, turn: &mut Turn) -> bool {
        for key in self.group_of(cause).into_iter().rev() {
            match self.child(key).life.clone() {
                Life::Running { .. } => {
                    self.begin_stop(key, Vec::new(), turn);
                    return false;
                }
                Life::Stopping { .. } => return false,
                Life::Dead { reason, .. } => {
                    turn.event(What::Stopped {
                        child: self.child(key).id.clone(),
                        reason,
                    });
                    self.lay_down(key, turn);
                }
                Life::Starting { .. } => {
                    self.cancel_start(key, turn);
                    self.lay_down(key, turn);
                }
                Life::Waiting { .. } if key == cause => {}
                Life::Waiting { .. } | Life::Retry { .. } | Life::Parked { .. } => {
                    self.lay_down(key, turn);
                }
                Life::Down => {}
            }
        }
        match self.child(cause).life {
            Life::Waiting { until } if until > turn.now => {
                self.phase = Phase::Running;
                turn.push(Effect::Timer {
                    key: cause,
                    at: until,
                });
            }
            _ => {
                // From here on the cause is one of the group: if another one does not come up,
                // that one is tried again, and this one with it.
                self.child_mut(cause).life = Life::Down;
                self.phase = Phase::Regrouping {
                    cause,
                    stage: GroupStage::Starting {
                        queue: self.group_of(cause),
                    },
                };
            }
        }
        true
    }
}

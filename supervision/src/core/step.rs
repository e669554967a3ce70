//! What each input does to the state.

use std::{collections::VecDeque, time::Duration};

use super::{
    child::{Child, Key, Life, Parole, StartId, StopStage, Why},
    command::CommandError,
    rules::{Parking, Shape, Strategy},
    state::{Deferred, Effect, GroupStage, Input, KILL_GRACE, Phase, State, Turn},
};
use crate::{
    event::{Decision, What},
    exit::{ExitReason, Failure},
};

impl State {
    pub(super) fn take(&mut self, input: Input, turn: &mut Turn) {
        match input {
            Input::Boot => {
                self.phase = Phase::Booting {
                    queue: self.children.keys().copied().collect(),
                };
            }
            Input::Started(key, start) if self.is_starting(key, start) => self.started(key, turn),
            Input::Ignored(key, start) if self.is_starting(key, start) => self.ignored(key, turn),
            Input::StartFailed(key, start, failure) if self.is_starting(key, start) => {
                self.start_failed(key, failure, turn);
            }
            // The start was cancelled meanwhile; the shell has seen to what came of it.
            Input::Started(..) | Input::Ignored(..) | Input::StartFailed(..) => {}
            Input::Exited(key, start, reason) => self.exited(key, start, reason, turn),
            Input::Unsteady(key, start) => self.unsteady(key, start, turn),
            Input::Timer(key) => self.timer(key, turn),
            Input::TryAgain(key) if self.is_busy() => {
                self.deferred.push_back(Deferred::TryAgain(key));
            }
            Input::TryAgain(key) => self.try_again(key, turn),
            Input::Command(id, command) if self.is_busy() => {
                self.deferred.push_back(Deferred::Command(id, command));
            }
            Input::Command(id, command) => self.command(id, command, turn),
            Input::Shutdown(reason) => self.begin_ending(reason, turn),
        }
    }

    /// Goes on with whatever has no one to wait for any more.
    pub(super) fn advance(&mut self, turn: &mut Turn) {
        loop {
            let moved = match self.phase {
                Phase::Booting { .. } => self.advance_boot(turn),
                Phase::Regrouping { .. } => self.advance_group(turn),
                Phase::Ending { .. } => self.advance_ending(turn),
                Phase::Running => self.advance_deferred(turn),
                Phase::Ended => false,
            };
            if !moved {
                return;
            }
        }
    }

    fn advance_boot(&mut self, turn: &mut Turn) -> bool {
        let Phase::Booting { queue } = &mut self.phase else {
            return false;
        };
        if self.children.values().any(Child::is_changing) {
            return false;
        }
        match queue.pop_front() {
            Some(key) => self.begin_start(key, Why::Boot, turn),
            None => {
                self.phase = Phase::Running;
                turn.push(Effect::Booted);
            }
        }
        true
    }

    fn advance_deferred(&mut self, turn: &mut Turn) -> bool {
        if self.is_busy() {
            return false;
        }
        let Some(deferred) = self.deferred.pop_front() else {
            return false;
        };
        match deferred {
            Deferred::Exit(key, start) => self.deferred_exit(key, start, turn),
            Deferred::Due(key) => self.timer(key, turn),
            Deferred::TryAgain(key) => self.try_again(key, turn),
            Deferred::Command(id, command) => self.command(id, command, turn),
        }
        true
    }

    fn started(&mut self, key: Key, turn: &mut Turn) {
        let proven = self.parking().map(|parking| parking.proven);
        let child = self.child_mut(key);
        let Life::Starting { start, why, .. } = child.life.clone() else {
            return;
        };
        turn.event(What::Started {
            child: child.id.clone(),
            restarts: child.restarts(),
        });
        let mut parole = None;
        match why {
            Why::Boot | Why::Again | Why::Group => {}
            Why::Add(id) | Why::Command(id) => turn.reply(id, Ok(())),
            Why::Unpark(id) => {
                turn.event(What::Unparked {
                    child: child.id.clone(),
                });
                turn.reply(id, Ok(()));
            }
            Why::Probe(probe) => {
                parole = Some(probe);
                if let Some(proven) = proven {
                    turn.push(Effect::Timer {
                        key,
                        at: turn.now + proven,
                    });
                }
            }
        }
        child.steady_since = turn.now;
        child.life = Life::Running {
            start,
            since: turn.now,
            parole,
        };
    }

    fn ignored(&mut self, key: Key, turn: &mut Turn) {
        let child = self.child(key);
        let Life::Starting { why, .. } = child.life.clone() else {
            return;
        };
        turn.event(What::Ignored {
            child: child.id.clone(),
        });
        match why {
            Why::Boot | Why::Again | Why::Group | Why::Probe(_) => {}
            Why::Add(id) | Why::Command(id) | Why::Unpark(id) => turn.reply(id, Ok(())),
        }
        self.lay_down(key, turn);
    }

    fn start_failed(&mut self, key: Key, failure: Failure, turn: &mut Turn) {
        let child = self.child_mut(key);
        let name = child.id.clone();
        let Life::Starting { why, .. } = child.life.clone() else {
            return;
        };
        let reason = ExitReason::StartFailed(failure.clone());
        let error = CommandError::StartFailed {
            child: name.clone(),
            reason: reason.clone(),
        };
        let mut exited = |decision| {
            turn.event(What::Exited {
                child: name.clone(),
                reason: reason.clone(),
                uptime: Duration::ZERO,
                decision,
            });
        };
        match why {
            Why::Boot => {
                exited(Decision::FailStart);
                child.life = Life::Down;
                let failure = failure.within(&format!("child `{name}` did not start"));
                self.begin_ending(ExitReason::StartFailed(failure), turn);
            }
            Why::Again | Why::Group => {
                exited(Decision::TryAgain);
                child.life = Life::Retry {
                    reason,
                    at: turn.now,
                };
                turn.push(Effect::TryAgain { key });
                if matches!(self.phase, Phase::Regrouping { .. }) {
                    self.phase = Phase::Running;
                }
            }
            Why::Add(id) => {
                exited(Decision::Remove);
                self.remove(key, turn);
                turn.reply(id, Err(error));
            }
            Why::Command(id) => {
                exited(Decision::StayDown);
                child.life = Life::Down;
                turn.reply(id, Err(error));
            }
            Why::Probe(parole) => {
                let next_probe = self.park(key, Some(parole), reason.clone(), turn);
                turn.event(What::Exited {
                    child: name,
                    reason,
                    uptime: Duration::ZERO,
                    decision: Decision::Park { next_probe },
                });
            }
            Why::Unpark(id) => {
                let next_probe = self.park(key, None, reason.clone(), turn);
                turn.event(What::Exited {
                    child: name,
                    reason,
                    uptime: Duration::ZERO,
                    decision: Decision::Park { next_probe },
                });
                turn.reply(id, Err(error));
            }
        }
    }

    fn exited(&mut self, key: Key, start: StartId, reason: ExitReason, turn: &mut Turn) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        match &child.life {
            Life::Running {
                start: current,
                since,
                ..
            } if *current == start => {
                let since = *since;
                if self.is_busy() {
                    self.child_mut(key).life = Life::Dead {
                        start,
                        since,
                        reason,
                        at: turn.now,
                    };
                    self.deferred.push_back(Deferred::Exit(key, start));
                } else if matches!(self.phase, Phase::Ending { .. }) {
                    self.stopped(key, reason, Vec::new(), turn);
                } else {
                    self.decide(key, reason, (since, turn.now), turn);
                }
            }
            Life::Stopping {
                start: current,
                waiting,
                ..
            } if *current == start => {
                let waiting = waiting.clone();
                self.stopped(key, reason, waiting, turn);
            }
            // An incarnation that is already accounted for.
            Life::Running { .. }
            | Life::Stopping { .. }
            | Life::Down
            | Life::Starting { .. }
            | Life::Dead { .. }
            | Life::Retry { .. }
            | Life::Waiting { .. }
            | Life::Parked { .. } => {}
        }
    }

    fn deferred_exit(&mut self, key: Key, start: StartId, turn: &mut Turn) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        if let Life::Dead {
            start: current,
            since,
            reason,
            at,
        } = &child.life
            && *current == start
        {
            let (reason, life) = (reason.clone(), (*since, *at));
            self.decide(key, reason, life, turn);
        }
    }

    /// A failure below is none of this supervisor's business, but as long as they go on the child
    /// has not proved itself. The same holds for this supervisor, unless it is one that parks: its
    /// children's failures stay its own.
    fn unsteady(&mut self, key: Key, start: StartId, turn: &mut Turn) {
        let proven = self.parking().map(|parking| parking.proven);
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        match child.life {
            Life::Running {
                start: current,
                parole,
                ..
            } if current == start => {
                child.steady_since = turn.now;
                if let (Some(proven), Some(_)) = (proven, parole) {
                    let at = turn.now + proven;
                    turn.push(Effect::Timer { key, at });
                }
                self.tell_above(turn);
            }
            _ => {}
        }
    }

    pub(super) fn tell_above(&self, turn: &mut Turn) {
        if self.parking().is_none() {
            turn.push(Effect::Unsteady);
        }
    }

    fn timer(&mut self, key: Key, turn: &mut Turn) {
        let busy = self.is_busy();
        let proven = self.parking().map(|parking| parking.proven);
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let name = child.id.clone();
        // A timer that came early (clocks differ) is set again; one for a state that has passed
        // finds nothing to do.
        let steady_since = child.steady_since;
        let due = match &child.life {
            Life::Waiting { until } => Some(*until),
            Life::Parked { next, .. } => Some(*next),
            Life::Stopping { stage, .. } => match stage {
                StopStage::Asked { kill_at } => *kill_at,
                StopStage::Killed { abandon_at } => Some(*abandon_at),
            },
            Life::Running {
                parole: Some(_), ..
            } => proven.map(|proven| steady_since + proven),
            Life::Running { parole: None, .. }
            | Life::Down
            | Life::Starting { .. }
            | Life::Dead { .. }
            | Life::Retry { .. } => None,
        };
        match due {
            None => return,
            Some(at) if at > turn.now => {
                turn.push(Effect::Timer { key, at });
                return;
            }
            Some(_) => {}
        }
        match &mut child.life {
            Life::Waiting { .. } if busy => self.deferred.push_back(Deferred::Due(key)),
            Life::Waiting { .. } => match self.rules.shape {
                Shape::Dynamic(_) | Shape::Ordered(Strategy::OneForOne) => {
                    self.begin_start(key, Why::Again, turn);
                }
                Shape::Ordered(Strategy::OneForAll | Strategy::RestForOne) => {
                    self.phase = Phase::Regrouping {
                        cause: key,
                        stage: GroupStage::Stopping,
                    };
                }
            },
            Life::Parked { since, probes, .. } => {
                let parole = Parole {
                    parked_since: *since,
                    probes: *probes + 1,
                };
                turn.event(What::Probing {
                    child: name,
                    probes: *probes,
                });
                self.begin_start(key, Why::Probe(parole), turn);
            }
            Life::Running { parole, .. } => {
                *parole = None;
                turn.event(What::Unparked { child: name });
            }
            Life::Stopping { stage, waiting, .. } => match stage {
                StopStage::Asked { .. } => {
                    let abandon_at = turn.now + KILL_GRACE;
                    *stage = StopStage::Killed { abandon_at };
                    turn.event(What::Killing { child: name });
                    turn.push(Effect::Kill { key });
                    turn.push(Effect::Timer {
                        key,
                        at: abandon_at,
                    });
                }
                StopStage::Killed { .. } => {
                    let waiting = std::mem::take(waiting);
                    turn.event(What::Abandoned { child: name });
                    turn.push(Effect::Abandon { key });
                    self.stopped(key, ExitReason::Killed, waiting, turn);
                }
            },
            Life::Down | Life::Starting { .. } | Life::Dead { .. } | Life::Retry { .. } => {}
        }
    }

    pub(super) fn parking(&self) -> Option<Parking> {
        match self.rules.shape {
            Shape::Dynamic(parking) => parking,
            Shape::Ordered(_) => None,
        }
    }

    /// The children that restart with `cause`, in start order.
    pub(super) fn group_of(&self, cause: Key) -> VecDeque<Key> {
        let from = match self.rules.shape {
            Shape::Ordered(Strategy::OneForAll) => Key(0),
            Shape::Ordered(Strategy::OneForOne | Strategy::RestForOne) | Shape::Dynamic(_) => cause,
        };
        self.children.range(from..).map(|(key, _)| *key).collect()
    }
}

//! A child has ended by itself, or its restart has failed: whether it is started again, when, and what
//! else comes of it.

use std::time::Duration;

use coppice_clock::Mono;

use super::{
    child::{Key, Life, Parole, Why},
    rules::{AutoShutdown, Shape, Strategy},
    state::{Effect, GroupStage, Phase, State, Turn},
};
use crate::{
    event::{Decision, What},
    exit::{ExitReason, ShutdownDetail},
};

impl State {
    /// A child that came up and ended at these times did so by itself: what now?
    pub(super) fn decide(
        &mut self,
        key: Key,
        reason: ExitReason,
        (since, at): (Mono, Mono),
        turn: &mut Turn,
    ) {
        let uptime = at.since(since);
        let steady = at.since(self.child(key).steady_since);
        let proven = self
            .rules
            .forget_after
            .is_some_and(|enough| steady >= enough);
        if proven {
            self.restarts.forget(key);
        }
        let child = self.child_mut(key);
        if proven {
            child.streak = 0;
            child.window.clear();
        }
        let name = child.id.clone();
        let restart = child.rules.restart;
        let parole = match child.life {
            Life::Running { parole, .. } => parole,
            _ => None,
        };
        let exited = |decision| What::Exited {
            child: name.clone(),
            reason: reason.clone(),
            uptime,
            decision,
        };
        if restart.wants_restart(reason.class()) {
            if parole.is_some() {
                let next_probe = self.park(key, parole, reason.clone(), turn);
                turn.event(exited(Decision::Park { next_probe }));
                return;
            }
            match self.account(key, &reason, turn) {
                Verdict::Restart { delay } => {
                    turn.event(exited(Decision::Restart { delay }));
                    self.restart_after(key, delay, turn);
                }
                Verdict::Park { next_probe } => {
                    turn.event(exited(Decision::Park { next_probe }));
                }
                Verdict::GiveUp => {
                    turn.event(exited(Decision::GiveUp));
                    self.give_up(key, reason, turn);
                }
            }
            return;
        }
        let gone = restart.is_temporary() || !self.is_ordered();
        self.lay_down(key, turn);
        if restart.is_significant() && self.significance_ends_it() {
            turn.event(exited(Decision::AutoShutdown));
            let detail = ShutdownDetail::Significant {
                child: name.clone(),
                last: Box::new(reason),
            };
            self.begin_ending(ExitReason::Shutdown(detail), turn);
        } else if gone {
            turn.event(exited(Decision::Remove));
        } else {
            turn.event(exited(Decision::StayDown));
        }
    }

    /// Whether the end of a significant child, already laid down, ends the supervisor.
    fn significance_ends_it(&self) -> bool {
        match self.rules.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self.children.values().any(|child| {
                child.rules.restart.is_significant() && !matches!(child.life, Life::Down)
            }),
        }
    }

    pub(super) fn try_again(&mut self, key: Key, turn: &mut Turn) {
        // Terminated or restarted with its group meanwhile: nothing to try.
        let Some(Life::Retry { reason, .. }) = self.children.get(&key).map(|child| &child.life)
        else {
            return;
        };
        let reason = reason.clone();
        match self.account(key, &reason, turn) {
            Verdict::Restart { delay } => self.restart_after(key, delay, turn),
            Verdict::Park { .. } => {}
            Verdict::GiveUp => self.give_up(key, reason, turn),
        }
    }

    /// Counts a restart and says what comes of it.
    fn account(&mut self, key: Key, reason: &ExitReason, turn: &mut Turn) -> Verdict {
        self.tell_above(turn);
        let row = self.child(key).streak;
        let row_is_over = self.rules.in_a_row.is_some_and(|most| row >= most);
        let granted = if let Some(parking) = self.parking() {
            self.child_mut(key)
                .window
                .admit(parking.intensity, key, turn.now)
        } else {
            self.restarts.admit(self.rules.intensity, key, turn.now)
        };
        if row_is_over || !granted {
            if self.parking().is_some() {
                return Verdict::Park {
                    next_probe: self.park(key, None, reason.clone(), turn),
                };
            }
            return Verdict::GiveUp;
        }
        let backoff = self.rules.backoff;
        self.child_mut(key).streak += 1;
        let delay = match backoff {
            Some(backoff) if row > 0 => self
                .jitter
                .shorten(backoff.step(row - 1), backoff.jitter_percent),
            _ => Duration::ZERO,
        };
        Verdict::Restart { delay }
    }

    fn restart_after(&mut self, key: Key, delay: Duration, turn: &mut Turn) {
        let until = turn.now + delay;
        self.child_mut(key).life = Life::Waiting { until };
        match self.rules.shape {
            Shape::Dynamic(_) | Shape::Ordered(Strategy::OneForOne) if delay.is_zero() => {
                self.begin_start(key, Why::Again, turn);
            }
            Shape::Dynamic(_) | Shape::Ordered(Strategy::OneForOne) => {
                turn.push(Effect::Timer { key, at: until });
            }
            // The siblings cannot do without the child: they stop now, not when the wait is over.
            Shape::Ordered(Strategy::OneForAll | Strategy::RestForOne) => {
                self.phase = Phase::Regrouping {
                    cause: key,
                    stage: GroupStage::Stopping,
                };
            }
        }
    }

    fn give_up(&mut self, key: Key, reason: ExitReason, turn: &mut Turn) {
        let child = self.child_mut(key);
        child.life = Life::Down;
        let detail = ShutdownDetail::Intensity {
            child: child.id.clone(),
            last: Box::new(reason),
        };
        self.begin_ending(ExitReason::Shutdown(detail), turn);
    }

    pub(super) fn park(
        &mut self,
        key: Key,
        parole: Option<Parole>,
        reason: ExitReason,
        turn: &mut Turn,
    ) -> Mono {
        let probes = parole.map_or(0, |parole| parole.probes);
        let wait = self.parking().map_or(Duration::ZERO, |parking| {
            self.jitter
                .shorten(parking.probe.step(probes), parking.probe.jitter_percent)
        });
        let next = turn.now + wait;
        let child = self.child_mut(key);
        child.window.clear();
        child.streak = 0;
        turn.event(What::Parked {
            child: child.id.clone(),
            reason: reason.clone(),
            next_probe: next,
        });
        child.life = Life::Parked {
            since: parole.map_or(turn.now, |parole| parole.parked_since),
            reason,
            probes,
            next,
        };
        turn.push(Effect::Timer { key, at: next });
        next
    }
}

/// What the accounting says about a restart.
enum Verdict {
    Restart { delay: Duration },
    Park { next_probe: Mono },
    GiveUp,
}

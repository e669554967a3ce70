//! The state of one supervisor, what goes in and what comes out.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use coppice_clock::Mono;

use super::{
    child::{Child, ChildState, Key, Life, StartId, StopStage, Why},
    command::{Command, CommandError, CommandId},
    counting::{Jitter, Window},
    rules::{ChildKind, ChildRules, Rules, Shape, Shutdown, Strategy},
};
use crate::{
    event::What,
    exit::{ExitReason, Failure},
    id::ChildId,
    variants,
};

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The supervisor itself is up: start the children.
    Boot,
    /// A start succeeded.
    Started(Key, StartId),
    /// A start function chose not to run.
    Ignored(Key, StartId),
    /// A start failed.
    StartFailed(Key, StartId, Failure),
    /// An incarnation ended.
    Exited(Key, StartId, ExitReason),
    /// Something below this child was restarted, or is about to be.
    Unsteady(Key, StartId),
    /// The time asked for by [`Effect::Timer`] has come.
    Timer(Key),
    /// The message asked for by [`Effect::TryAgain`] has come round.
    TryAgain(Key),
    /// Someone wants something.
    Command(CommandId, Command),
    /// The supervisor shall end.
    Shutdown(ExitReason),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Run the child's start function, for at most `deadline`.
    Start {
        key: Key,
        start: StartId,
        restarts: u32,
        deadline: Option<Duration>,
    },
    /// Drop the start function under way and whatever it has spawned.
    CancelStart { key: Key },
    /// Ask the child to end.
    Stop { key: Key },
    /// Kill the child.
    Kill { key: Key },
    /// Forget the actor: it will not end.
    Abandon { key: Key },
    /// Send [`Input::Timer`] at this time.
    Timer { key: Key, at: Mono },
    /// Send [`Input::Unsteady`] to the supervisor above.
    Unsteady,
    /// Send [`Input::TryAgain`], after everything that is already waiting.
    TryAgain { key: Key },
    /// Answer a command.
    Reply {
        command: CommandId,
        result: Result<(), CommandError>,
    },
    /// The child's spec is gone.
    Removed { key: Key },
    /// Tell the observer.
    Event(What),
    /// All first children are up.
    Booted,
    /// No child is left: end.
    End(ExitReason),
}

variants!(
    Input: Boot, Started, Ignored, StartFailed, Exited, Unsteady, Timer, TryAgain, Command, Shutdown
);

/// The effects of one step, and its time.
pub(super) struct Turn {
    pub(super) now: Mono,
    effects: Vec<Effect>,
}

impl Turn {
    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn event(&mut self, what: What) {
        self.effects.push(Effect::Event(what));
    }

    pub(super) fn reply(&mut self, command: CommandId, result: Result<(), CommandError>) {
        self.effects.push(Effect::Reply { command, result });
    }
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Booting {
        queue: VecDeque<Key>,
    },
    Running,
    Regrouping {
        /// The child whose end caused it.
        cause: Key,
        stage: GroupStage,
    },
    Ending {
        reason: ExitReason,
    },
    Ended,
}

variants!(Phase: Booting, Running, Regrouping, Ending, Ended);

#[derive(Clone, Debug)]
pub(super) enum GroupStage {
    Stopping,
    Starting { queue: VecDeque<Key> },
}

/// What had to wait until the supervisor was no longer busy.
#[derive(Clone, Debug)]
pub(super) enum Deferred {
    Exit(Key, StartId),
    Due(Key),
    TryAgain(Key),
    Command(CommandId, Command),
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(super) rules: Rules,
    pub(super) phase: Phase,
    pub(super) children: BTreeMap<Key, Child>,
    pub(super) names: HashMap<ChildId, Key>,
    pub(super) restarts: Window,
    pub(super) deferred: VecDeque<Deferred>,
    pub(super) jitter: Jitter,
    next_start: u64,
}

/// A child as [`State::list`] tells it.
pub(crate) struct Listed {
    pub(crate) key: Key,
    pub(crate) id: ChildId,
    pub(crate) kind: ChildKind,
    pub(crate) state: ChildState,
    pub(crate) restarts: u32,
}

impl State {
    /// A supervisor that has not started anything yet. Keys must grow in start order.
    pub(crate) fn new(
        rules: Rules,
        children: impl IntoIterator<Item = (Key, ChildId, ChildRules)>,
        seed: u64,
    ) -> Self {
        let children: BTreeMap<_, _> = children
            .into_iter()
            .map(|(key, id, rules)| (key, Child::new(id, rules)))
            .collect();
        Self {
            rules,
            phase: Phase::Booting {
                queue: VecDeque::new(),
            },
            names: children
                .iter()
                .map(|(key, child)| (child.id.clone(), *key))
                .collect(),
            children,
            restarts: Window::default(),
            deferred: VecDeque::new(),
            jitter: Jitter::new(seed),
            next_start: 0,
        }
    }

    /// The next state and what to do.
    pub(crate) fn step(mut self, input: Input, now: Mono) -> (Self, Vec<Effect>) {
        let mut turn = Turn {
            now,
            effects: Vec::new(),
        };
        self.take(input, &mut turn);
        self.advance(&mut turn);
        (self, turn.effects)
    }

    /// What the supervisor is about, in a word.
    pub(crate) const fn phase(&self) -> &'static str {
        self.phase.variant()
    }

    /// The children in start order.
    pub(crate) fn list(&self) -> impl Iterator<Item = Listed> + '_ {
        self.children.iter().map(|(key, child)| Listed {
            key: *key,
            id: child.id.clone(),
            kind: child.rules.kind,
            state: child.state(),
            restarts: child.restarts(),
        })
    }

    /// Name and rules of one child.
    pub(crate) fn child_rules(&self, key: Key) -> Option<(&ChildId, &ChildRules)> {
        self.children
            .get(&key)
            .map(|child| (&child.id, &child.rules))
    }

    /// Whether children are stopped one after another.
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self.rules.shape, Shape::Ordered(_))
    }

    /// Whether `start` is the start this child is waiting for.
    pub(crate) fn is_starting(&self, key: Key, start: StartId) -> bool {
        matches!(
            self.children.get(&key).map(|child| &child.life),
            Some(Life::Starting { start: current, .. }) if *current == start
        )
    }

    pub(super) fn child(&self, key: Key) -> &Child {
        &self.children[&key]
    }

    pub(super) fn child_mut(&mut self, key: Key) -> &mut Child {
        self.children
            .get_mut(&key)
            .expect("a key is looked up before it is used")
    }

    /// Whether a decision has to wait.
    pub(super) fn is_busy(&self) -> bool {
        match self.phase {
            Phase::Running => {}
            Phase::Booting { .. } | Phase::Regrouping { .. } => return true,
            Phase::Ending { .. } | Phase::Ended => return false,
        }
        match self.rules.shape {
            // Children that are independent do not wait for each other: a start that hangs holds
            // up nobody else. OTP's supervisor, which runs starts itself, does wait.
            Shape::Ordered(Strategy::OneForOne) | Shape::Dynamic(_) => false,
            Shape::Ordered(Strategy::OneForAll | Strategy::RestForOne) => {
                self.children.values().any(Child::is_changing)
            }
        }
    }

    pub(super) fn begin_start(&mut self, key: Key, why: Why, turn: &mut Turn) {
        let start = StartId(self.next_start);
        self.next_start += 1;
        let child = self.child_mut(key);
        child.starts += 1;
        let restarts = child.restarts();
        child.life = Life::Starting {
            start,
            since: turn.now,
            why,
        };
        turn.event(What::Starting {
            child: child.id.clone(),
            restarts,
        });
        turn.push(Effect::Start {
            key,
            start,
            restarts,
            deadline: child.rules.start_deadline,
        });
    }

    /// Asks a running child to stop; nothing on one that does not run.
    pub(super) fn begin_stop(&mut self, key: Key, waiting: Vec<CommandId>, turn: &mut Turn) {
        let child = self.child_mut(key);
        let Life::Running { start, .. } = child.life else {
            return;
        };
        turn.event(What::Stopping {
            child: child.id.clone(),
        });
        let stage = match child.rules.shutdown {
            Shutdown::BrutalKill => {
                let abandon_at = turn.now + KILL_GRACE;
                turn.push(Effect::Kill { key });
                turn.push(Effect::Timer {
                    key,
                    at: abandon_at,
                });
                StopStage::Killed { abandon_at }
            }
            Shutdown::Timeout(patience) => {
                let kill_at = turn.now + patience;
                turn.push(Effect::Stop { key });
                turn.push(Effect::Timer { key, at: kill_at });
                StopStage::Asked {
                    kill_at: Some(kill_at),
                }
            }
            Shutdown::Infinity => {
                turn.push(Effect::Stop { key });
                StopStage::Asked { kill_at: None }
            }
        };
        child.life = Life::Stopping {
            start,
            stage,
            waiting,
        };
    }
}

/// How long a killed actor may take to end before its supervisor goes on without it. A kill takes
/// effect when the actor's handler next awaits; one that never does can be ended by nobody.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(5);

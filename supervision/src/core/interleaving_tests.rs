//! Starts and stops that take their time, in every order: nothing is started twice, nothing is
//! forgotten, nothing hangs.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use coppice_clock::Mono;
use proptest::{collection::vec, prelude::*, strategy::Strategy as AnyOf};

use super::{
    AutoShutdown, Backoff, ChildKind, ChildRules, ChildState, Command, CommandId, Effect, Input,
    Intensity, Key, Parking, Restart, Rules, Shape, Shutdown, StartId, State, Strategy,
};
use crate::{
    exit::{ExitReason, Failure, ShutdownDetail},
    id::ChildId,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Starting(StartId),
    Up(StartId),
    Asked(StartId),
    Killed(StartId),
}

/// A world in which a script decides what happens next; checks as it goes.
struct World {
    state: Option<State>,
    actors: BTreeMap<Key, Actor>,
    timers: BTreeSet<(Mono, Key)>,
    try_again: Vec<Key>,
    asked: HashSet<CommandId>,
    next_key: u64,
    next_command: u64,
    now: Mono,
    ended: bool,
}

#[derive(Clone, Debug)]
enum Act {
    /// The n-th start under way succeeds, fails, or chooses not to run.
    Up(usize),
    Fail(usize),
    Ignore(usize),
    /// The n-th living child ends.
    Die(usize, ExitReason),
    /// The n-th child asked to stop ends.
    Obey(usize),
    /// Something below the n-th living child is restarted.
    Stumble(usize),
    Wait(u64),
    Add(usize, Restart, Shutdown),
    Terminate(usize),
    Restart(usize),
    Delete(usize),
    Unpark(usize),
    TryAgain,
    End,
}

fn name(child: usize) -> ChildId {
    format!("c{child}").into()
}

impl World {
    fn new(rules: Rules, children: &[(Restart, Shutdown)]) -> Self {
        let keyed = children.iter().enumerate().map(|(n, (restart, shutdown))| {
            (Key(n as u64), name(n), child_rules(*restart, *shutdown))
        });
        let mut world = Self {
            state: Some(State::new(rules, keyed, 3)),
            actors: BTreeMap::new(),
            timers: BTreeSet::new(),
            try_again: Vec::new(),
            asked: HashSet::new(),
            next_key: children.len() as u64,
            next_command: 0,
            now: Mono::from_millis(1_000),
            ended: false,
        };
        world.feed(Input::Boot);
        world
    }

    fn nth(&self, n: usize, wanted: impl Fn(Actor) -> bool) -> Option<(Key, Actor)> {
        let fitting: Vec<_> = self
            .actors
            .iter()
            .filter(|(_, actor)| wanted(**actor))
            .collect();
        let (key, actor) = fitting.get(n % fitting.len().max(1))?;
        Some((**key, **actor))
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Up(n) | Act::Fail(n) | Act::Ignore(n) => {
                let Some((key, Actor::Starting(start))) =
                    self.nth(*n, |actor| matches!(actor, Actor::Starting(_)))
                else {
                    return;
                };
                if matches!(act, Act::Up(_)) {
                    self.actors.insert(key, Actor::Up(start));
                    self.feed(Input::Started(key, start));
                } else {
                    self.actors.remove(&key);
                    self.feed(if matches!(act, Act::Fail(_)) {
                        Input::StartFailed(key, start, Failure::text("test"))
                    } else {
                        Input::Ignored(key, start)
                    });
                }
            }
            Act::Die(n, reason) => {
                if let Some((key, Actor::Up(start))) =
                    self.nth(*n, |actor| matches!(actor, Actor::Up(_)))
                {
                    self.actors.remove(&key);
                    self.feed(Input::Exited(key, start, reason.clone()));
                }
            }
            Act::Obey(n) => {
                if let Some((key, Actor::Asked(start) | Actor::Killed(start))) =
                    self.nth(*n, |a| matches!(a, Actor::Asked(_) | Actor::Killed(_)))
                {
                    self.actors.remove(&key);
                    let reason = ExitReason::Shutdown(ShutdownDetail::Requested);
                    self.feed(Input::Exited(key, start, reason));
                }
            }
            Act::Stumble(n) => {
                if let Some((key, Actor::Up(start))) =
                    self.nth(*n, |actor| matches!(actor, Actor::Up(_)))
                {
                    self.feed(Input::Unsteady(key, start));
                }
            }
            Act::Wait(millis) => {
                let until = self.now + Duration::from_millis(*millis);
                while let Some((at, key)) = self.timers.first().copied()
                    && at <= until
                {
                    self.timers.remove(&(at, key));
                    self.now = self.now.max(at);
                    self.feed(Input::Timer(key));
                }
                self.now = until;
            }
            Act::Add(n, restart, shutdown) => {
                self.next_key += 1;
                self.command(Command::Add {
                    key: Key(self.next_key),
                    id: name(*n),
                    rules: child_rules(*restart, *shutdown),
                });
            }
            Act::Terminate(n) => self.command(Command::Terminate(name(*n))),
            Act::Restart(n) => self.command(Command::Restart(name(*n))),
            Act::Delete(n) => self.command(Command::Delete(name(*n))),
            Act::Unpark(n) => self.command(Command::Unpark(name(*n))),
            Act::TryAgain => {
                if !self.try_again.is_empty() {
                    let key = self.try_again.remove(0);
                    self.feed(Input::TryAgain(key));
                }
            }
            Act::End => self.feed(Input::Shutdown(ExitReason::Shutdown(
                ShutdownDetail::Requested,
            ))),
        }
    }

    fn command(&mut self, command: Command) {
        if self.ended {
            return;
        }
        self.next_command += 1;
        let id = CommandId(self.next_command);
        self.asked.insert(id);
        self.feed(Input::Command(id, command));
    }

    fn feed(&mut self, input: Input) {
        if self.ended {
            return;
        }
        let state = self.state.take().expect("steps do not nest");
        let (state, effects) = state.step(input, self.now);
        let (ordered, group) = match state.rules.shape {
            Shape::Ordered(strategy) => (true, strategy != Strategy::OneForOne),
            Shape::Dynamic(_) => (false, false),
        };
        self.state = Some(state);
        for effect in effects {
            match effect {
                Effect::Start { key, start, .. } => {
                    assert_eq!(self.actors.get(&key), None, "started over a living child");
                    if group {
                        assert!(
                            self.actors.values().all(|a| matches!(a, Actor::Up(_))),
                            "started while a sibling was on its way up or down"
                        );
                    }
                    self.actors.insert(key, Actor::Starting(start));
                }
                Effect::CancelStart { key } => {
                    assert!(matches!(self.actors.remove(&key), Some(Actor::Starting(_))));
                }
                Effect::Stop { key } | Effect::Kill { key } => {
                    let killed = matches!(effect, Effect::Kill { .. });
                    let actor = self.actors.get_mut(&key).expect("only living are stopped");
                    match *actor {
                        Actor::Up(start) if killed => *actor = Actor::Killed(start),
                        Actor::Up(start) => *actor = Actor::Asked(start),
                        Actor::Asked(start) if killed => *actor = Actor::Killed(start),
                        other => panic!("{effect:?} on {other:?}"),
                    }
                    if ordered && group {
                        let stopping = |a: &&Actor| matches!(a, Actor::Asked(_) | Actor::Killed(_));
                        assert_eq!(
                            self.actors.values().filter(stopping).count(),
                            1,
                            "ordered children are stopped one after another"
                        );
                    }
                }
                Effect::Abandon { key } => {
                    assert!(matches!(self.actors.remove(&key), Some(Actor::Killed(_))));
                }
                Effect::Timer { key, at } => {
                    self.timers.insert((at, key));
                }
                Effect::TryAgain { key } => self.try_again.push(key),
                Effect::Reply { command, .. } => {
                    assert!(self.asked.remove(&command), "answered twice");
                }
                Effect::Removed { key } => {
                    assert_eq!(self.actors.get(&key), None, "forgot a living child");
                }
                Effect::End(_) => {
                    assert!(self.actors.is_empty(), "ended before its children");
                    self.ended = true;
                }
                Effect::Event(_) | Effect::Booted | Effect::Unsteady => {}
            }
        }
        if self.ended {
            assert!(self.asked.is_empty(), "ended without an answer");
        }
        self.agrees();
    }

    /// The state never says that a child runs which does not, or the other way round.
    fn agrees(&self) {
        let state = self.state.as_ref().expect("put back after the step");
        let listed: BTreeMap<Key, ChildState> =
            state.list().map(|child| (child.key, child.state)).collect();
        for (key, actor) in &self.actors {
            let says = listed.get(key);
            let fits = match actor {
                Actor::Starting(_) => matches!(says, Some(ChildState::Starting { .. })),
                Actor::Up(_) => matches!(says, Some(ChildState::Running { .. })),
                Actor::Asked(_) | Actor::Killed(_) => {
                    matches!(says, Some(ChildState::Stopping { .. }))
                }
            };
            assert!(fits, "{key:?} is {actor:?}, the state says {says:?}");
        }
        for (key, says) in &listed {
            if !self.actors.contains_key(key) {
                assert!(
                    matches!(
                        says,
                        ChildState::Down
                            | ChildState::Restarting { .. }
                            | ChildState::Parked { .. }
                    ),
                    "{key:?} is not there, the state says {says:?}"
                );
            }
        }
    }

    /// Everybody behaves from now on: starts succeed, stops are obeyed, time passes.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let waiting = self
                .actors
                .values()
                .any(|actor| !matches!(actor, Actor::Up(_)));
            if waiting {
                self.act(&Act::Up(0));
                self.act(&Act::Obey(0));
            } else if !self.try_again.is_empty() {
                self.act(&Act::TryAgain);
            } else if let Some((at, _)) = self.timers.first().copied() {
                let millis = at.since(self.now).as_millis();
                self.act(&Act::Wait(u64::try_from(millis).expect("tests are short")));
            } else {
                return;
            }
        }
        panic!("never comes to rest: {:?}", self.state);
    }
}

fn child_rules(restart: Restart, shutdown: Shutdown) -> ChildRules {
    ChildRules {
        restart,
        shutdown,
        kind: ChildKind::Worker,
        start_deadline: None,
    }
}

fn any_restart() -> impl AnyOf<Value = Restart> {
    prop_oneof![
        3 => Just(Restart::Permanent),
        1 => any::<bool>().prop_map(|significant| Restart::Transient { significant }),
        1 => any::<bool>().prop_map(|significant| Restart::Temporary { significant }),
    ]
}

fn any_shutdown() -> impl AnyOf<Value = Shutdown> {
    prop_oneof![
        Just(Shutdown::BrutalKill),
        Just(Shutdown::Timeout(Duration::from_millis(500))),
        Just(Shutdown::Infinity),
    ]
}

fn any_rules() -> impl AnyOf<Value = Rules> {
    let backoff = Backoff {
        first: Duration::from_millis(100),
        factor: 2,
        max: Duration::from_millis(800),
        jitter_percent: 20,
    };
    let parking = Parking {
        intensity: Intensity::new(1, Duration::from_millis(1_000)),
        probe: backoff,
        proven: Duration::from_millis(300),
    };
    (
        prop_oneof![
            Just(Shape::Ordered(Strategy::OneForOne)),
            Just(Shape::Ordered(Strategy::OneForAll)),
            Just(Shape::Ordered(Strategy::RestForOne)),
            Just(Shape::Dynamic(None)),
            Just(Shape::Dynamic(Some(parking))),
        ],
        prop_oneof![
            Just(AutoShutdown::Never),
            Just(AutoShutdown::AnySignificant),
            Just(AutoShutdown::AllSignificant)
        ],
        0u32..6,
        proptest::option::of(Just(backoff)),
        proptest::option::of(Just(Duration::from_millis(700))),
        proptest::option::of(0u32..4),
    )
        .prop_map(
            |(shape, auto_shutdown, restarts, backoff, forget_after, in_a_row)| Rules {
                shape,
                intensity: Intensity::new(restarts, Duration::from_millis(2_000)),
                auto_shutdown,
                backoff,
                forget_after,
                in_a_row,
            },
        )
}

fn any_act() -> impl AnyOf<Value = Act> {
    let reason = prop_oneof![
        1 => Just(ExitReason::Normal),
        1 => Just(ExitReason::shutdown("test")),
        3 => Just(ExitReason::Killed),
    ];
    prop_oneof![
        8 => (0usize..6).prop_map(Act::Up),
        2 => (0usize..6).prop_map(Act::Fail),
        1 => (0usize..6).prop_map(Act::Ignore),
        6 => (0usize..6, reason).prop_map(|(n, reason)| Act::Die(n, reason)),
        6 => (0usize..6).prop_map(Act::Obey),
        2 => (0usize..6).prop_map(Act::Stumble),
        6 => (0u64..900).prop_map(Act::Wait),
        2 => (0usize..6, any_restart(), any_shutdown())
            .prop_map(|(n, restart, shutdown)| Act::Add(n, restart, shutdown)),
        1 => (0usize..6).prop_map(Act::Terminate),
        1 => (0usize..6).prop_map(Act::Restart),
        1 => (0usize..6).prop_map(Act::Delete),
        1 => (0usize..6).prop_map(Act::Unpark),
        4 => Just(Act::TryAgain),
        1 => Just(Act::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn whatever_happens_no_child_is_started_twice_and_everything_comes_to_rest(
        rules in any_rules(),
        children in vec((any_restart(), any_shutdown()), 0..5),
        script in vec(any_act(), 0..80),
    ) {
        let mut world = World::new(rules, &children);
        for act in &script {
            world.act(act);
        }
        world.settle();
        prop_assert!(world.asked.is_empty(), "a command was never answered");
    }

    #[test]
    fn from_anywhere_a_shutdown_is_heard_and_ends_everything_even_if_nobody_obeys(
        rules in any_rules(),
        children in vec((any_restart(), any_shutdown()), 0..5),
        script in vec(any_act(), 0..60),
    ) {
        let mut world = World::new(rules, &children);
        for act in &script {
            world.act(act);
        }
        world.act(&Act::End);
        // Children given infinite time are the only ones that must obey.
        for _ in 0..40 {
            world.act(&Act::Wait(6_000));
            let infinite = world.nth(0, |actor| matches!(actor, Actor::Asked(_)));
            if infinite.is_some() {
                world.act(&Act::Obey(0));
            }
        }
        prop_assert!(world.ended, "still there: {:?}", world.state);
    }
}

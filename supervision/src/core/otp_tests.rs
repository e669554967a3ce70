//! Ours against the model of OTP: the same script, the same things seen.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use coppice_clock::Mono;
use proptest::{collection::vec, prelude::*, strategy::Strategy as AnyOf};

use super::{
    AutoShutdown, ChildKind, ChildRules, Command, CommandError, CommandId, Effect, Input,
    Intensity, Key, Restart, Rules, Shape, Shutdown, StartId, State, Strategy,
    otp_model::{Answer, Letter, Otp, Seen},
};
use crate::{
    exit::{ExitClass, ExitReason, Failure},
    id::ChildId,
};

/// Runs the state machine in a world where starts and stops happen at once, as OTP's do.
struct Ours {
    state: Option<State>,
    /// What OTP's supervisor would learn within the call it is blocked in.
    at_once: VecDeque<Input>,
    mailbox: VecDeque<Input>,
    outcomes: Vec<VecDeque<bool>>,
    /// Current incarnation of each child, and how it ended if it did.
    alive: HashMap<Key, (StartId, Option<ExitReason>)>,
    names: HashMap<Key, usize>,
    next_key: u64,
    next_command: u64,
    now: Mono,
    seen: Vec<Seen>,
}

fn child_rules(restart: Restart) -> ChildRules {
    ChildRules {
        restart,
        shutdown: Shutdown::Timeout(Duration::from_secs(5)),
        kind: ChildKind::Worker,
        start_deadline: None,
    }
}

fn name(child: usize) -> ChildId {
    child.to_string().into()
}

fn reason(class: ExitClass) -> ExitReason {
    match class {
        ExitClass::Normal => ExitReason::Normal,
        ExitClass::Shutdown => ExitReason::shutdown("test"),
        ExitClass::Abnormal => ExitReason::Abnormal(Failure::text("test")),
    }
}

impl Ours {
    fn start(rules: Rules, children: &[Restart], outcomes: Vec<VecDeque<bool>>) -> Self {
        let keyed = children
            .iter()
            .enumerate()
            .map(|(child, restart)| (Key(child as u64), name(child), child_rules(*restart)));
        let mut ours = Self {
            state: Some(State::new(rules, keyed, 1)),
            at_once: VecDeque::new(),
            mailbox: VecDeque::from([Input::Boot]),
            outcomes,
            alive: HashMap::new(),
            names: (0..children.len()).map(|n| (Key(n as u64), n)).collect(),
            next_key: children.len() as u64,
            next_command: 0,
            now: Mono::from_millis(0),
            seen: Vec::new(),
        };
        ours.run();
        ours
    }

    fn deliver(&mut self, wait_ms: u64, letters: &[Letter]) {
        self.now = self.now + Duration::from_millis(wait_ms);
        for letter in letters {
            let command = match letter {
                Letter::Exit(child, class) => {
                    let current = self.names.iter().find(|(_, n)| *n == child);
                    if let Some((key, _)) = current
                        && let Some((start, ended @ None)) = self.alive.get_mut(key)
                    {
                        *ended = Some(reason(*class));
                        self.mailbox
                            .push_back(Input::Exited(*key, *start, reason(*class)));
                    }
                    continue;
                }
                Letter::Add(child, restart) => {
                    self.next_key += 1;
                    let key = Key(self.next_key);
                    Command::Add {
                        key,
                        id: name(*child),
                        rules: child_rules(*restart),
                    }
                }
                Letter::Terminate(child) => Command::Terminate(name(*child)),
                Letter::Restart(child) => Command::Restart(name(*child)),
                Letter::Delete(child) => Command::Delete(name(*child)),
            };
            self.next_command += 1;
            let id = CommandId(self.next_command);
            self.mailbox.push_back(Input::Command(id, command));
        }
        self.run();
    }

    fn run(&mut self) {
        while let Some(input) = self
            .at_once
            .pop_front()
            .or_else(|| self.mailbox.pop_front())
        {
            if self.seen.last() == Some(&Seen::Ended) {
                return;
            }
            if let Input::Command(_, Command::Add { key, id, .. }) = &input {
                let child = id.as_str().parse().expect("names are numbers");
                // Only if it is free does this name now stand for the new child.
                if !self.names.values().any(|n| *n == child) {
                    self.names.insert(*key, child);
                }
            }
            let state = self.state.take().expect("steps do not nest");
            let (state, effects) = state.step(input, self.now);
            self.state = Some(state);
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start { key, start, .. } => {
                let child = self.names[&key];
                let ok = self.outcomes[child].pop_front().unwrap_or(true);
                self.seen.push(Seen::Start { child, ok });
                if ok {
                    self.alive.insert(key, (start, None));
                    self.at_once.push_back(Input::Started(key, start));
                } else {
                    let failure = Failure::text("test");
                    self.at_once
                        .push_back(Input::StartFailed(key, start, failure));
                }
            }
            Effect::Stop { key } => {
                self.seen.push(Seen::Stop {
                    child: self.names[&key],
                });
                let (start, ended) = self
                    .alive
                    .remove(&key)
                    .expect("only the living are stopped");
                let reason = ended.unwrap_or(reason(ExitClass::Shutdown));
                self.at_once.push_back(Input::Exited(key, start, reason));
            }
            Effect::TryAgain { key } => self.mailbox.push_back(Input::TryAgain(key)),
            Effect::Reply { result, .. } => {
                let answer = match result {
                    Ok(()) => Answer::Ok,
                    Err(CommandError::NotFound { .. }) => Answer::NotFound,
                    Err(CommandError::AlreadyPresent { .. }) => Answer::Present,
                    Err(CommandError::Running { .. }) => Answer::Running,
                    Err(CommandError::Restarting { .. }) => Answer::Restarting,
                    Err(CommandError::StartFailed { .. }) => Answer::Failed,
                    // OTP's callers get no answer from a supervisor that has ended.
                    Err(CommandError::ShuttingDown) => return,
                    Err(other) => panic!("unexpected answer: {other}"),
                };
                self.seen.push(Seen::Answer(answer));
            }
            Effect::Removed { key } => {
                self.names.remove(&key);
            }
            Effect::End(_) => self.seen.push(Seen::Ended),
            // Stops are obeyed at once, and there is no backoff: no timer has work to do.
            Effect::Timer { .. } | Effect::Event(_) | Effect::Booted | Effect::Unsteady => {}
            Effect::CancelStart { .. } | Effect::Kill { .. } | Effect::Abandon { .. } => {
                panic!("not in this world: {effect:?}")
            }
        }
    }
}

fn any_restart() -> impl AnyOf<Value = Restart> {
    prop_oneof![
        3 => Just(Restart::Permanent),
        2 => any::<bool>().prop_map(|significant| Restart::Transient { significant }),
        1 => any::<bool>().prop_map(|significant| Restart::Temporary { significant }),
    ]
}

fn any_class() -> impl AnyOf<Value = ExitClass> {
    prop_oneof![
        1 => Just(ExitClass::Normal),
        1 => Just(ExitClass::Shutdown),
        3 => Just(ExitClass::Abnormal),
    ]
}

fn any_letter() -> impl AnyOf<Value = Letter> {
    let child = 0..CHILDREN;
    prop_oneof![
        6 => (child.clone(), any_class()).prop_map(|(child, class)| Letter::Exit(child, class)),
        1 => (child.clone(), any_restart()).prop_map(|(child, restart)| Letter::Add(child, restart)),
        1 => child.clone().prop_map(Letter::Terminate),
        1 => child.clone().prop_map(Letter::Restart),
        1 => child.prop_map(Letter::Delete),
    ]
}

/// Names in play: some exist from the start, the others may be added.
const CHILDREN: usize = 6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_same_script_shows_the_same_starts_stops_answers_and_end_as_in_otp(
        strategy in prop_oneof![
            Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)
        ],
        auto_shutdown in prop_oneof![
            Just(AutoShutdown::Never),
            Just(AutoShutdown::AnySignificant),
            Just(AutoShutdown::AllSignificant),
        ],
        intensity in 0u32..5,
        children in vec(any_restart(), 0..=4),
        outcomes in vec(vec(prop::bool::weighted(0.75), 0..8), CHILDREN),
        boots in prop::bool::weighted(0.9),
        script in vec((0u64..400, vec(any_letter(), 1..4)), 0..25),
    ) {
        let outcomes: Vec<VecDeque<bool>> = outcomes
            .into_iter()
            .map(|mut row| {
                if boots {
                    row.insert(0, true);
                }
                row.into()
            })
            .collect();
        let rules = Rules {
            shape: Shape::Ordered(strategy),
            intensity: Intensity::new(intensity, Duration::from_millis(1_000)),
            auto_shutdown,
            backoff: None,
            forget_after: None,
            in_a_row: None,
        };
        let mut otp = Otp::start(
            (strategy, auto_shutdown), (intensity, 1_000), &children, outcomes.clone(),
        );
        let mut ours = Ours::start(rules, &children, outcomes);
        for (wait_ms, letters) in &script {
            otp.deliver(*wait_ms, letters);
            ours.deliver(*wait_ms, letters);
            prop_assert_eq!(&ours.seen, &otp.seen);
        }
        prop_assert_eq!(&ours.seen, &otp.seen);
    }
}

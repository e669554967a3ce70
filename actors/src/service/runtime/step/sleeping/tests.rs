//! How a service falls asleep and wakes.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    super::{
        super::{super::RuntimePhase, phase::phase_of},
        Input, LAUNCH_DEADLINE,
    },
    *,
};
use crate::model::DesiredStatus;

const NOW: Mono = Mono::from_millis(1_000_000);
const RUNNING: State = State::Running { generation: 7 };
const ASLEEP: State = State::Asleep { generation: 7 };

/// It was given leave at [`NOW`].
fn settling() -> State {
    RUNNING.step(Input::Drowsy { generation: 7 }, NOW).0
}

fn ended(code: Option<i32>, signal: Option<i32>) -> Input {
    Input::RuntimeEnded {
        generation: 7,
        code,
        signal,
        oom_kills: None,
    }
}

fn agent(live: Option<u64>, asleep: Option<u64>) -> Input {
    Input::AgentUp {
        live,
        next: 8,
        asleep,
    }
}

/// Whether it is told to sleep by those who wait for it.
fn sleeps(state: &State) -> bool {
    phase_of(state, &RuntimePhase::Asleep) == RuntimePhase::Asleep
}

/// What is noted of a service as its end.
fn notes_an_end(effects: &[Effect]) -> bool {
    let mut all = effects.iter();
    all.any(|one| matches!(one, Effect::ClearRun | Effect::NoteStopped))
}

#[test]
fn node_that_has_nothing_to_do_gets_leave_and_its_end_is_no_death() {
    let (state, effects) = RUNNING.step(Input::Drowsy { generation: 7 }, NOW);
    assert_eq!(effects[0], Effect::GiveLeave { generation: 7 });
    for how in [
        ended(Some(0), None),
        ended(Some(1), None),
        ended(None, Some(9)),
    ] {
        let (state, effects) = state.clone().step(how, NOW);
        assert_eq!(state, ASLEEP);
        assert!(!notes_an_end(&effects));
    }
    let (state, _) = state.step(Input::RuntimeMissing { generation: 7 }, NOW);
    assert_eq!(state, ASLEEP);
}

#[test]
fn leave_is_given_only_to_the_node_of_a_main_that_is_up() {
    for (state, generation) in [
        (RUNNING, 6),
        (State::Waiting, 7),
        (
            State::Idle {
                generation: 7,
                adopted: false,
                retry_at: None,
            },
            7,
        ),
        (ASLEEP, 7),
    ] {
        let (after, effects) = state.clone().step(Input::Drowsy { generation }, NOW);
        assert_eq!((after, effects), (state, vec![Effect::RefuseLeave]));
    }
}

#[test]
fn node_that_is_asked_something_meanwhile_stays() {
    let (state, effects) = settling().step(Input::NotYet, NOW);
    assert_eq!((state, effects), (RUNNING, vec![Effect::AskDesired]));
}

#[test]
fn node_that_died_before_it_was_told_to_stay_is_woken_for_whoever_asks() {
    let (state, _) = settling().step(ended(None, Some(9)), NOW);
    let (state, effects) = state.step(Input::NotYet, NOW);
    assert_eq!(state, State::Waking { to_leave: false });
    assert_eq!(effects, [Effect::LookForAgent]);
}

#[test]
fn node_that_does_not_end_with_its_leave_is_ended_and_sleeps() {
    let (state, effects) = settling().step(Input::Wake, NOW);
    assert_eq!((state, effects), (settling(), vec![]));
    let (state, effects) = settling().step(Input::Wake, NOW + SETTLE_DEADLINE);
    assert_eq!(state, ASLEEP);
    assert_eq!(effects[0], Effect::KillGeneration { generation: 7 });
}

#[test]
fn whoever_asks_wakes_it_by_an_init_that_ends_nothing() {
    let (state, effects) = ASLEEP.step(Input::Rouse, NOW);
    assert_eq!(effects, [Effect::LookForAgent]);
    let (state, effects) = state.step(agent(None, Some(7)), NOW);
    assert_eq!(effects[0], Effect::Spawn { generation: 8 });
    assert!(!notes_an_end(&effects) && sleeps(&state));
    let (state, effects) = state.step(Input::RuntimeUp { generation: 8 }, NOW);
    assert_eq!(effects[0], Effect::CallInit);
    let (state, effects) = state.step(Input::InitDone(Ok(())), NOW);
    assert!(!notes_an_end(&effects) && !sleeps(&state));
    let (_, effects) = state.step(Input::Desired(DesiredStatus::Running), NOW);
    assert_eq!(effects[0], Effect::CallStart);
}

#[test]
fn whoever_asks_while_it_falls_asleep_is_answered_by_the_next() {
    let (state, _) = settling().step(Input::Rouse, NOW);
    let (state, effects) = state.step(ended(Some(0), None), NOW);
    assert_eq!(state, State::Waking { to_leave: false });
    assert!(effects.contains(&Effect::LookForAgent));
}

#[test]
fn a_sleeping_service_that_is_not_wanted_as_it_is_wakes_and_is_stopped() {
    let restart = DesiredStatus::Restarting {
        restart_again: false,
    };
    for wish in [DesiredStatus::Stopped, restart] {
        let (state, _) = ASLEEP.step(Input::Desired(wish), NOW);
        let (state, _) = state.step(agent(None, None), NOW);
        let (state, _) = state.step(Input::RuntimeUp { generation: 8 }, NOW);
        let (state, _) = state.step(Input::InitDone(Ok(())), NOW);
        let (_, effects) = state.step(Input::Desired(wish), NOW);
        assert_eq!(effects[0], Effect::CallStop);
    }
    let (state, effects) = ASLEEP.step(Input::Desired(DesiredStatus::Running), NOW);
    assert_eq!((state, effects), (ASLEEP, vec![]));
}

#[test]
fn a_sleeping_service_is_uninitialised_like_any_other() {
    let woken = |to_leave| Origin::Woken { to_leave };
    let deadline = NOW + LAUNCH_DEADLINE;
    let generation = 8;
    for (before, origin) in [
        (ASLEEP, None),
        (State::Waking { to_leave: false }, None),
        (
            State::Launching {
                generation,
                origin: woken(false),
                deadline,
            },
            Some(8),
        ),
        (
            State::Initialising {
                generation,
                origin: woken(false),
                deadline,
            },
            Some(8),
        ),
    ] {
        let (mut state, _) = before.step(Input::Exit, NOW);
        if origin.is_none() {
            state = state.step(agent(None, None), NOW).0;
        }
        let (state, _) = state.step(Input::RuntimeUp { generation }, NOW);
        let (state, effects) = state.step(Input::InitDone(Ok(())), NOW);
        assert!(matches!(state, State::Exiting { .. }), "{state:?}");
        assert_eq!(effects[0], Effect::CallExit);
    }
    let (state, _) = settling().step(Input::Exit, NOW);
    let (state, _) = state.step(ended(Some(0), None), NOW);
    assert_eq!(state, State::Waking { to_leave: true });
    let (state, _) = settling().step(Input::Exit, NOW);
    assert_eq!(state.step(Input::NotYet, NOW).1[0], Effect::CallExit);
}

#[test]
fn one_that_is_to_leave_and_does_not_wake_fails_while_it_is_waited_for() {
    let waking = |to_leave| State::Waking { to_leave }.step(agent(None, None), NOW).0;
    let initialising = |to_leave| {
        let launched = waking(to_leave);
        launched.step(Input::RuntimeUp { generation: 8 }, NOW).0
    };
    for state in [
        initialising(true),
        initialising(false).step(Input::Exit, NOW).0,
    ] {
        let (state, _) = state.step(Input::Wake, NOW + LEAVE_DEADLINE);
        assert!(matches!(state, State::Failed(_)), "{state:?}");
    }
}

#[test]
fn a_core_that_comes_back_leaves_a_sleeping_service_asleep() {
    let (state, effects) = State::Waiting.step(agent(None, Some(7)), NOW);
    assert_eq!((state, effects), (ASLEEP, vec![Effect::AskDesired]));
    // In another container nothing of it runs.
    let (_, effects) = State::Waiting.step(agent(None, None), NOW);
    assert_eq!(effects[0], Effect::ClearRun);
    // It was killed while Node fell asleep, or came back.
    let (state, effects) = State::Waiting.step(agent(Some(7), Some(7)), NOW);
    assert_eq!(state.generation(), Some(7));
    assert!(!notes_an_end(&effects));
}

#[test]
fn a_sleeper_that_does_not_wake_has_failed_and_is_noted_as_stopped() {
    let launching = || {
        let (state, _) = ASLEEP.step(Input::Rouse, NOW);
        state.step(agent(None, None), NOW).0
    };
    let initialising = launching().step(Input::RuntimeUp { generation: 8 }, NOW).0;
    for (state, input, at) in [
        (launching(), Input::Wake, NOW + LAUNCH_DEADLINE),
        (launching(), Input::SpawnFailed("no".into()), NOW),
        (initialising, Input::InitDone(Err("no".into())), NOW),
    ] {
        let (state, effects) = state.step(input, at);
        assert!(matches!(state, State::Failed(_)), "{state:?}");
        assert!(effects.contains(&Effect::NoteStopped));
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let wish = |restart_again| DesiredStatus::Restarting { restart_again };
    prop_oneof![
        Just(Input::Drowsy { generation: 7 }),
        Just(Input::NotYet),
        Just(Input::Rouse),
        Just(Input::Desired(DesiredStatus::Running)),
        any::<bool>().prop_map(move |again| Input::Desired(wish(again))),
        Just(ended(Some(0), None)),
        Just(ended(None, Some(9))),
        Just(Input::RuntimeMissing { generation: 7 }),
        Just(agent(None, Some(7))),
        Just(Input::Release),
        Just(Input::Wake),
    ]
}

proptest! {
    #[test]
    fn from_the_leave_to_the_next_init_nothing_is_noted_as_ended(
        script in prop::collection::vec((any_input(), 0u64..20_000), 0..32),
    ) {
        let (mut state, mut now) = (settling(), NOW);
        for (input, wait) in script {
            now = now + Duration::from_millis(wait);
            let slept = matches!(state, State::Settling { .. } | State::Asleep { .. } | State::Waking { .. });
            let (next, effects) = state.step(input, now);
            if slept { prop_assert!(!notes_an_end(&effects)); }
            state = next;
        }
    }
}

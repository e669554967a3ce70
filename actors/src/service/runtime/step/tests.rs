use proptest::prelude::*;

use super::*;
use crate::model::DesiredStatus;

const NOW: Mono = Mono::from_millis(1_000_000);

fn launched() -> State {
    State::Waiting
        .step(
            Input::AgentUp {
                live: None,
                next: 7,
                asleep: None,
            },
            NOW,
        )
        .0
}

fn idle() -> State {
    let (state, _) = launched().step(Input::RuntimeUp { generation: 7 }, NOW);
    state.step(Input::InitDone(Ok(())), NOW).0
}

fn running() -> State {
    let (state, _) = idle().step(Input::Desired(DesiredStatus::Running), NOW);
    state.step(Input::StartDone(Ok(())), NOW).0
}

#[test]
fn a_new_container_gets_a_new_generation_and_forgets_what_ran_before() {
    let (state, effects) = State::Waiting.step(
        Input::AgentUp {
            live: None,
            next: 7,
            asleep: None,
        },
        NOW,
    );
    assert_eq!(state.generation(), Some(7));
    assert_eq!(
        effects[..2],
        [Effect::ClearRun, Effect::Spawn { generation: 7 }]
    );
}

#[test]
fn a_runtime_that_lives_is_adopted_and_not_started_again() {
    let (state, effects) = State::Waiting.step(
        Input::AgentUp {
            live: Some(4),
            next: 5,
            asleep: None,
        },
        NOW,
    );
    assert_eq!(state.generation(), Some(4));
    assert!(
        !effects
            .iter()
            .any(|one| matches!(one, Effect::Spawn { .. } | Effect::ClearRun))
    );
}

#[test]
fn a_main_that_was_adopted_is_stopped_when_running_is_not_what_is_wanted() {
    let adopted = || {
        let live = Input::AgentUp {
            live: Some(4),
            next: 5,
            asleep: None,
        };
        let (state, _) = State::Waiting.step(live, NOW);
        let (state, _) = state.step(Input::RuntimeUp { generation: 4 }, NOW);
        state.step(Input::InitDone(Ok(())), NOW).0
    };
    let restart = DesiredStatus::Restarting {
        restart_again: false,
    };
    for wish in [DesiredStatus::Stopped, restart] {
        let (state, effects) = adopted().step(Input::Desired(wish), NOW);
        assert_eq!(effects[0], Effect::CallStop);
        let (state, _) = state.step(Input::StopDone(Ok(())), NOW);
        // Once is enough.
        let (_, effects) = state.step(Input::Desired(wish), NOW);
        assert!(!effects.contains(&Effect::CallStop));
    }
    let (_, effects) = adopted().step(Input::Desired(DesiredStatus::Running), NOW);
    assert_eq!(effects[0], Effect::CallStart);
}

#[test]
fn init_comes_before_any_start() {
    let (state, effects) = launched().step(Input::Desired(DesiredStatus::Running), NOW);
    assert!(effects.is_empty());
    let (state, effects) = state.step(Input::RuntimeUp { generation: 7 }, NOW);
    assert_eq!(effects[0], Effect::CallInit);
    let (state, effects) = state.step(Input::InitDone(Ok(())), NOW);
    assert!(effects.contains(&Effect::AskDesired));
    let (_, effects) = state.step(Input::Desired(DesiredStatus::Running), NOW);
    assert_eq!(effects[0], Effect::CallStart);
}

#[test]
fn a_hello_of_an_older_generation_is_ignored() {
    let (state, effects) = launched().step(Input::RuntimeUp { generation: 6 }, NOW);
    assert_eq!((state, effects.len()), (launched(), 0));
}

#[test]
fn a_failed_start_is_tried_again_after_ten_seconds_while_running_is_wanted() {
    let (state, _) = idle().step(Input::Desired(DesiredStatus::Running), NOW);
    let (state, effects) = state.step(Input::StartDone(Err("no".into())), NOW);
    assert!(effects.contains(&Effect::WakeAt(NOW + START_RETRY)));
    let (state, effects) = state.step(Input::Wake, NOW + Duration::from_secs(9));
    assert!(effects.is_empty());
    let (_, effects) = state.step(Input::Wake, NOW + START_RETRY);
    assert_eq!(effects, [Effect::AskDesired]);
}

#[test]
fn a_stop_during_a_start_is_obeyed_at_once() {
    let (state, _) = idle().step(Input::Desired(DesiredStatus::Running), NOW);
    let (state, effects) = state.step(Input::Desired(DesiredStatus::Stopped), NOW);
    assert_eq!(effects[0], Effect::CallStop);
    assert!(matches!(state, State::Stopping { .. }));
}

#[test]
fn a_restart_asked_during_a_start_lets_the_start_end_first() {
    let again = DesiredStatus::Restarting {
        restart_again: true,
    };
    let (state, _) = idle().step(Input::Desired(DesiredStatus::Running), NOW);
    let (state, effects) = state.step(Input::Desired(again), NOW);
    assert!(effects.is_empty());
    let (state, _) = state.step(Input::StartDone(Ok(())), NOW);
    let once = DesiredStatus::Restarting {
        restart_again: false,
    };
    let (state, effects) = state.step(Input::Desired(once), NOW);
    assert_eq!(effects[0], Effect::CallStop);
    let (state, _) = state.step(Input::StopDone(Ok(())), NOW);
    let (_, effects) = state.step(Input::Desired(once), NOW);
    assert_eq!(effects[0], Effect::CallStart);
}

#[test]
fn the_death_of_node_ends_the_actor_and_kills_what_its_generation_left() {
    let (state, effects) = running().step(
        Input::RuntimeEnded {
            generation: 7,
            code: None,
            signal: Some(9),
            oom_kills: None,
        },
        NOW,
    );
    assert_eq!(
        state,
        State::Failed(Failure::Ended {
            code: None,
            signal: Some(9),
            oom_kills: None,
        })
    );
    assert_eq!(
        effects,
        [
            Effect::KillGeneration { generation: 7 },
            Effect::NoteStopped
        ]
    );
}

#[test]
fn a_runtime_that_missed_its_deadline_is_not_shown_as_running() {
    let (state, _) = running().step(Input::Desired(DesiredStatus::Stopped), NOW);
    let (state, effects) = state.step(Input::Wake, NOW + STOP_DEADLINE);
    assert!(matches!(state, State::Failed(Failure::Deadline(_))));
    assert!(effects.contains(&Effect::NoteStopped));
}

#[test]
fn the_wish_is_not_read_between_a_start_and_its_note() {
    let restarting = DesiredStatus::Restarting {
        restart_again: false,
    };
    let (state, _) = running().step(Input::Desired(restarting), NOW);
    let (state, _) = state.step(Input::StopDone(Ok(())), NOW);
    let (state, effects) = state.step(Input::Desired(restarting), NOW);
    assert_eq!(effects[0], Effect::CallStart);
    let (state, effects) = state.step(Input::StartDone(Ok(())), NOW);
    assert_eq!(effects, [Effect::ClearError, Effect::NoteStarted]);
    // What the shell sends when the note is durable.
    let (state, effects) = state.step(Input::Desired(DesiredStatus::Running), NOW);
    assert_eq!(
        (state, effects.len()),
        (State::Running { generation: 7 }, 0)
    );
}

#[test]
fn the_end_of_an_older_generation_changes_nothing() {
    let before = running();
    let (state, effects) = before.clone().step(
        Input::RuntimeEnded {
            generation: 3,
            code: Some(0),
            signal: None,
            oom_kills: None,
        },
        NOW,
    );
    assert_eq!((state, effects.len()), (before, 0));
}

#[test]
fn uninit_runs_from_rest_and_its_end_is_the_end() {
    let (state, effects) = running().step(Input::Exit, NOW);
    assert_eq!(effects[0], Effect::CallExit);
    let (state, _) = state.step(Input::ExitDone(Ok(())), NOW);
    assert_eq!(state, State::Exited);
}

#[test]
fn what_fails_at_the_end_is_told_apart_from_what_does_not_come_up() {
    let (stopping, _) = running().step(Input::Desired(DesiredStatus::Stopped), NOW);
    let (state, _) = stopping.step(Input::StopDone(Err("busy".into())), NOW);
    assert_eq!(state, State::Failed(Failure::Stop("busy".into())));
    let (exiting, _) = running().step(Input::Exit, NOW);
    let (state, _) = exiting.step(Input::ExitDone(Err("no".into())), NOW);
    assert_eq!(state, State::Failed(Failure::Uninit("no".into())));
}

#[test]
fn a_runtime_that_the_agent_does_not_know_is_over_but_one_on_its_way_up_is_not() {
    let missing = || Input::RuntimeMissing { generation: 7 };
    let (state, effects) = running().step(missing(), NOW);
    assert_eq!(state, State::Failed(Failure::Vanished));
    assert!(effects.contains(&Effect::NoteStopped));
    assert!(matches!(
        idle().step(missing(), NOW).0,
        State::Failed(Failure::Vanished)
    ));
    assert_eq!(launched().step(missing(), NOW).0, launched());
    let other = Input::RuntimeMissing { generation: 6 };
    assert_eq!(running().step(other, NOW).0, running());
}

/// Held after the death of Node, and after a `start` that failed.
fn held() -> [State; 2] {
    let ended = Input::RuntimeEnded {
        generation: 7,
        code: Some(1),
        signal: None,
        oom_kills: None,
    };
    let (dead, _) = running().step(ended, NOW);
    let (starting, _) = idle().step(Input::Desired(DesiredStatus::Running), NOW);
    let (refused, _) = starting.step(Input::StartDone(Err("no".into())), NOW);
    [dead, refused].map(|state| state.step(Input::Hold, NOW).0)
}

#[test]
fn only_what_failed_can_be_held() {
    assert_eq!(
        held(),
        [
            State::Held { generation: None },
            State::Held {
                generation: Some(7)
            }
        ]
    );
    for state in [State::Waiting, launched(), idle(), running(), State::Exited] {
        assert_eq!(state.clone().step(Input::Hold, NOW).0, state);
    }
}

#[test]
fn a_release_begins_where_it_failed() {
    let [dead, refused] = held();
    let (state, effects) = dead.step(Input::Release, NOW);
    assert_eq!(
        (state, effects),
        (State::Waiting, vec![Effect::LookForAgent])
    );
    let (state, effects) = refused.step(Input::Release, NOW);
    assert_eq!((state, effects), (idle(), vec![Effect::AskDesired]));
    assert_eq!(running().step(Input::Release, NOW), (running(), vec![]));
}

#[test]
fn a_wish_lets_go_of_what_is_held() {
    let [dead, refused] = held();
    for wish in [DesiredStatus::Running, DesiredStatus::Stopped] {
        let (state, effects) = dead.clone().step(Input::Desired(wish), NOW);
        assert_eq!(
            (state, effects),
            (State::Waiting, vec![Effect::LookForAgent])
        );
    }
    let (_, effects) = refused
        .clone()
        .step(Input::Desired(DesiredStatus::Running), NOW);
    assert_eq!(effects[0], Effect::CallStart);
    let (state, effects) = refused.step(Input::Desired(DesiredStatus::Stopped), NOW);
    assert_eq!((state, effects.len()), (idle(), 0));
}

#[test]
fn what_is_held_can_be_removed() {
    let [dead, refused] = held();
    assert_eq!(dead.step(Input::Exit, NOW).0, State::Exited);
    assert_eq!(refused.step(Input::Exit, NOW).1[0], Effect::CallExit);
}

#[test]
fn node_that_dies_while_main_is_held_has_failed_once_more() {
    let [_, refused] = held();
    let ended = Input::RuntimeEnded {
        generation: 7,
        code: None,
        signal: Some(9),
        oom_kills: Some(2),
    };
    let (state, _) = refused.step(ended, NOW);
    let State::Failed(failure) = state else {
        panic!("{state:?}");
    };
    assert_eq!(failure.cause(), crate::model::Cause::Oom { kills: 2 });
}

fn any_desired() -> impl Strategy<Value = DesiredStatus> {
    prop_oneof![
        Just(DesiredStatus::Stopped),
        Just(DesiredStatus::Running),
        any::<bool>().prop_map(|restart_again| DesiredStatus::Restarting { restart_again }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let result = || prop_oneof![Just(Ok(())), Just(Err("no".to_owned()))];
    prop_oneof![
        Just(Input::AgentUp {
            live: None,
            next: 7,
            asleep: None,
        }),
        Just(Input::AgentUp {
            live: None,
            next: 7,
            asleep: Some(6),
        }),
        Just(Input::AgentUp {
            live: Some(7),
            next: 8,
            asleep: None,
        }),
        Just(Input::SpawnFailed("no".into())),
        (6u64..8).prop_map(|generation| Input::RuntimeUp { generation }),
        (6u64..8).prop_map(|generation| Input::RuntimeEnded {
            generation,
            code: Some(1),
            signal: None,
            oom_kills: None,
        }),
        (6u64..8).prop_map(|generation| Input::RuntimeMissing { generation }),
        result().prop_map(Input::InitDone),
        result().prop_map(Input::StartDone),
        result().prop_map(Input::StopDone),
        result().prop_map(Input::ExitDone),
        (6u64..8).prop_map(|generation| Input::Drowsy { generation }),
        Just(Input::NotYet),
        Just(Input::Rouse),
        Just(Input::Exit),
        any_desired().prop_map(Input::Desired),
        Just(Input::Hold),
        Just(Input::Release),
        Just(Input::Wake),
    ]
}

proptest! {
    #[test]
    fn start_is_never_asked_before_init_answered(script in prop::collection::vec((any_input(), 0u64..900_000), 0..64)) {
        let (mut state, mut now, mut initialised) = (State::Waiting, NOW, false);
        for (input, wait) in script {
            now = now + Duration::from_millis(wait);
            let ok = matches!((&state, &input), (State::Initialising { .. }, Input::InitDone(Ok(()))));
            let (next, effects) = state.step(input, now);
            initialised |= ok;
            initialised &= !matches!(
                next,
                State::Waiting | State::Waking { .. } | State::Launching { .. }
            );
            if effects.contains(&Effect::CallStart) { prop_assert!(initialised); }
            state = next;
        }
    }

    #[test]
    fn what_is_held_is_left_alone_until_it_is_released_or_somebody_wishes(
        script in prop::collection::vec((any_input(), 0u64..900_000), 0..64),
    ) {
        let (mut state, mut now) = (State::Waiting, NOW);
        for (input, wait) in script {
            now = now + Duration::from_millis(wait);
            let was_held = matches!(state, State::Held { .. });
            let freed = matches!(input, Input::Release | Input::Desired(_) | Input::Exit);
            let (next, effects) = state.step(input, now);
            let tries = |one: &Effect| matches!(
                one,
                Effect::Spawn { .. } | Effect::CallInit | Effect::CallStart | Effect::LookForAgent | Effect::AskDesired
            );
            if was_held && !freed { prop_assert!(!effects.iter().any(tries)); }
            let is_held = matches!(next, State::Held { .. });
            prop_assert!(!(was_held && freed && is_held));
            state = next;
        }
    }

    #[test]
    fn from_every_state_rest_or_failure_is_reached_by_time_alone(
        script in prop::collection::vec((any_input(), 0u64..900_000), 0..64),
    ) {
        let (mut state, mut now) = (State::Waiting, NOW);
        for (input, wait) in script {
            now = now + Duration::from_millis(wait);
            state = state.step(input, now).0;
        }
        if let Some((deadline, _)) = state.deadline() {
            let (later, _) = state.step(Input::Wake, deadline);
            let sleeps = matches!(later, State::Asleep { .. } | State::Waking { .. });
            prop_assert!(sleeps || matches!(later, State::Failed(_)));
        }
    }

    #[test]
    fn every_deadline_has_a_wake_up_call(script in prop::collection::vec((any_input(), 0u64..900_000), 0..64)) {
        let (mut state, mut now) = (State::Waiting, NOW);
        let mut wakes = Vec::new();
        for (input, wait) in script {
            now = now + Duration::from_millis(wait);
            let (next, effects) = state.step(input, now);
            wakes.extend(effects.into_iter().filter_map(|one| match one {
                Effect::WakeAt(at) => Some(at),
                _ => None,
            }));
            if let Some((deadline, _)) = next.deadline() { prop_assert!(wakes.contains(&deadline)); }
            state = next;
        }
    }
}

//! The life of a daemon, by examples and by random scripts.

use proptest::{collection::vec, prelude::*};

use super::*;

const NOW: Mono = Mono::from_millis(1_000);
const GRACE: Duration = Duration::from_secs(5);
const STOP: Input = Input::Stop { grace: GRACE };

fn up() -> State {
    let (waiting, _) = State::begin(None, NOW);
    let (starting, effects) = waiting.step(Input::Agent, NOW);
    assert!(effects.contains(&Effect::Spawn));
    let (up, effects) = starting.step(Input::Spawned(Ok(7)), NOW);
    assert_eq!(effects, [Effect::TellUp]);
    up
}

fn exited(pid: i32) -> Input {
    Input::Exited {
        pid: Some(pid),
        how: End::Signal(9),
    }
}

#[test]
fn a_daemon_that_dies_fails_with_how_it_ended_and_how_long_it_ran() {
    let (state, effects) = up().step(exited(7), NOW + GRACE);
    let how = End::Signal(9);
    assert_eq!(state, State::Failed(Failure::Ended { how, ran: GRACE }));
    assert!(effects.is_empty());
}

#[test]
fn the_death_of_an_earlier_process_is_not_taken_for_its_own() {
    assert_eq!(up().step(exited(6), NOW).0, up());
    let (starting, _) = State::begin(None, NOW).0.step(Input::Agent, NOW);
    let (starting, _) = starting.step(exited(6), NOW);
    assert_eq!(starting.step(Input::Spawned(Ok(7)), NOW).0, up());
}

#[test]
fn a_daemon_whose_death_is_reported_before_its_start_was_answered_has_failed() {
    let (starting, _) = State::begin(None, NOW).0.step(Input::Agent, NOW);
    let (starting, _) = starting.step(exited(7), NOW);
    let (state, _) = starting.step(Input::Spawned(Ok(7)), NOW);
    assert!(matches!(state, State::Failed(Failure::Ended { .. })));
}

#[test]
fn an_agent_that_hangs_up_is_asked_again_and_one_that_refuses_is_not() {
    let (starting, _) = State::begin(None, NOW).0.step(Input::Agent, NOW);
    let lost = Input::Spawned(Err(NotSpawned::Lost));
    assert!(matches!(
        starting.clone().step(lost, NOW).0,
        State::Waiting { .. }
    ));
    let refused = Input::Spawned(Err(NotSpawned::Refused("no".into())));
    let failed = State::Failed(Failure::Start("no".into()));
    assert_eq!(starting.step(refused, NOW).0, failed);
}

#[test]
fn a_stop_asks_waits_and_then_kills() {
    let (state, effects) = up().step(STOP, NOW);
    assert_eq!(effects[0], Effect::Signal(SIGTERM));
    let (state, effects) = state.step(Input::Wake, NOW + GRACE / 2);
    assert!(effects.is_empty(), "it has its grace");
    let (state, effects) = state.step(Input::Wake, NOW + GRACE);
    assert_eq!(effects[0], Effect::Signal(SIGKILL));
    let (late, _) = state.clone().step(Input::Wake, NOW + GRACE + KILL_DEADLINE);
    assert!(matches!(late, State::Failed(Failure::Deadline(_))));
    let (state, effects) = state.step(exited(7), NOW + GRACE);
    assert_eq!((state, effects), (State::Gone, vec![Effect::TellGone]));
}

#[test]
fn one_that_is_stopped_while_it_starts_is_ended_as_soon_as_it_is_there() {
    let (starting, _) = State::begin(None, NOW).0.step(Input::Agent, NOW);
    let (starting, effects) = starting.step(STOP, NOW);
    assert!(effects.is_empty(), "the spawn is on its way");
    let (state, effects) = starting.step(Input::Spawned(Ok(7)), NOW);
    assert_eq!(effects[0], Effect::Signal(SIGTERM));
    let (state, _) = state.step(Input::NotThere, NOW);
    assert_eq!(state, State::Gone);
}

#[test]
fn a_new_actor_of_a_daemon_that_is_to_be_ended_ends_it_and_starts_nothing() {
    let (state, effects) = State::begin(Some(GRACE), NOW);
    assert_eq!(effects, [Effect::WakeAt(NOW + GRACE)]);
    let (_, effects) = state.step(Input::Agent, NOW);
    assert_eq!(effects, [Effect::Signal(SIGTERM)], "once");
}

fn any_input() -> impl Strategy<Value = Input> {
    let pid = 7..9;
    prop_oneof![
        Just(Input::Agent),
        pid.clone().prop_map(|pid| Input::Spawned(Ok(pid))),
        Just(Input::Spawned(Err(NotSpawned::Lost))),
        Just(Input::Spawned(Err(NotSpawned::Refused(String::new())))),
        proptest::option::of(pid).prop_map(|pid| Input::Exited {
            pid,
            how: End::Code(1)
        }),
        Just(Input::NotThere),
        Just(STOP),
        Just(Input::Wake),
    ]
}

proptest! {
    #[test]
    fn nothing_is_spawned_over_a_living_process_or_after_a_stop(
        script in vec((any_input(), 0u64..40_000), 0..64)
    ) {
        let (mut state, _) = State::begin(None, NOW);
        let (mut now, mut stopped) = (NOW, false);
        for (input, later) in script {
            now = now + Duration::from_millis(later);
            stopped |= matches!(input, Input::Stop { .. });
            let lived = matches!(state, State::Up { .. });
            let (next, effects) = state.step(input, now);
            if effects.contains(&Effect::Spawn) {
                prop_assert!(!lived && !stopped, "{next:?}");
            }
            state = next;
        }
    }

    #[test]
    fn from_every_state_time_alone_leads_to_rest(script in vec(any_input(), 0..16)) {
        let (mut state, _) = State::begin(None, NOW);
        for input in script {
            state = state.step(input, NOW).0;
        }
        let mut now = NOW;
        for _ in 0..4 {
            now = now + START_DEADLINE;
            state = state.step(Input::Wake, now).0;
        }
        let rests = matches!(state, State::Up { .. } | State::Gone | State::Failed(_));
        prop_assert!(rests, "{state:?}");
    }
}

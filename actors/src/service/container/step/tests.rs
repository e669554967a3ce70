use proptest::prelude::*;

use super::*;

const NOW: Mono = Mono::from_millis(5_000);

fn creating() -> State {
    State::begin(false, NOW)
        .0
        .step(Input::Looked(Ok(false)), NOW)
        .0
}

#[test]
fn a_running_container_is_adopted_and_not_made_again() {
    let (state, effects) = State::begin(false, NOW)
        .0
        .step(Input::Looked(Ok(true)), NOW);
    assert_eq!(
        (state, effects),
        (State::Up { since: NOW }, vec![Effect::Announce])
    );
}

#[test]
fn a_container_that_ends_by_itself_ends_its_actor_with_the_time_it_ran() {
    let (up, _) = creating().step(Input::Created(Ok(())), NOW);
    let later = NOW + Duration::from_secs(9);
    let (state, _) = up.step(
        Input::Ended {
            how: Ending::Signal(9),
        },
        later,
    );
    let failure = Failure::Ended {
        how: Ending::Signal(9),
        ran: Duration::from_secs(9),
    };
    assert_eq!(state, State::Failed(failure));
}

#[test]
fn a_stop_while_it_is_being_made_removes_it() {
    let grace = Duration::from_secs(5);
    let (state, effects) = creating().step(Input::Stop { grace }, NOW);
    assert_eq!(effects[0], Effect::Destroy { grace });
    // It is made to its end first, however long that takes.
    let deadline = NOW + CREATE_DEADLINE + grace + DESTROY_DEADLINE;
    assert_eq!(state, State::Stopping { deadline });
    let (state, effects) = state.step(Input::Created(Ok(())), NOW);
    assert!(effects.is_empty());
    let (state, effects) = state.step(Input::Destroyed(Ok(())), NOW);
    assert_eq!((state, effects), (State::Gone, vec![Effect::AnnounceGone]));
}

#[test]
fn stopping_what_is_gone_is_fine() {
    let stop = Input::Stop {
        grace: Duration::ZERO,
    };
    assert_eq!(
        State::Gone.step(stop, NOW),
        (State::Gone, vec![Effect::AnnounceGone])
    );
}

#[test]
fn a_condemned_container_is_removed_before_the_next_is_made_and_never_adopted() {
    let (state, effects) = State::begin(true, NOW);
    let clear = Effect::Clear {
        grace: CLEARING_GRACE,
    };
    assert_eq!(effects[0], clear);
    assert!(!effects.contains(&Effect::Look));
    let (state, effects) = state.step(Input::Looked(Ok(true)), NOW);
    assert!(effects.is_empty(), "an answer to nobody's question");
    let (state, effects) = state.step(Input::Cleared(Ok(())), NOW);
    assert!(matches!(state, State::Creating { .. }));
    assert_eq!(effects[0], Effect::Create);
}

#[test]
fn what_dials_from_a_condemned_container_is_not_heard() {
    assert!(!State::begin(true, NOW).0.takes_connections());
    assert!(State::begin(false, NOW).0.takes_connections());
    assert!(creating().takes_connections());
}

#[test]
fn a_condemned_container_that_cannot_be_removed_is_not_replaced() {
    let (state, effects) = State::begin(true, NOW)
        .0
        .step(Input::Cleared(Err("busy".into())), NOW);
    assert_eq!(state, State::Failed(Failure::Destroy("busy".into())));
    assert!(effects.is_empty());
}

#[test]
fn a_stop_while_the_condemned_container_is_removed_makes_no_new_one() {
    let grace = Duration::from_secs(5);
    let (state, effects) = State::begin(true, NOW).0.step(Input::Stop { grace }, NOW);
    assert_eq!(effects[0], Effect::Destroy { grace });
    // The first removal ends before the second begins.
    let deadline = NOW + CLEARING_GRACE + DESTROY_DEADLINE + grace + DESTROY_DEADLINE;
    assert_eq!(state, State::Stopping { deadline });
    let (state, effects) = state.step(Input::Cleared(Ok(())), NOW);
    assert!(effects.is_empty());
    let (state, _) = state.step(Input::Destroyed(Ok(())), NOW);
    assert_eq!(state, State::Gone);
}

#[test]
fn what_could_not_be_looked_at_may_run_and_is_never_held() {
    let looking = State::begin(false, NOW).0;
    let (failed, _) = looking.step(Input::Looked(Err("busy".into())), NOW);
    let (still, _) = failed.clone().step(Input::Hold, NOW);
    assert_eq!(failed, State::Failed(Failure::Look("busy".into())));
    assert_eq!(still, failed);
}

#[test]
fn what_could_not_be_made_is_held_and_looked_at_anew_when_it_is_released() {
    let (failed, _) = creating().step(Input::Created(Err("no room".into())), NOW);
    let (held, effects) = failed.step(Input::Hold, NOW);
    assert_eq!((&held, effects.len()), (&State::Held, 0));
    assert!(held.deadline().is_none() && !held.takes_connections());
    let (late, _) = held.clone().step(Input::Created(Ok(())), NOW);
    assert_eq!(late, State::Held);
    let (state, effects) = held.clone().step(Input::Release, NOW);
    assert!(matches!(state, State::Looking { .. }));
    assert_eq!(effects[0], Effect::Look);
    let grace = Duration::from_secs(5);
    let (state, effects) = held.step(Input::Stop { grace }, NOW);
    assert!(matches!(state, State::Stopping { .. }));
    assert_eq!(effects[0], Effect::Destroy { grace });
}

#[test]
fn a_container_that_ended_is_never_held() {
    let (up, _) = creating().step(Input::Created(Ok(())), NOW);
    let ended = Input::Ended {
        how: Ending::Code(0),
    };
    let (failed, _) = up.step(ended, NOW);
    assert_eq!(failed.clone().step(Input::Hold, NOW).0, failed);
}

fn any_input() -> impl Strategy<Value = Input> {
    let result = || prop_oneof![Just(Ok(())), Just(Err("no".to_owned()))];
    prop_oneof![
        prop_oneof![Just(Ok(true)), Just(Ok(false)), Just(Err("no".to_owned()))]
            .prop_map(Input::Looked),
        result().prop_map(Input::Cleared),
        result().prop_map(Input::Created),
        Just(Input::Ended {
            how: Ending::Code(0)
        }),
        (0u64..60).prop_map(|secs| Input::Stop {
            grace: Duration::from_secs(secs)
        }),
        result().prop_map(Input::Destroyed),
        Just(Input::Hold),
        Just(Input::Release),
        Just(Input::Wake),
    ]
}

proptest! {
    #[test]
    fn a_container_is_made_at_most_once_and_never_after_it_was_found(
        condemned in any::<bool>(),
        script in prop::collection::vec((any_input(), 0u64..200_000), 0..64),
    ) {
        let (mut state, _) = State::begin(condemned, NOW);
        let (mut now, mut created, mut found) = (NOW, 0, false);
        for (input, wait) in script {
            now = now + Duration::from_millis(wait);
            found |= matches!((&state, &input), (State::Looking { .. }, Input::Looked(Ok(true))));
            let (next, effects) = state.step(input, now);
            created += effects.iter().filter(|one| **one == Effect::Create).count();
            prop_assert!(created <= 1 && !(found && created > 0));
            // What could not be made is made anew.
            if next == State::Held { created = 0; }
            state = next;
        }
        if let Some((deadline, _)) = state.deadline() {
            prop_assert!(matches!(state.step(Input::Wake, deadline).0, State::Failed(_)));
        }
    }
}

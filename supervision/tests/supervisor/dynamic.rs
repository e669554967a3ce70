//! Dynamic supervisors, and parking.

use std::time::Duration;

use coppice_supervision::{
    Backoff, ChildSpec, ChildState, CommandError, Decision, ExitReason, Intensity, Parking,
    ShutdownDetail, Supervisor, SupervisorSpec, What,
};

use super::kit::{Do, Stage, Start, exited, failure, is_start_of, settle};

const MINUTE: Duration = Duration::from_secs(60);

fn parking() -> Parking {
    Parking {
        intensity: Intensity::new(1, MINUTE),
        probe: Backoff {
            first: MINUTE,
            factor: 2,
            max: 8 * MINUTE,
            jitter_percent: 0,
        },
        proven: MINUTE,
    }
}

async fn parked(stage: &Stage) -> Supervisor {
    let (supervisor, _ended) = stage.up(SupervisorSpec::parking("root", parking())).await;
    supervisor.add(stage.child("a")).await.unwrap();
    supervisor.add(stage.child("b")).await.unwrap();
    stage.exit("a", failure("first")).await;
    settle().await;
    stage.exit("a", failure("second")).await;
    supervisor
}

async fn state_of(supervisor: &Supervisor, child: &str) -> ChildState {
    let children = supervisor.which_children().await.unwrap().children;
    children
        .into_iter()
        .find(|info| info.id.as_str() == child)
        .unwrap()
        .state
}

#[tokio::test(start_paused = true)]
async fn a_child_of_a_dynamic_supervisor_is_gone_once_terminated() {
    let stage = Stage::default();
    let (supervisor, _ended) = stage.up(SupervisorSpec::dynamic("root")).await;
    supervisor.add(stage.child("a")).await.unwrap();
    supervisor.terminate("a").await.unwrap();
    assert!(
        supervisor
            .which_children()
            .await
            .unwrap()
            .children
            .is_empty()
    );
    supervisor.add(stage.child("a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn children_of_a_dynamic_supervisor_share_its_intensity() {
    let stage = Stage::default();
    let (supervisor, ended) = stage.up(SupervisorSpec::dynamic("root")).await;
    supervisor.add(stage.child("a")).await.unwrap();
    supervisor.add(stage.child("b")).await.unwrap();
    stage.exit("a", failure("bad")).await;
    stage.exit("b", failure("bad")).await;
    assert!(matches!(
        ended.await.unwrap(),
        ExitReason::Shutdown(ShutdownDetail::Intensity { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_exceeds_its_intensity_is_parked_with_its_reason_and_nobody_else_notices() {
    let stage = Stage::default();
    let supervisor = parked(&stage).await;
    let ChildState::Parked { reason, .. } = state_of(&supervisor, "a").await else {
        panic!("not parked");
    };
    assert_eq!(reason, failure("second"));
    let b = state_of(&supervisor, "b").await;
    assert!(matches!(b, ChildState::Running { .. }));
    assert_eq!(stage.take_log(), "+a +b +a");
}

#[tokio::test(start_paused = true)]
async fn a_parked_child_is_probed_at_growing_distance_for_ever() {
    let stage = Stage::default();
    let supervisor = parked(&stage).await;
    stage.next_starts("a", [Start::Fail; 6]);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let seen = stage.seen();
        let before = tokio::time::Instant::now();
        stage
            .after(seen, |what| matches!(what, What::Probing { .. }))
            .await;
        waits.push(before.elapsed().as_secs() / 60);
        settle().await;
        let state = state_of(&supervisor, "a").await;
        assert!(matches!(state, ChildState::Parked { .. }));
    }
    assert_eq!(waits, [1, 2, 4, 8, 8, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_probed_child_that_falls_before_it_is_proven_is_parked_again_at_once() {
    let stage = Stage::default();
    let _supervisor = parked(&stage).await;
    let seen = stage.seen();
    stage.after(seen, is_start_of("a")).await;
    let seen = stage.seen();
    stage.tell("a", Do::Exit(failure("third")));
    let exit = stage.after(seen, |what| exited(what) == Some("a")).await;
    assert!(matches!(
        exit,
        What::Exited {
            decision: Decision::Park { .. },
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_probed_child_that_stays_up_is_unparked_with_a_clean_record() {
    let stage = Stage::default();
    let supervisor = parked(&stage).await;
    let seen = stage.seen();
    stage
        .after(seen, |what| matches!(what, What::Unparked { .. }))
        .await;
    // One restart is granted again before it is parked.
    stage.exit("a", failure("later")).await;
    settle().await;
    let state = state_of(&supervisor, "a").await;
    assert!(matches!(state, ChildState::Running { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_probed_supervisor_is_not_unparked_while_something_below_it_keeps_failing() {
    let stage = Stage::default();
    let (supervisor, _ended) = stage.up(SupervisorSpec::parking("root", parking())).await;
    let below = SupervisorSpec::one_for_one("below")
        .intensity(100, Duration::from_secs(3600))
        .child(stage.child("a"));
    supervisor.add(ChildSpec::supervisor(below)).await.unwrap();
    for _ in 0..2 {
        let seen = stage.seen();
        supervisor.child("below").await.unwrap().unwrap().kill();
        stage
            .after(seen, |what| exited(what) == Some("below"))
            .await;
        settle().await;
    }
    let seen = stage.seen();
    stage.after(seen, is_start_of("a")).await;
    let unparked = |stage: &Stage| {
        let events = stage.events();
        events
            .iter()
            .any(|what| matches!(what, What::Unparked { .. }))
    };
    for _ in 0..4 {
        tokio::time::sleep(MINUTE / 2).await;
        stage.exit("a", failure("again")).await;
    }
    settle().await;
    assert!(!unparked(&stage));
    tokio::time::sleep(MINUTE + Duration::from_secs(1)).await;
    settle().await;
    assert!(unparked(&stage));
}

#[tokio::test(start_paused = true)]
async fn unpark_starts_a_parked_child_at_once_and_is_harmless_on_others() {
    let stage = Stage::default();
    let supervisor = parked(&stage).await;
    let before = tokio::time::Instant::now();
    supervisor.unpark("a").await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(1));
    let state = state_of(&supervisor, "a").await;
    assert!(matches!(state, ChildState::Running { .. }));
    supervisor.unpark("a").await.unwrap();
    supervisor.unpark("b").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unpark_whose_start_fails_says_so_and_the_child_is_parked_again() {
    let stage = Stage::default();
    let supervisor = parked(&stage).await;
    stage.next_starts("a", [Start::Fail]);
    assert!(matches!(
        supervisor.unpark("a").await,
        Err(CommandError::StartFailed { .. })
    ));
    let state = state_of(&supervisor, "a").await;
    assert!(matches!(state, ChildState::Parked { .. }));
}

#[tokio::test(start_paused = true)]
async fn restarts_that_fail_to_start_count_towards_parking() {
    let stage = Stage::default();
    let (supervisor, _ended) = stage.up(SupervisorSpec::parking("root", parking())).await;
    supervisor.add(stage.child("a")).await.unwrap();
    stage.next_starts("a", [Start::Fail]);
    stage.exit("a", failure("bad")).await;
    stage
        .until(|what| matches!(what, What::Parked { .. }))
        .await;
    let ChildState::Parked { reason, .. } = state_of(&supervisor, "a").await else {
        panic!("not parked");
    };
    assert!(matches!(reason, ExitReason::StartFailed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_parked_child_can_be_terminated_and_is_probed_no_more() {
    let stage = Stage::default();
    let supervisor = parked(&stage).await;
    supervisor.terminate("a").await.unwrap();
    stage.take_log();
    tokio::time::sleep(100 * MINUTE).await;
    assert_eq!(stage.take_log(), "");
}

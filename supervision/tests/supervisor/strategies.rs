//! Which siblings restart with a child, and when the supervisor gives up.

use std::time::Duration;

use coppice_supervision::{Decision, ExitReason, ShutdownDetail, Supervisor, SupervisorSpec, What};
use tokio::task::JoinHandle;

use super::kit::{Do, Stage, Start, exited, failure, is_start_of, settle, started};

async fn three(stage: &Stage, spec: SupervisorSpec) -> (Supervisor, JoinHandle<ExitReason>) {
    let spec = spec
        .child(stage.child("a"))
        .child(stage.child("b"))
        .child(stage.child("c"));
    let up = stage.up(spec).await;
    assert_eq!(stage.take_log(), "+a +b +c");
    up
}

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_the_failed_child_alone() {
    let stage = Stage::default();
    let (_supervisor, _ended) = three(&stage, SupervisorSpec::one_for_one("root")).await;
    stage.exit("b", failure("bad")).await;
    settle().await;
    assert_eq!(stage.take_log(), "+b");
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    let stage = Stage::default();
    let (_supervisor, _ended) = three(&stage, SupervisorSpec::one_for_all("root")).await;
    stage.exit("b", failure("bad")).await;
    settle().await;
    assert_eq!(stage.take_log(), "-c -a +a +b +c");
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_failed_child_and_those_after_it() {
    let stage = Stage::default();
    let (_supervisor, _ended) = three(&stage, SupervisorSpec::rest_for_one("root")).await;
    stage.exit("b", failure("bad")).await;
    settle().await;
    assert_eq!(stage.take_log(), "-c +b +c");
}

#[tokio::test(start_paused = true)]
async fn a_temporary_sibling_ends_with_its_group_and_is_not_started_again() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_all("root")
        .child(stage.child("a"))
        .child(stage.child("b").temporary());
    let (supervisor, _ended) = stage.up(spec).await;
    stage.take_log();
    stage.exit("a", failure("bad")).await;
    settle().await;
    assert_eq!(stage.take_log(), "-b +a");
    assert_eq!(supervisor.which_children().await.unwrap().children.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_sibling_after_the_failed_child_is_gone_under_rest_for_one() {
    let stage = Stage::default();
    let spec = SupervisorSpec::rest_for_one("root")
        .child(stage.child("a").temporary())
        .child(stage.child("b"))
        .child(stage.child("c").temporary());
    let (supervisor, _ended) = stage.up(spec).await;
    stage.take_log();
    stage.exit("b", failure("bad")).await;
    settle().await;
    assert_eq!(stage.take_log(), "-c +b");
    assert_eq!(supervisor.which_children().await.unwrap().children.len(), 2);
}

async fn escalates(spec: SupervisorSpec, stops_at_the_end: &str) {
    let stage = Stage::default();
    let (supervisor, ended) = three(&stage, spec.intensity(1, Duration::from_secs(5))).await;
    stage.exit("b", failure("first")).await;
    settle().await;
    stage.take_log();
    let seen = stage.seen();
    stage.tell("b", Do::Exit(failure("second")));
    let exit = stage.after(seen, |what| exited(what) == Some("b")).await;
    assert!(matches!(
        exit,
        What::Exited {
            decision: Decision::GiveUp,
            ..
        }
    ));
    let reason = ended.await.unwrap();
    assert_eq!(stage.take_log(), stops_at_the_end);
    assert_eq!(
        reason,
        ExitReason::Shutdown(ShutdownDetail::Intensity {
            child: "b".into(),
            last: Box::new(failure("second"))
        })
    );
    assert_eq!(reason.root_cause(), &failure("second"));
    assert!(supervisor.which_children().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_for_one_gives_up_when_the_intensity_is_exceeded() {
    escalates(SupervisorSpec::one_for_one("root"), "-c -a").await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_gives_up_when_the_intensity_is_exceeded() {
    escalates(SupervisorSpec::one_for_all("root"), "-c -a").await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_gives_up_when_the_intensity_is_exceeded() {
    escalates(SupervisorSpec::rest_for_one("root"), "-c -a").await;
}

#[tokio::test(start_paused = true)]
async fn an_intensity_of_zero_gives_up_at_the_first_exit() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").intensity(0, Duration::from_secs(5));
    let (_supervisor, ended) = three(&stage, spec).await;
    stage.exit("a", ExitReason::Normal).await;
    assert!(matches!(
        ended.await.unwrap(),
        ExitReason::Shutdown(ShutdownDetail::Intensity { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn restarts_further_apart_than_the_period_go_on_for_ever() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").intensity(1, Duration::from_secs(5));
    let (_supervisor, _ended) = three(&stage, spec).await;
    for _ in 0..20 {
        let seen = stage.seen();
        stage.exit("a", failure("bad")).await;
        stage.after(seen, is_start_of("a")).await;
        tokio::time::sleep(Duration::from_millis(5_001)).await;
    }
}

/// A sibling fails to come up while the group is restarted; the next attempt brings all up.
async fn other_child_fails_during_the_restart(spec: SupervisorSpec, log: &str) {
    let stage = Stage::default();
    let (supervisor, _ended) = three(&stage, spec.intensity(3, Duration::from_secs(5))).await;
    stage.next_starts("c", [Start::Fail]);
    let seen = stage.seen();
    stage.exit("b", failure("bad")).await;
    stage.after(seen, is_start_of("c")).await;
    settle().await;
    assert_eq!(stage.take_log(), log);
    let failed = stage.events()[seen..]
        .iter()
        .filter(|what| {
            matches!(
                what,
                What::Exited {
                    reason: ExitReason::StartFailed(_),
                    decision: Decision::TryAgain,
                    ..
                }
            )
        })
        .count();
    assert_eq!(failed, 1);
    let children = supervisor.which_children().await.unwrap().children;
    assert!(children.iter().all(|child| child.actor.is_some()));
}

#[tokio::test(start_paused = true)]
async fn one_for_all_starts_over_when_another_child_fails_during_the_restart() {
    let log = "-c -a +a +b -b -a +a +b +c";
    other_child_fails_during_the_restart(SupervisorSpec::one_for_all("root"), log).await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_goes_on_from_the_child_that_failed_during_the_restart() {
    let log = "-c +b +c";
    other_child_fails_during_the_restart(SupervisorSpec::rest_for_one("root"), log).await;
}

#[tokio::test(start_paused = true)]
async fn one_for_one_tries_a_failed_restart_again_and_counts_every_attempt() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").intensity(3, Duration::from_secs(5));
    let (_supervisor, ended) = three(&stage, spec).await;
    stage.next_starts("b", [Start::Fail; 3]);
    stage.exit("b", failure("bad")).await;
    let reason = ended.await.unwrap();
    let attempts = stage
        .events()
        .iter()
        .filter(|what| matches!(what, What::Starting { child, .. } if child.as_str() == "b"))
        .count();
    assert_eq!(attempts, 1 + 3);
    assert!(matches!(reason.root_cause(), ExitReason::StartFailed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_sibling_that_dies_while_the_group_restarts_is_decided_about_afterwards() {
    let stage = Stage::default();
    let spec = SupervisorSpec::rest_for_one("root").intensity(5, Duration::from_secs(5));
    let (_supervisor, _ended) = three(&stage, spec).await;
    // `c` hangs while it restarts with `b`; `a` dies meanwhile and waits its turn.
    stage.next_starts("c", [Start::Hang]);
    let seen = stage.seen();
    stage.exit("b", failure("bad")).await;
    stage
        .after(
            seen,
            |what| matches!(what, What::Starting { child, .. } if child.as_str() == "c"),
        )
        .await;
    stage.tell("a", Do::Exit(failure("bad too")));
    stage.after(seen, |what| exited(what) == Some("a")).await;
    settle().await;
    let events = stage.events()[seen..].to_vec();
    let order: Vec<_> = events.iter().filter_map(exited).collect();
    assert_eq!(order, ["b", "c", "a"]);
    assert_eq!(started(&events), ["b", "a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_delays_no_sibling_under_one_for_one() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").intensity(9, Duration::from_secs(5));
    let (_supervisor, _ended) = three(&stage, spec).await;
    stage.next_starts("a", [Start::Hang]);
    stage.exit("a", failure("bad")).await;
    let seen = stage.seen();
    let before = tokio::time::Instant::now();
    stage.exit("b", failure("bad")).await;
    stage.after(seen, is_start_of("b")).await;
    assert!(before.elapsed() < Duration::from_secs(1));
}

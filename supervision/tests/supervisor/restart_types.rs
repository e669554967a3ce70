//! Restart type times exit reason.

use coppice_supervision::{Decision, ExitReason, Restart, SupervisorSpec, What};

use super::kit::{Do, Stage, exited, failure, is_start_of, settle};

const TRANSIENT: Restart = Restart::Transient { significant: false };
const TEMPORARY: Restart = Restart::Temporary { significant: false };

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Restarted,
    StaysDown,
    Removed,
}

async fn after_exit(restart: Restart, reason: ExitReason) -> Outcome {
    let stage = Stage::default();
    let child = stage.child("a").restart(restart);
    let (supervisor, _ended) = stage
        .up(SupervisorSpec::one_for_one("root").child(child))
        .await;
    let seen = stage.seen();
    stage.tell("a", Do::Exit(reason));
    let exit = stage.after(seen, |what| exited(what) == Some("a")).await;
    settle().await;
    let restarted = stage.events()[seen..].iter().any(is_start_of("a"));
    let listed = !supervisor
        .which_children()
        .await
        .unwrap()
        .children
        .is_empty();
    match exit {
        What::Exited {
            decision: Decision::Restart { .. },
            ..
        } if restarted && listed => Outcome::Restarted,
        What::Exited {
            decision: Decision::StayDown,
            ..
        } if !restarted && listed => Outcome::StaysDown,
        What::Exited {
            decision: Decision::Remove,
            ..
        } if !restarted && !listed => Outcome::Removed,
        other => panic!("{other:?}, restarted: {restarted}, listed: {listed}"),
    }
}

#[tokio::test(start_paused = true)]
async fn permanent_child_is_restarted_after_a_normal_exit() {
    let outcome = after_exit(Restart::Permanent, ExitReason::Normal).await;
    assert_eq!(outcome, Outcome::Restarted);
}

#[tokio::test(start_paused = true)]
async fn permanent_child_is_restarted_after_shutdown() {
    let outcome = after_exit(Restart::Permanent, ExitReason::shutdown("done")).await;
    assert_eq!(outcome, Outcome::Restarted);
}

#[tokio::test(start_paused = true)]
async fn permanent_child_is_restarted_after_an_abnormal_exit() {
    let outcome = after_exit(Restart::Permanent, failure("bad")).await;
    assert_eq!(outcome, Outcome::Restarted);
}

#[tokio::test(start_paused = true)]
async fn transient_child_is_not_restarted_after_a_normal_exit() {
    let outcome = after_exit(TRANSIENT, ExitReason::Normal).await;
    assert_eq!(outcome, Outcome::StaysDown);
}

#[tokio::test(start_paused = true)]
async fn transient_child_is_not_restarted_after_shutdown() {
    let outcome = after_exit(TRANSIENT, ExitReason::shutdown("done")).await;
    assert_eq!(outcome, Outcome::StaysDown);
}

#[tokio::test(start_paused = true)]
async fn transient_child_is_restarted_after_an_abnormal_exit() {
    let outcome = after_exit(TRANSIENT, failure("bad")).await;
    assert_eq!(outcome, Outcome::Restarted);
}

#[tokio::test(start_paused = true)]
async fn temporary_child_is_gone_after_a_normal_exit() {
    let outcome = after_exit(TEMPORARY, ExitReason::Normal).await;
    assert_eq!(outcome, Outcome::Removed);
}

#[tokio::test(start_paused = true)]
async fn temporary_child_is_gone_after_shutdown() {
    let outcome = after_exit(TEMPORARY, ExitReason::shutdown("done")).await;
    assert_eq!(outcome, Outcome::Removed);
}

#[tokio::test(start_paused = true)]
async fn temporary_child_is_gone_after_an_abnormal_exit() {
    let outcome = after_exit(TEMPORARY, failure("bad")).await;
    assert_eq!(outcome, Outcome::Removed);
}

#[tokio::test(start_paused = true)]
async fn a_killed_transient_child_is_restarted() {
    let stage = Stage::default();
    let child = stage.child("a").transient();
    let (_supervisor, _ended) = stage
        .up(SupervisorSpec::one_for_one("root").child(child))
        .await;
    let seen = stage.seen();
    stage.cell("a").kill();
    let exit = stage.after(seen, |what| exited(what) == Some("a")).await;
    assert!(matches!(
        exit,
        What::Exited {
            reason: ExitReason::Killed,
            ..
        }
    ));
    stage.after(seen, is_start_of("a")).await;
}

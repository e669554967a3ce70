//! A child whose restarts fail, again and again: its supervisor goes on answering, and the child can
//! be told to stay down.

use std::time::Duration;

use coppice_supervision::{ChildState, CommandError, ExitReason, Supervisor, SupervisorSpec};

use super::kit::{Do, Stage, Start, exited, failure, is_start_of, settle};

/// More than any test here waits for.
const MANY: usize = 20_000;

/// A supervisor that tries to restart `b`, for ever.
async fn trying(stage: &Stage, spec: SupervisorSpec) -> Supervisor {
    let (supervisor, _ended) = stage
        .up(spec.intensity(u32::MAX, Duration::from_secs(5)))
        .await;
    for name in ["a", "b"] {
        supervisor.add(stage.child(name)).await.unwrap();
    }
    stage.next_starts("b", std::iter::repeat_n(Start::Fail, MANY));
    stage.exit("b", failure("bad")).await;
    settle().await;
    supervisor
}

async fn can_be_looked_at_and_stopped(spec: SupervisorSpec) {
    let stage = Stage::default();
    let is_dynamic = format!("{spec:?}").contains("Dynamic");
    let supervisor = trying(&stage, spec).await;
    let state = supervisor.which_children().await.unwrap().children[1]
        .state
        .clone();
    // Down, while others of its group are stopped and started first.
    assert!(!matches!(state, ChildState::Running { .. }));
    let restarting = CommandError::Restarting { child: "b".into() };
    assert_eq!(supervisor.restart("b").await.unwrap_err(), restarting);
    assert_eq!(supervisor.delete("b").await.unwrap_err(), restarting);
    let taken = CommandError::AlreadyPresent { child: "b".into() };
    assert_eq!(supervisor.add(stage.child("b")).await.unwrap_err(), taken);
    supervisor.terminate("b").await.unwrap();
    let seen = stage.seen();
    settle().await;
    assert_eq!(stage.seen(), seen, "it is left alone from then on");
    let children = supervisor.which_children().await.unwrap().children;
    assert_eq!(children.len(), if is_dynamic { 1 } else { 2 });
}

#[tokio::test(start_paused = true)]
async fn one_for_one_answers_while_a_restart_fails_again_and_again() {
    can_be_looked_at_and_stopped(SupervisorSpec::one_for_one("root")).await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_answers_while_a_restart_fails_again_and_again() {
    can_be_looked_at_and_stopped(SupervisorSpec::one_for_all("root")).await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_answers_while_a_restart_fails_again_and_again() {
    can_be_looked_at_and_stopped(SupervisorSpec::rest_for_one("root")).await;
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_answers_while_a_restart_fails_again_and_again() {
    can_be_looked_at_and_stopped(SupervisorSpec::dynamic("root")).await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_can_be_shut_down_while_a_restart_fails_again_and_again() {
    for spec in [
        SupervisorSpec::one_for_one("root"),
        SupervisorSpec::one_for_all("root"),
        SupervisorSpec::rest_for_one("root"),
        SupervisorSpec::dynamic("root"),
    ] {
        let stage = Stage::default();
        let supervisor = trying(&stage, spec).await;
        supervisor.shutdown();
        let limit = Some(Duration::from_secs(1));
        supervisor.actor().wait(limit).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_gives_up_when_a_restart_fails_too_often() {
    let stage = Stage::default();
    let spec = SupervisorSpec::dynamic("root").intensity(3, Duration::from_secs(5));
    let (supervisor, ended) = stage.up(spec).await;
    supervisor.add(stage.child("a")).await.unwrap();
    stage.next_starts("a", [Start::Fail; 3]);
    stage.exit("a", failure("bad")).await;
    let reason = ended.await.unwrap();
    assert!(matches!(reason.root_cause(), ExitReason::StartFailed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_that_fails_to_restart_is_tried_again() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(2, Duration::from_secs(5))
        .child(stage.child("a").transient());
    let (_supervisor, _ended) = stage.up(spec).await;
    stage.next_starts("a", [Start::Fail]);
    let seen = stage.seen();
    stage.exit("a", failure("bad")).await;
    stage.after(seen, is_start_of("a")).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_chooses_not_to_run_at_its_restart_is_down_and_no_failure() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .child(stage.child("a"))
        .child(stage.child("b"));
    let (supervisor, _ended) = stage.up(spec).await;
    stage.next_starts("a", [Start::Ignore]);
    stage.exit("a", failure("bad")).await;
    settle().await;
    let children = supervisor.which_children().await.unwrap().children;
    assert_eq!(children[0].state, ChildState::Down);
    supervisor.restart("a").await.unwrap();
}

// OTP's supervisor keeps an entry without a process here, and fails when it ends.
#[tokio::test(start_paused = true)]
async fn a_child_of_a_dynamic_supervisor_that_chooses_not_to_run_at_its_restart_is_gone() {
    let stage = Stage::default();
    let (supervisor, ended) = stage.up(SupervisorSpec::dynamic("root")).await;
    supervisor.add(stage.child("a")).await.unwrap();
    stage.next_starts("a", [Start::Ignore]);
    stage.exit("a", failure("bad")).await;
    settle().await;
    let children = supervisor.which_children().await.unwrap().children;
    assert!(children.is_empty());
    supervisor.shutdown();
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_end_is_yet_to_be_decided_about_counts_as_running() {
    let stage = Stage::default();
    let spec = SupervisorSpec::rest_for_one("root")
        .intensity(9, Duration::from_secs(60))
        .child(stage.child("a").transient())
        .child(stage.child("b"))
        .child(stage.child("c"));
    let (supervisor, _ended) = stage.up(spec).await;
    // `c` hangs while it restarts with `b`: a command about `a` waits, and then `a` ends.
    stage.next_starts("c", [Start::Hang]);
    stage.exit("b", failure("bad")).await;
    settle().await;
    let asking = [false, true].map(|delete| {
        let supervisor = supervisor.clone();
        tokio::spawn(async move {
            if delete {
                supervisor.delete("a").await
            } else {
                supervisor.restart("a").await
            }
        })
    });
    settle().await;
    let seen = stage.seen();
    stage.tell("a", Do::Exit(ExitReason::Normal));
    for answer in asking {
        let running = CommandError::Running { child: "a".into() };
        assert_eq!(answer.await.unwrap().unwrap_err(), running);
    }
    stage.after(seen, |what| exited(what) == Some("a")).await;
    assert!(supervisor.child("a").await.unwrap().is_none());
}

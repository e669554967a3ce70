//! Adding, terminating, restarting and deleting children of an ordered supervisor.

use std::time::Duration;

use coppice_supervision::{
    ChildState, CommandError, ExitReason, SpecError, Supervisor, SupervisorSpec,
};

use super::kit::{Stage, Start, failure, settle};

async fn one(stage: &Stage) -> Supervisor {
    let spec = SupervisorSpec::one_for_one("root").child(stage.child("a"));
    stage.up(spec).await.0
}

#[tokio::test(start_paused = true)]
async fn an_added_child_is_started_last_and_stopped_first() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    let cell = supervisor.add(stage.child("b")).await.unwrap();
    assert_eq!(cell, Some(stage.cell("b")));
    supervisor.shutdown();
    supervisor.actor().wait(None).await.unwrap();
    assert_eq!(stage.take_log(), "+a +b -b -a");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_start_is_not_added() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    stage.next_starts("b", [Start::Fail]);
    let error = supervisor.add(stage.child("b")).await.unwrap_err();
    assert_eq!(error.to_string(), "child `b` did not start: no luck");
    assert_eq!(supervisor.which_children().await.unwrap().children.len(), 1);
    assert!(supervisor.add(stage.child("b")).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_refused_whether_its_child_runs_or_not() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    let taken = CommandError::AlreadyPresent { child: "a".into() };
    assert_eq!(supervisor.add(stage.child("a")).await.unwrap_err(), taken);
    supervisor.terminate("a").await.unwrap();
    assert_eq!(supervisor.add(stage.child("a")).await.unwrap_err(), taken);
    // The refused spec has not replaced the one that was there.
    supervisor.restart("a").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_terminated_child_stays_listed_until_it_is_deleted() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    assert!(matches!(
        supervisor.delete("a").await,
        Err(CommandError::Running { .. })
    ));
    supervisor.terminate("a").await.unwrap();
    supervisor.terminate("a").await.unwrap();
    let children = supervisor.which_children().await.unwrap().children;
    assert_eq!(children[0].state, ChildState::Down);
    supervisor.delete("a").await.unwrap();
    assert!(matches!(
        supervisor.restart("a").await,
        Err(CommandError::NotFound { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_leaves_the_child_down() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    assert!(matches!(
        supervisor.restart("a").await,
        Err(CommandError::Running { .. })
    ));
    supervisor.terminate("a").await.unwrap();
    stage.next_starts("a", [Start::Fail]);
    assert!(matches!(
        supervisor.restart("a").await,
        Err(CommandError::StartFailed { .. })
    ));
    let children = supervisor.which_children().await.unwrap().children;
    assert_eq!(children[0].state, ChildState::Down);
    supervisor.restart("a").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn terminating_a_child_that_hangs_in_its_start_gives_the_start_up() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    stage.next_starts("b", [Start::Hang]);
    let adding = tokio::spawn({
        let (supervisor, child) = (supervisor.clone(), stage.child("b"));
        async move { supervisor.add(child).await }
    });
    settle().await;
    supervisor.terminate("b").await.unwrap();
    assert!(matches!(
        adding.await.unwrap(),
        Err(CommandError::Cancelled { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn terminating_a_child_that_waits_for_its_restart_cancels_the_restart() {
    let stage = Stage::default();
    let backoff =
        coppice_supervision::Backoff::doubling(Duration::from_secs(10), Duration::from_secs(60));
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(9, Duration::from_secs(60))
        .backoff(backoff)
        .child(stage.child("a"));
    let (supervisor, _ended) = stage.up(spec).await;
    stage.exit("a", failure("bad")).await;
    settle().await;
    stage.exit("a", failure("bad")).await;
    let children = supervisor.which_children().await.unwrap().children;
    assert!(matches!(children[0].state, ChildState::Restarting { .. }));
    supervisor.terminate("a").await.unwrap();
    stage.take_log();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(stage.take_log(), "");
}

#[tokio::test(start_paused = true)]
async fn two_children_of_one_name_are_refused_before_anything_starts() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .child(stage.child("a"))
        .child(stage.child("a"));
    let error = stage.start(spec).await.unwrap_err();
    let expected = SpecError::DuplicateChild {
        supervisor: "root".into(),
        child: "a".into(),
    };
    assert_eq!(error.to_string(), expected.to_string());
    assert_eq!(stage.take_log(), "");
}

#[tokio::test(start_paused = true)]
async fn commands_about_a_child_that_never_was_say_so() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    let nobody = CommandError::NotFound { child: "x".into() };
    assert_eq!(supervisor.terminate("x").await.unwrap_err(), nobody);
    assert_eq!(supervisor.restart("x").await.unwrap_err(), nobody);
    assert_eq!(supervisor.delete("x").await.unwrap_err(), nobody);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_gone_once_terminated() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    supervisor.add(stage.child("b").temporary()).await.unwrap();
    supervisor.terminate("b").await.unwrap();
    let gone = CommandError::NotFound { child: "b".into() };
    assert_eq!(supervisor.restart("b").await.unwrap_err(), gone);
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_that_ended_can_be_restarted_or_deleted_by_command() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    supervisor.add(stage.child("b").transient()).await.unwrap();
    stage.exit("b", ExitReason::Normal).await;
    supervisor.restart("b").await.unwrap();
    assert!(supervisor.child("b").await.unwrap().is_some());
    stage.exit("b", ExitReason::Normal).await;
    supervisor.delete("b").await.unwrap();
    assert_eq!(supervisor.which_children().await.unwrap().children.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_command_does_not_count_towards_the_intensity() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(0, Duration::from_secs(60))
        .child(stage.child("a"));
    let (supervisor, _ended) = stage.up(spec).await;
    for _ in 0..3 {
        supervisor.terminate("a").await.unwrap();
        supervisor.restart("a").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_added_child_that_chooses_not_to_run_is_kept_unless_it_is_temporary() {
    let stage = Stage::default();
    let supervisor = one(&stage).await;
    stage.next_starts("b", [Start::Ignore]);
    stage.next_starts("c", [Start::Ignore]);
    assert!(supervisor.add(stage.child("b")).await.unwrap().is_none());
    let temporary = stage.child("c").temporary();
    assert!(supervisor.add(temporary).await.unwrap().is_none());
    let children = supervisor.which_children().await.unwrap().children;
    let names: Vec<_> = children.iter().map(|child| child.id.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

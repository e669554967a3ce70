//! Children that do not do as they should.

use std::time::Duration;

use coppice_supervision::{
    ChildState, Decision, ExitReason, Shutdown, StartDeadlinePassed, StartError, SupervisorSpec,
    What,
};

use super::kit::{Do, Stage, Start, exited, failure, is_start_of, settle};

fn reason_of(what: &What) -> &ExitReason {
    match what {
        What::Exited { reason, .. } | What::Stopped { reason, .. } => reason,
        other => panic!("no reason in {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_handler_is_told_from_an_error_and_the_child_restarts() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").child(stage.child("a"));
    let (_supervisor, _ended) = stage.up(spec).await;
    let seen = stage.seen();
    stage.tell("a", Do::Panic);
    let exit = stage.after(seen, |what| exited(what) == Some("a")).await;
    assert_eq!(
        reason_of(&exit),
        &ExitReason::Panic("a panics on purpose".into())
    );
    stage.after(seen, is_start_of("a")).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_its_type_on_the_way_to_the_observer() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").child(stage.child("a"));
    let (_supervisor, _ended) = stage.up(spec).await;
    let seen = stage.seen();
    stage.tell("a", Do::Exit(failure("disk full")));
    let exit = stage.after(seen, |what| exited(what) == Some("a")).await;
    let ExitReason::Abnormal(failure) = reason_of(&exit) else {
        panic!("{exit:?}");
    };
    assert!(failure.downcast_ref::<std::io::Error>().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_pre_start_fails_the_first_start_and_stops_those_before_it() {
    let stage = Stage::default();
    stage.next_starts("b", [Start::Panic]);
    let spec = SupervisorSpec::one_for_one("root")
        .child(stage.child("a"))
        .child(stage.child("b"))
        .child(stage.child("c"));
    let error = stage.start(spec).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "child `b` did not start: panicked: b panics on purpose in pre_start"
    );
    assert_eq!(stage.take_log(), "+a -a");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_pre_start_during_a_restart_is_tried_again() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(3, Duration::from_secs(5))
        .child(stage.child("a"));
    let (_supervisor, _ended) = stage.up(spec).await;
    stage.next_starts("a", [Start::Panic]);
    let seen = stage.seen();
    stage.exit("a", failure("bad")).await;
    stage.after(seen, is_start_of("a")).await;
}

#[tokio::test(start_paused = true)]
async fn a_hang_in_pre_start_ends_at_the_start_deadline() {
    let stage = Stage::default();
    stage.next_starts("a", [Start::Hang]);
    let child = stage
        .child("a")
        .start_deadline(Some(Duration::from_secs(7)));
    let before = tokio::time::Instant::now();
    let error = stage
        .start(SupervisorSpec::one_for_one("root").child(child))
        .await
        .unwrap_err();
    let waited = before.elapsed();
    assert!(waited >= Duration::from_secs(7) && waited < Duration::from_secs(8));
    let StartError::Failed(failure) = error else {
        panic!("{error}");
    };
    let passed = failure.downcast_ref::<StartDeadlinePassed>().unwrap();
    assert_eq!(passed.deadline, Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_whose_child_hangs_in_its_start_still_answers_and_can_be_shut_down() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_all("root")
        .child(stage.child("a"))
        .child(stage.child("b"));
    let (supervisor, ended) = stage.up(spec).await;
    stage.next_starts("b", [Start::Hang]);
    stage.exit("a", failure("bad")).await;
    settle().await;
    let before = tokio::time::Instant::now();
    let children = supervisor.which_children().await.unwrap().children;
    assert!(matches!(children[1].state, ChildState::Starting { .. }));
    supervisor.shutdown();
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_stop_is_killed_after_its_shutdown_time() {
    let stage = Stage::default();
    let child = stage
        .child("a")
        .shutdown(Shutdown::Timeout(Duration::from_secs(3)));
    let (supervisor, _ended) = stage
        .up(SupervisorSpec::one_for_one("root").child(child))
        .await;
    stage.tell("a", Do::Stall);
    settle().await;
    let before = tokio::time::Instant::now();
    supervisor.terminate("a").await.unwrap();
    let waited = before.elapsed();
    assert!(waited >= Duration::from_secs(3) && waited < Duration::from_secs(4));
    let stopped = stage
        .until(|what| matches!(what, What::Stopped { .. }))
        .await;
    assert_eq!(reason_of(&stopped), &ExitReason::Killed);
    assert_eq!(stage.take_log(), "+a");
}

#[tokio::test(start_paused = true)]
async fn a_brutally_killed_child_is_not_asked_first() {
    let stage = Stage::default();
    let child = stage.child("a").shutdown(Shutdown::BrutalKill);
    let (supervisor, _ended) = stage
        .up(SupervisorSpec::one_for_one("root").child(child))
        .await;
    supervisor.terminate("a").await.unwrap();
    assert_eq!(stage.take_log(), "+a");
}

// Not on paused time: the paused clock needs the one thread that this child holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_blocks_its_thread_is_abandoned_and_the_supervisor_goes_on() {
    let stage = Stage::default();
    let child = stage.child("a").shutdown(Shutdown::BrutalKill);
    let (supervisor, ended) = stage
        .up(SupervisorSpec::one_for_one("root")
            .child(child)
            .child(stage.child("b")))
        .await;
    let (hold, until) = std::sync::mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    stage.tell("a", Do::Block { begun, until });
    has_begun.await.unwrap();
    supervisor.terminate("a").await.unwrap();
    assert!(
        stage
            .events()
            .iter()
            .any(|what| matches!(what, What::Abandoned { .. }))
    );
    drop(hold);
    supervisor.shutdown();
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_dies_right_after_its_start_was_up_and_is_restarted() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(2, Duration::from_secs(5))
        .child(stage.child("a"));
    stage.next_starts("a", [Start::DieAtOnce]);
    let (_supervisor, _ended) = stage.up(spec).await;
    let exit = stage.until(|what| exited(what) == Some("a")).await;
    assert_eq!(reason_of(&exit), &failure("stillborn"));
    settle().await;
    assert_eq!(stage.take_log(), "+a +a");
}

#[tokio::test(start_paused = true)]
async fn a_child_spawned_without_a_link_is_supervised_all_the_same() {
    let stage = Stage::default();
    stage.next_starts("a", [Start::Unlinked]);
    let spec = SupervisorSpec::one_for_one("root").child(stage.child("a"));
    let (_supervisor, _ended) = stage.up(spec).await;
    let seen = stage.seen();
    stage.exit("a", failure("bad")).await;
    stage.after(seen, is_start_of("a")).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_chooses_not_to_run_is_no_failure_and_can_be_started_later() {
    let stage = Stage::default();
    stage.next_starts("a", [Start::Ignore]);
    let spec = SupervisorSpec::one_for_one("root")
        .child(stage.child("a"))
        .child(stage.child("b"));
    let (supervisor, _ended) = stage.up(spec).await;
    let children = supervisor.which_children().await.unwrap().children;
    assert_eq!(children[0].state, ChildState::Down);
    supervisor.restart("a").await.unwrap();
    assert!(supervisor.child("a").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_dies_during_the_shutdown_of_another_is_not_restarted() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .child(stage.child("a"))
        .child(
            stage
                .child("b")
                .shutdown(Shutdown::Timeout(Duration::from_secs(3))),
        );
    let (supervisor, ended) = stage.up(spec).await;
    stage.tell("b", Do::Stall);
    settle().await;
    supervisor.shutdown();
    settle().await;
    stage.tell("a", Do::Exit(failure("during the shutdown")));
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
    assert_eq!(stage.take_log(), "+a +b");
    let restarts = stage.events().into_iter().filter(|what| {
        matches!(
            what,
            What::Exited {
                decision: Decision::Restart { .. },
                ..
            }
        )
    });
    assert_eq!(restarts.count(), 0);
}

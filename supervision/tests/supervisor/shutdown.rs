//! How a supervisor ends.

use std::time::Duration;

use coppice_supervision::{ExitReason, Shutdown, ShutdownDetail, Supervisor, SupervisorSpec, What};

use super::kit::{Do, Stage, settle};

#[tokio::test(start_paused = true)]
async fn children_stop_one_after_another_in_reverse_order() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .child(stage.child("a"))
        .child(stage.child("b"))
        .child(stage.child("c"));
    let (supervisor, ended) = stage.up(spec).await;
    stage.take_log();
    supervisor.shutdown();
    let reason = ended.await.unwrap();
    assert_eq!(reason, ExitReason::Shutdown(ShutdownDetail::Requested));
    assert_eq!(stage.take_log(), "-c -b -a");
    assert!(matches!(stage.events().last(), Some(What::Ended { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_plain_ractor_stop_ends_the_children_in_the_same_order() {
    let stage = Stage::default();
    let inner = SupervisorSpec::one_for_one("inner")
        .child(stage.child("b"))
        .child(stage.child("c"));
    let spec = SupervisorSpec::rest_for_one("root")
        .child(stage.child("a"))
        .child(coppice_supervision::ChildSpec::supervisor(inner));
    let (supervisor, ended) = stage.up(spec).await;
    stage.take_log();
    supervisor.actor().stop(None);
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
    assert_eq!(stage.take_log(), "-c -b -a");
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_stops_its_children_all_at_once() {
    let stage = Stage::default();
    let (supervisor, ended) = stage.up(SupervisorSpec::dynamic("root")).await;
    for name in ["a", "b", "c"] {
        let child = stage
            .child(name)
            .shutdown(Shutdown::Timeout(Duration::from_secs(3)));
        supervisor.add(child).await.unwrap();
        stage.tell(name, Do::Stall);
    }
    settle().await;
    let before = tokio::time::Instant::now();
    supervisor.shutdown();
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
    let waited = before.elapsed();
    assert!(waited >= Duration::from_secs(3) && waited < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_takes_its_whole_tree_with_it() {
    let stage = Stage::default();
    let inner = SupervisorSpec::one_for_one("inner").child(stage.child("b"));
    let spec = SupervisorSpec::one_for_one("root")
        .child(stage.child("a"))
        .child(coppice_supervision::ChildSpec::supervisor(inner));
    let (supervisor, ended) = stage.up(spec).await;
    let (a, b) = (stage.cell("a"), stage.cell("b"));
    supervisor.actor().kill();
    assert_eq!(ended.await.unwrap(), ExitReason::Killed);
    a.wait(Some(Duration::from_secs(1))).await.unwrap();
    b.wait(Some(Duration::from_secs(1))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_has_ended_says_that_it_is_gone() {
    let stage = Stage::default();
    let (supervisor, ended) = stage.up(SupervisorSpec::one_for_one("root")).await;
    supervisor.shutdown();
    ended.await.unwrap();
    let error = supervisor.terminate("a").await.unwrap_err();
    assert_eq!(error, coppice_supervision::CommandError::Gone);
    supervisor.shutdown();
}

#[tokio::test(start_paused = true)]
async fn commands_that_come_while_it_ends_are_refused() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").child(stage.child("a"));
    let (supervisor, _ended) = stage.up(spec).await;
    stage.tell("a", Do::Stall);
    settle().await;
    supervisor.shutdown();
    let error = supervisor.add(stage.child("b")).await.unwrap_err();
    assert_eq!(error, coppice_supervision::CommandError::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_no_supervisor_is_not_taken_for_one() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").child(stage.child("a"));
    let (supervisor, _ended) = stage.up(spec).await;
    assert!(Supervisor::from_cell(&stage.cell("a")).is_none());
    assert!(Supervisor::from_cell(&supervisor.actor().get_cell()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_child_with_infinity_is_waited_for_however_long_it_takes() {
    let stage = Stage::default();
    let child = stage.child("a").shutdown(Shutdown::Infinity);
    let spec = SupervisorSpec::one_for_one("root").child(child);
    let (supervisor, ended) = stage.up(spec).await;
    stage.tell("a", Do::Stall);
    settle().await;
    supervisor.shutdown();
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert!(!ended.is_finished());
    stage.cell("a").kill();
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_kills_brutally_and_asks_politely_as_each_child_wants() {
    let stage = Stage::default();
    let (supervisor, ended) = stage.up(SupervisorSpec::dynamic("root")).await;
    let brutal = stage.child("a").shutdown(Shutdown::BrutalKill);
    supervisor.add(brutal).await.unwrap();
    supervisor.add(stage.child("b")).await.unwrap();
    stage.take_log();
    supervisor.shutdown();
    ended.await.unwrap();
    assert_eq!(stage.take_log(), "-b");
}

//! Significant children, and supervisors that end with them.

use std::time::Duration;

use coppice_supervision::{
    AutoShutdown, ChildSpec, ExitReason, Restart, ShutdownDetail, SupervisorSpec, What,
};

use super::kit::{Stage, failure, is_start_of, settle};

const TRANSIENT: Restart = Restart::Transient { significant: true };
const TEMPORARY: Restart = Restart::Temporary { significant: true };

fn significant(stage: &Stage, name: &str) -> ChildSpec {
    stage
        .child(name)
        .restart(Restart::Transient { significant: true })
}

#[tokio::test(start_paused = true)]
async fn any_significant_child_that_ends_takes_the_supervisor_down() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(significant(&stage, "a"))
        .child(significant(&stage, "b"))
        .child(stage.child("c"));
    let (_supervisor, ended) = stage.up(spec).await;
    stage.take_log();
    stage.exit("a", ExitReason::Normal).await;
    let reason = ended.await.unwrap();
    assert_eq!(stage.take_log(), "-c -b");
    assert_eq!(
        reason,
        ExitReason::Shutdown(ShutdownDetail::Significant {
            child: "a".into(),
            last: Box::new(ExitReason::Normal)
        })
    );
}

#[tokio::test(start_paused = true)]
async fn all_significant_children_must_end_before_the_supervisor_does() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(significant(&stage, "a"))
        .child(significant(&stage, "b"))
        .child(stage.child("c"));
    let (supervisor, ended) = stage.up(spec).await;
    stage.exit("a", ExitReason::Normal).await;
    assert!(supervisor.which_children().await.is_ok());
    stage.exit("b", ExitReason::Normal).await;
    assert!(matches!(
        ended.await.unwrap(),
        ExitReason::Shutdown(ShutdownDetail::Significant { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_significant_child_that_failed_is_restarted_and_takes_nobody_down() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(significant(&stage, "a"));
    let (supervisor, _ended) = stage.up(spec).await;
    let seen = stage.seen();
    stage.exit("a", failure("bad")).await;
    stage.after(seen, is_start_of("a")).await;
    assert!(supervisor.which_children().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_significant_child_ended_by_command_takes_nobody_down() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(significant(&stage, "a"));
    let (supervisor, _ended) = stage.up(spec).await;
    supervisor.terminate("a").await.unwrap();
    assert!(supervisor.which_children().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_significant_child_is_refused_where_nothing_is_significant() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root").child(significant(&stage, "a"));
    let error = stage.start(spec).await.unwrap_err().to_string();
    assert!(error.contains("`a`") && error.contains("`root`"), "{error}");
}

/// Whether the end of a significant child, beside another one, took the supervisor down.
async fn goes_down(auto_shutdown: AutoShutdown, restart: Restart, reason: ExitReason) -> bool {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .auto_shutdown(auto_shutdown)
        .child(stage.child("a").restart(restart))
        .child(stage.child("b").restart(restart))
        .child(stage.child("c"));
    let (supervisor, _ended) = stage.up(spec).await;
    stage.exit("a", reason).await;
    settle().await;
    supervisor.which_children().await.is_err()
}

#[tokio::test(start_paused = true)]
async fn any_significant_transient_child_takes_the_supervisor_down_unless_it_failed() {
    let any = AutoShutdown::AnySignificant;
    assert!(goes_down(any, TRANSIENT, ExitReason::Normal).await);
    assert!(goes_down(any, TRANSIENT, ExitReason::shutdown("done")).await);
    assert!(!goes_down(any, TRANSIENT, failure("bad")).await);
}

#[tokio::test(start_paused = true)]
async fn any_significant_temporary_child_takes_the_supervisor_down_however_it_ended() {
    let any = AutoShutdown::AnySignificant;
    assert!(goes_down(any, TEMPORARY, ExitReason::Normal).await);
    assert!(goes_down(any, TEMPORARY, ExitReason::shutdown("done")).await);
    assert!(goes_down(any, TEMPORARY, failure("bad")).await);
}

#[tokio::test(start_paused = true)]
async fn one_significant_child_of_several_does_not_take_down_a_supervisor_that_waits_for_all() {
    let all = AutoShutdown::AllSignificant;
    for restart in [TRANSIENT, TEMPORARY] {
        assert!(!goes_down(all, restart, ExitReason::Normal).await);
        assert!(!goes_down(all, restart, ExitReason::shutdown("done")).await);
        assert!(!goes_down(all, restart, failure("bad")).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_not_significant_takes_nobody_down() {
    for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        for restart in [
            Restart::Transient { significant: false },
            Restart::Temporary { significant: false },
        ] {
            assert!(!goes_down(auto, restart, ExitReason::Normal).await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_significant_child_that_is_stopped_with_its_group_takes_nobody_down() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_all("root")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(stage.child("a"))
        .child(stage.child("b").restart(TRANSIENT))
        .child(stage.child("c").restart(TEMPORARY));
    let (supervisor, _ended) = stage.up(spec).await;
    stage.take_log();
    stage.exit("a", failure("bad")).await;
    settle().await;
    assert_eq!(stage.take_log(), "-c -b +a +b");
    assert!(supervisor.which_children().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_significant_child_that_was_terminated_counts_as_ended_when_the_last_one_ends() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(significant(&stage, "a"))
        .child(significant(&stage, "b"));
    let (supervisor, ended) = stage.up(spec).await;
    supervisor.terminate("a").await.unwrap();
    assert!(supervisor.which_children().await.is_ok());
    stage.exit("b", ExitReason::Normal).await;
    assert!(matches!(ended.await.unwrap(), ExitReason::Shutdown(_)));
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_ends_with_its_significant_child() {
    let stage = Stage::default();
    let spec = SupervisorSpec::dynamic("root").auto_shutdown(AutoShutdown::AnySignificant);
    let (supervisor, ended) = stage.up(spec).await;
    supervisor.add(significant(&stage, "a")).await.unwrap();
    supervisor.add(significant(&stage, "b")).await.unwrap();
    stage.exit("a", ExitReason::Normal).await;
    assert!(matches!(
        ended.await.unwrap(),
        ExitReason::Shutdown(ShutdownDetail::Significant { .. })
    ));
}

/// A supervisor that ends with its significant child, under another one.
fn nested(stage: &Stage, restart: Restart) -> ChildSpec {
    let inner = SupervisorSpec::one_for_one("inner")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(significant(stage, "a"));
    ChildSpec::supervisor(inner).restart(restart)
}

#[tokio::test(start_paused = true)]
async fn a_permanent_supervisor_that_ended_with_its_significant_child_is_restarted() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(1, Duration::from_secs(5))
        .child(nested(&stage, Restart::Permanent));
    let (_supervisor, _ended) = stage.up(spec).await;
    let seen = stage.seen();
    stage.exit("a", ExitReason::Normal).await;
    stage.after(seen, is_start_of("inner")).await;
}

#[tokio::test(start_paused = true)]
async fn a_transient_supervisor_that_ended_with_its_significant_child_stays_down() {
    let stage = Stage::default();
    let restart = Restart::Transient { significant: false };
    let spec = SupervisorSpec::one_for_one("root").child(nested(&stage, restart));
    let (supervisor, _ended) = stage.up(spec).await;
    stage.exit("a", ExitReason::Normal).await;
    settle().await;
    assert!(supervisor.child("inner").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn significance_reaches_up_through_supervisors_that_are_significant_themselves() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(nested(&stage, TRANSIENT))
        .child(stage.child("b"));
    let (_supervisor, ended) = stage.up(spec).await;
    stage.exit("a", ExitReason::Normal).await;
    let reason = ended.await.unwrap();
    assert_eq!(reason.root_cause(), &ExitReason::Normal);
    let ends = stage.events_with_paths().into_iter();
    let ends: Vec<_> = ends
        .filter(|(_, what)| matches!(what, What::Ended { .. }))
        .collect();
    assert_eq!(ends.len(), 2);
}

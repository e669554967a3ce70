//! Backoff, and counters that forget.

use std::time::Duration;

use coppice_supervision::{
    Backoff, ChildSpec, Decision, ExitReason, Shutdown, ShutdownDetail, Supervisor, SupervisorSpec,
    What,
};

use tokio::task::JoinHandle;

use super::kit::{Do, Stage, exited, failure, is_start_of, settle};

const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    factor: 2,
    max: Duration::from_secs(5),
    jitter_percent: 0,
};

fn patient() -> SupervisorSpec {
    SupervisorSpec::one_for_one("root").intensity(100, Duration::from_secs(3600))
}

/// Ends `child` and returns the delay decided on, once it is up again.
async fn delay_after_exit(stage: &Stage, child: &str) -> Duration {
    let seen = stage.seen();
    stage.tell(child, Do::Exit(failure("bad")));
    let exit = stage.after(seen, |what| exited(what) == Some(child)).await;
    let before = tokio::time::Instant::now();
    stage.after(seen, is_start_of(child)).await;
    let What::Exited {
        decision: Decision::Restart { delay },
        ..
    } = exit
    else {
        panic!("{exit:?}");
    };
    assert!(before.elapsed() >= delay);
    assert!(before.elapsed() < delay + Duration::from_millis(100));
    delay
}

#[tokio::test(start_paused = true)]
async fn without_backoff_a_restart_is_immediate_however_often() {
    let stage = Stage::default();
    let (_supervisor, _ended) = stage.up(patient().child(stage.child("a"))).await;
    for _ in 0..10 {
        assert_eq!(delay_after_exit(&stage, "a").await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn with_backoff_the_first_restart_is_immediate_and_the_next_wait_longer_each() {
    let stage = Stage::default();
    let (_supervisor, _ended) = stage
        .up(patient().backoff(BACKOFF).child(stage.child("a")))
        .await;
    let mut delays = Vec::new();
    for _ in 0..6 {
        delays.push(delay_after_exit(&stage, "a").await.as_secs());
    }
    assert_eq!(delays, [0, 1, 2, 4, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_up_long_enough_starts_its_row_of_waits_anew() {
    let stage = Stage::default();
    let spec = patient()
        .backoff(BACKOFF)
        .forget_after(Duration::from_secs(60))
        .child(stage.child("a"));
    let (_supervisor, _ended) = stage.up(spec).await;
    assert_eq!(delay_after_exit(&stage, "a").await.as_secs(), 0);
    assert_eq!(delay_after_exit(&stage, "a").await.as_secs(), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(delay_after_exit(&stage, "a").await.as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn proven_uptime_takes_a_childs_restarts_off_the_intensity() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(1, Duration::from_secs(3600))
        .forget_after(Duration::from_secs(60))
        .child(stage.child("a"));
    let (supervisor, _ended) = stage.up(spec).await;
    for _ in 0..5 {
        delay_after_exit(&stage, "a").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(supervisor.which_children().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn failures_too_far_apart_for_the_intensity_are_too_many_in_a_row() {
    let stage = Stage::default();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(2, Duration::from_secs(10))
        .forget_after(Duration::from_secs(60))
        .in_a_row(2)
        .child(stage.child("a"));
    let (_supervisor, ended) = stage.up(spec).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(59)).await;
        delay_after_exit(&stage, "a").await;
    }
    tokio::time::sleep(Duration::from_secs(59)).await;
    stage.tell("a", Do::Exit(failure("slow")));
    let gave_up = ShutdownDetail::Intensity {
        child: "a".into(),
        last: Box::new(failure("slow")),
    };
    assert_eq!(end_of(ended).await, ExitReason::Shutdown(gave_up));
}

async fn end_of(supervisor: JoinHandle<ExitReason>) -> ExitReason {
    let ended = tokio::time::timeout(Duration::from_secs(5), supervisor).await;
    ended.expect("the supervisor goes on").unwrap()
}

/// A supervisor that may restart once an hour, with one below it that may restart always, and a child.
fn two_levels(stage: &Stage) -> SupervisorSpec {
    let inner = SupervisorSpec::one_for_one("inner")
        .intensity(100, Duration::from_secs(3600))
        .child(stage.child("a"));
    SupervisorSpec::one_for_one("root")
        .intensity(1, Duration::from_secs(3600))
        .forget_after(Duration::from_secs(60))
        .child(ChildSpec::supervisor(inner).shutdown(Shutdown::Timeout(Duration::from_secs(1))))
}

/// Ends the inner supervisor as somebody from outside would, and waits until it is back.
async fn end_inner(stage: &Stage, root: &Supervisor) {
    let inner = root.child("inner").await.unwrap().unwrap();
    let seen = stage.seen();
    inner.kill();
    stage.after(seen, is_start_of("a")).await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_below_proves_itself_by_time_without_restarts() {
    let stage = Stage::default();
    let (root, _ended) = stage.up(two_levels(&stage)).await;
    for _ in 0..3 {
        end_inner(&stage, &root).await;
        delay_after_exit(&stage, "a").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(root.which_children().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_below_that_keeps_restarting_does_not_prove_itself() {
    let stage = Stage::default();
    let (root, ended) = stage.up(two_levels(&stage)).await;
    end_inner(&stage, &root).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        delay_after_exit(&stage, "a").await;
    }
    root.child("inner").await.unwrap().unwrap().kill();
    let ended = end_of(ended).await;
    let ExitReason::Shutdown(ShutdownDetail::Intensity { child, .. }) = &ended else {
        panic!("{ended:?}");
    };
    assert_eq!(child.as_str(), "inner");
}

#[tokio::test(start_paused = true)]
async fn siblings_that_need_the_child_stop_when_it_fails_and_wait_with_it() {
    let stage = Stage::default();
    let spec = SupervisorSpec::rest_for_one("root")
        .intensity(100, Duration::from_secs(3600))
        .backoff(BACKOFF)
        .child(stage.child("a"))
        .child(stage.child("b"));
    let (_supervisor, _ended) = stage.up(spec).await;
    stage.exit("a", failure("first")).await;
    settle().await;
    stage.take_log();
    stage.exit("a", failure("second")).await;
    settle().await;
    assert_eq!(stage.take_log(), "-b");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    settle().await;
    assert_eq!(stage.take_log(), "+a +b");
}

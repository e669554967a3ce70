//! How long a daemon is away, by the supervisor's figures.

use std::sync::{Mutex, PoisonError};

use coppice_clock::Mono;
use coppice_supervision::{ChildSpec, Clock, ExitReason, Failure, ShutdownDetail, Supervisor};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::super::*;

/// A daemon that lives for so long.
struct Mortal;

impl Actor for Mortal {
    type Msg = ();
    type State = ();
    type Arguments = Duration;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        life: Duration,
    ) -> Result<(), ActorProcessingErr> {
        myself.send_after(life, || ());
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err(ExitReason::Abnormal(Failure::text("it ended")).into())
    }
}

/// How long a daemon of this life was away before each start, until it is given up or for so long.
async fn absences(life: Duration, watched: Duration) -> (Vec<u64>, Option<ExitReason>) {
    let clock = Clock::following_tokio();
    let starts: Arc<Mutex<Vec<Mono>>> = Arc::default();
    let (noted, noting) = (Arc::clone(&starts), clock.clone());
    let child = ChildSpec::worker("web", move |context| {
        let at = noting.now();
        noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(at);
        async move { context.spawn(Mortal, life).await }
    });
    let spec = supervisor().clock(clock).child(child);
    let (_supervisor, ended) = Supervisor::start(spec).await.unwrap();
    let ended = tokio::time::timeout(watched, ended).await;
    let starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
    let lives = starts.windows(2).map(|pair| pair[1].since(pair[0]));
    let away = lives.map(|span| u64::try_from((span - life).as_millis()).unwrap());
    (away.collect(), ended.ok().map(Result::unwrap))
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_dies_young_waits_longer_each_time_and_is_given_up_in_the_end() {
    let (away, ended) = absences(Duration::from_millis(1), Duration::from_secs(60)).await;
    assert_eq!(away.len(), 10);
    assert!(away[0] <= 1, "at once: {away:?}");
    // Each wait is shortened by chance, by a fifth at most.
    assert!((30..=51).contains(&away[1]), "{away:?}");
    assert!((5_000..=10_001).contains(&away[9]), "{away:?}");
    let reason = ended.unwrap();
    let given_up = ExitReason::Shutdown(ShutdownDetail::Intensity {
        child: "web".into(),
        last: Box::new(ExitReason::Abnormal(Failure::text("it ended"))),
    });
    assert_eq!(reason, given_up);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_has_proven_itself_is_always_started_again_at_once() {
    let life = PROVEN + Duration::from_secs(2);
    let (away, ended) = absences(life, life * 50).await;
    assert!(
        away.len() >= 48 && away.iter().all(|gap| *gap <= 1),
        "{away:?}"
    );
    assert_eq!(ended, None);
}

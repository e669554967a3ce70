//! Daemons that Coppice itself keeps running for a service.
//!
//! A package declares them as data, in its `main` (the effect `set-daemons`), and Coppice does the
//! rest: it starts them in their order, starts one again that dies, whatever its JavaScript is doing,
//! and ends them in reverse. They outlive the Node runtime and the core.
//!
//! ```text
//! work
//! ├─ hosted    one_for_one: one [`actor`] per declared daemon, permanent
//! └─ hosting   the [`manager`]: adds and ends them, as the [`plan`] says
//! ```
//!
//! A declaration holds until another replaces it, the service is stopped or restarted, or its
//! container ends. So a daemon never runs before the `init` of its package's present version.
//!
//! A daemon that dies is started again at once; when it dies again before it was up for
//! [`PROVEN`](supervisor), after 50 ms, then 100, and so on up to 10 s. More than ten times in a minute
//! are too many: `hosted` gives up, and the service begins anew in a new container.

pub mod actor;
pub mod declared;
pub mod manager;
pub mod plan;
pub mod roster;
pub mod step;

use std::{sync::Arc, time::Duration};

use coppice_supervision::{Backoff, SupervisorSpec};

pub use self::{
    declared::{DaemonSpec, Declarations, check},
    manager::{HostingActor, HostingMsg},
    roster::Roster,
};
use super::super::ServiceContext;
use crate::problem::{Kind, Problem};

/// Name of the supervisor of these daemons.
pub const SUPERVISOR: &str = "hosted";
/// Uptime after which earlier deaths are forgotten.
const PROVEN: Duration = Duration::from_secs(5);

/// The supervisor of the declared daemons, empty.
pub(in super::super) fn supervisor() -> SupervisorSpec {
    SupervisorSpec::one_for_one(SUPERVISOR)
        .intensity(10, Duration::from_secs(60))
        .backoff(Backoff::doubling(
            Duration::from_millis(50),
            Duration::from_secs(10),
        ))
        .forget_after(PROVEN)
}

/// Declares the daemons of a service; they replace those declared before.
///
/// # Errors
/// When the list cannot be kept.
pub async fn declare(service: &Arc<ServiceContext>, specs: Vec<DaemonSpec>) -> Result<(), Problem> {
    let _alone = service.hosted.declaring.lock().await;
    replace(service, specs).await
}

/// Takes back whatever is declared, and waits until no daemon of it is left.
///
/// # Errors
/// As [`declare`].
pub async fn withdraw(service: &Arc<ServiceContext>) -> Result<(), Problem> {
    declare(service, Vec::new()).await?;
    service.hosted.emptied().await;
    Ok(())
}

/// Takes back what is declared for a service that shall not run.
async fn drop_unwanted(service: &Arc<ServiceContext>) -> Result<(), Problem> {
    let _alone = service.hosted.declaring.lock().await;
    // Wanted again by now, its `main` may have declared them anew.
    if declared::is_wanted(service) {
        return Ok(());
    }
    replace(service, Vec::new()).await
}

async fn replace(service: &Arc<ServiceContext>, specs: Vec<DaemonSpec>) -> Result<(), Problem> {
    let writer = Arc::clone(service);
    let written = tokio::task::spawn_blocking(move || {
        let secrets = &writer.host.secrets;
        let before = Declarations::load(secrets, &writer.id)?;
        let now = before.replaced_by(specs);
        if now == before {
            return Ok(());
        }
        now.store(secrets, &writer.id)
    });
    written
        .await
        .map_err(|error| Problem::of(Kind::Unknown, &error))??;
    service.raise_wish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use coppice_clock::Mono;
    use coppice_supervision::{ChildSpec, Clock, ExitReason, Failure, ShutdownDetail, Supervisor};
    use ractor::{Actor, ActorProcessingErr, ActorRef};

    use super::*;

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

        async fn handle(
            &self,
            _: ActorRef<()>,
            (): (),
            (): &mut (),
        ) -> Result<(), ActorProcessingErr> {
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
}

//! The forest: from the root supervisor to the services' trees.
//!
//! ```text
//! core  rest_for_one, ends with the first of the four branches that ends
//! ├─ state      one_for_one   the watcher that fires packages' callbacks · disk · shown usage
//! ├─ network    one_for_one   edge · forwards
//! ├─ services   dynamic, parking: one tree per installed service
//! ├─ jobs       dynamic: one temporary actor per job under way
//! └─ gateway    whatever serves the API
//! ```
//!
//! A service that exceeds its intensity is parked by `services` and nothing above it notices. Only
//! Coppice's own actors escalate, and then the whole core ends: the heart starts the process anew,
//! and that one adopts what runs. Restarting a branch in here would not do. The trees below
//! `services` are planted when the core starts, by whoever reads the document, so a `services` that
//! was restarted with the branch before it would stay empty, and nobody would watch the containers.

use std::{sync::Arc, time::Duration};

use coppice_supervision::{
    AutoShutdown, Backoff, ChildSpec, Intensity, Observer, Parking, Restart, Shutdown, StartError,
    Supervisor, SupervisorSpec,
};

use crate::{
    disk::DiskActor,
    host::Host,
    network::{EdgeActor, ForwardsActor, Publish},
    usage::UsageActor,
    watcher::WatcherActor,
};

/// Name of the supervisor of the services' trees.
pub const SERVICES: &str = "services";
/// Name of the supervisor of jobs under way.
pub const JOBS: &str = "jobs";

/// The root's spec; `gateway` serves the API.
pub fn spec(
    host: &Arc<Host>,
    publish: Publish,
    gateway: ChildSpec,
    observer: impl Observer,
) -> SupervisorSpec {
    let watcher = {
        let host = Arc::clone(host);
        ChildSpec::worker("watcher", move |context| {
            let host = Arc::clone(&host);
            async move { context.spawn(WatcherActor, host).await }
        })
    };
    let edge = {
        let host = Arc::clone(host);
        ChildSpec::worker("edge", move |context| {
            let arguments = (Arc::clone(&host), Arc::clone(&publish));
            async move { context.spawn(EdgeActor, arguments).await }
        })
    };
    let forwards = {
        let host = Arc::clone(host);
        ChildSpec::worker("forwards", move |context| {
            let host = Arc::clone(&host);
            async move { context.spawn(ForwardsActor, host).await }
        })
    };
    let disk = {
        let host = Arc::clone(host);
        ChildSpec::worker("disk", move |context| {
            let host = Arc::clone(&host);
            async move { context.spawn(DiskActor, host).await }
        })
    };
    let usage = {
        let host = Arc::clone(host);
        ChildSpec::worker("usage", move |context| {
            let host = Arc::clone(&host);
            async move { context.spawn(UsageActor, host).await }
        })
    };
    let state = SupervisorSpec::one_for_one("state")
        .child(watcher)
        .child(disk)
        .child(usage);
    let network = SupervisorSpec::one_for_one("network")
        .child(edge)
        .child(forwards);
    trunk(state, network, gateway).observer(observer)
}

/// The root over its branches.
pub(crate) fn trunk(
    state: SupervisorSpec,
    network: SupervisorSpec,
    gateway: ChildSpec,
) -> SupervisorSpec {
    let own = |spec: SupervisorSpec| {
        spec.intensity(10, Duration::from_secs(60))
            .backoff(Backoff::doubling(
                Duration::from_millis(100),
                Duration::from_secs(10),
            ))
            .forget_after(Duration::from_secs(60))
    };
    // Its end is the root's, whatever the reason: see the module.
    let irreplaceable =
        |spec| ChildSpec::supervisor(spec).restart(Restart::Temporary { significant: true });
    SupervisorSpec::rest_for_one("core")
        // For the gateway alone, which nothing depends on: a few tries here, then a new process.
        .intensity(3, Duration::from_secs(60))
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(irreplaceable(own(state)))
        .child(irreplaceable(own(network)))
        .child(irreplaceable(services()))
        .child(irreplaceable(jobs()))
        .child(gateway.shutdown(Shutdown::Timeout(Duration::from_secs(5))))
}

/// The supervisor of the services' trees.
#[must_use]
pub fn services() -> SupervisorSpec {
    let parking = Parking {
        intensity: Intensity::new(2, Duration::from_secs(600)),
        probe: Backoff::doubling(Duration::from_secs(30), Duration::from_secs(3600)),
        proven: Duration::from_secs(120),
    };
    SupervisorSpec::parking(SERVICES, parking)
        .forget_after(Duration::from_secs(600))
        .in_a_row(2)
}

/// The supervisor of jobs under way.
#[must_use]
pub fn jobs() -> SupervisorSpec {
    SupervisorSpec::dynamic(JOBS)
}

/// A supervisor right below a running root.
///
/// # Errors
/// When the root is going down.
pub async fn supervisor(root: &Supervisor, name: &str) -> Result<Supervisor, StartError> {
    let cell = root.child(name).await.map_err(StartError::failed)?;
    cell.as_ref()
        .and_then(Supervisor::from_cell)
        .ok_or(StartError::Ignore)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use coppice_supervision::{Clock, ExitReason, ShutdownDetail};
    use ractor::{Actor, ActorProcessingErr, ActorRef};

    use super::*;

    /// Lives until it is told that something failed.
    struct Branch;

    impl Actor for Branch {
        type Msg = ();
        type State = ();
        type Arguments = bool;

        async fn pre_start(
            &self,
            myself: ActorRef<()>,
            fails: bool,
        ) -> Result<(), ActorProcessingErr> {
            if fails {
                myself.send_message(())?;
            }
            Ok(())
        }

        async fn handle(
            &self,
            _: ActorRef<()>,
            (): (),
            (): &mut (),
        ) -> Result<(), ActorProcessingErr> {
            Err("the kernel refused".into())
        }
    }

    /// A worker, failing for its first `failures` lives, and how often it was started.
    fn worker(name: &'static str, failures: u32) -> (ChildSpec, Arc<AtomicU32>) {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        let spec = ChildSpec::worker(name, move |context| {
            let fails = counted.fetch_add(1, Ordering::SeqCst) < failures;
            async move { context.spawn(Branch, fails).await }
        });
        (spec, starts)
    }

    fn grown(network: ChildSpec, gateway: ChildSpec) -> SupervisorSpec {
        let (watcher, _) = worker("watcher", 0);
        trunk(
            SupervisorSpec::one_for_one("state").child(watcher),
            SupervisorSpec::one_for_one("network").child(network),
            gateway,
        )
        .clock(Clock::following_tokio())
    }

    #[tokio::test(start_paused = true)]
    async fn an_actor_of_the_network_that_fails_for_good_ends_the_core_and_never_leaves_it_without_services()
     {
        let (forwards, tries) = worker("forwards", u32::MAX);
        let (gateway, gateways) = worker("gateway", 0);
        let (_root, ended) = Supervisor::start(grown(forwards, gateway)).await.unwrap();
        let reason = ended.await.unwrap();
        assert!(
            matches!(
                &reason,
                ExitReason::Shutdown(ShutdownDetail::Significant { child, .. })
                    if child.as_str() == "network"
            ),
            "{reason:?}"
        );
        assert_eq!(tries.load(Ordering::SeqCst), 11);
        // It starts after `services`, so it would have been started again with it.
        assert_eq!(gateways.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_actor_of_the_network_that_fails_now_and_then_disturbs_nobody() {
        let (forwards, tries) = worker("forwards", 9);
        let (gateway, gateways) = worker("gateway", 0);
        let (root, ended) = Supervisor::start(grown(forwards, gateway)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(!ended.is_finished());
        assert_eq!(tries.load(Ordering::SeqCst), 10);
        assert_eq!(gateways.load(Ordering::SeqCst), 1);
        let branch = supervisor(&Supervisor::new(root), SERVICES).await;
        assert!(branch.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_services_itself_ends_the_core_too() {
        let (forwards, _) = worker("forwards", 0);
        let (gateway, gateways) = worker("gateway", 0);
        let (root, ended) = Supervisor::start(grown(forwards, gateway)).await.unwrap();
        let cell = Supervisor::new(root)
            .child(SERVICES)
            .await
            .unwrap()
            .unwrap();
        cell.kill();
        assert!(matches!(
            ended.await.unwrap(),
            ExitReason::Shutdown(ShutdownDetail::Significant { .. })
        ));
        assert_eq!(gateways.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_falls_is_started_again_and_nothing_before_it() {
        let (forwards, tries) = worker("forwards", 0);
        let (gateway, gateways) = worker("gateway", 2);
        let (_root, ended) = Supervisor::start(grown(forwards, gateway)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(!ended.is_finished());
        assert_eq!(gateways.load(Ordering::SeqCst), 3);
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }
}

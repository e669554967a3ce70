//! The forest: from the root supervisor to the services' trees.
//!
//! ```text
//! core  rest_for_one
//! ├─ state      one_for_one   the watcher that fires packages' callbacks
//! ├─ network    one_for_one   edge · forwards
//! ├─ services   dynamic, parking: one tree per installed service
//! ├─ jobs       dynamic: one temporary actor per job under way
//! └─ gateway    whatever serves the API
//! ```
//!
//! A service that exceeds its intensity is parked by `services` and nothing above it notices. Only
//! Coppice's own actors escalate: `core` then ends and the heart starts the process anew.

use std::{sync::Arc, time::Duration};

use coppice_supervision::{
    Backoff, ChildSpec, Intensity, Observer, Parking, Shutdown, StartError, Supervisor,
    SupervisorSpec,
};

use crate::{
    host::Host,
    network::{EdgeActor, ForwardsActor, Publish},
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
    let own = |spec: SupervisorSpec| {
        spec.intensity(10, Duration::from_secs(60))
            .backoff(Backoff::doubling(
                Duration::from_millis(100),
                Duration::from_secs(10),
            ))
            .forget_after(Duration::from_secs(60))
    };
    SupervisorSpec::rest_for_one("core")
        .intensity(3, Duration::from_secs(60))
        .observer(observer)
        .child(ChildSpec::supervisor(
            own(SupervisorSpec::one_for_one("state")).child(watcher),
        ))
        .child(ChildSpec::supervisor(
            own(SupervisorSpec::one_for_one("network"))
                .child(edge)
                .child(forwards),
        ))
        .child(services())
        .child(jobs())
        .child(gateway.shutdown(Shutdown::Timeout(Duration::from_secs(5))))
}

/// The supervisor of the services' trees.
pub(crate) fn services() -> ChildSpec {
    let parking = Parking {
        intensity: Intensity::new(2, Duration::from_secs(600)),
        probe: Backoff::doubling(Duration::from_secs(30), Duration::from_secs(3600)),
        proven: Duration::from_secs(120),
    };
    ChildSpec::supervisor(SupervisorSpec::parking(SERVICES, parking))
}

/// The supervisor of jobs under way.
pub(crate) fn jobs() -> ChildSpec {
    ChildSpec::supervisor(SupervisorSpec::dynamic(JOBS))
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

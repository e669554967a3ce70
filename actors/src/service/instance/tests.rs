//! A service's tree over a backend that only keeps account: what a failure takes down, and what it
//! leaves alone.

use coppice_containers::{Called, Inspection};
use coppice_supervision::{Intensity, Parking};
use ractor::ActorCell;

use super::*;
use crate::{
    jobs::{Jobs, Runner},
    observer,
    service::{
        ContainerPhase, parking,
        runtime::{RuntimeMsg, step::Input},
        testing::{self, TestHost},
    },
};

const LONG: Duration = Duration::from_secs(20);

struct Grown {
    at: TestHost,
    service: Arc<ServiceContext>,
    services: Supervisor,
}

/// The tree of a service whose container runs already. `None` without root's rights: its socket is
/// given to the container's root, which only root may do.
async fn grown(parking: Parking) -> Option<Grown> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tried: run as root");
        return None;
    }
    let at = testing::host();
    let service = at.installed("a").await;
    at.runs_already(&service).await;
    let (observe, events) = observer::channel(&at.host);
    tokio::spawn(observer::follow(Arc::clone(&at.host), events));
    let root = SupervisorSpec::one_for_one("core")
        .observer(observe)
        .child(ChildSpec::supervisor(SupervisorSpec::parking(
            "services", parking,
        )));
    let (root, _) = Supervisor::start(root).await.unwrap();
    let services = Supervisor::new(root).child("services").await.unwrap();
    let services = Supervisor::from_cell(&services.unwrap()).unwrap();
    let tree = ChildSpec::supervisor(instance_spec(&service));
    services.add(tree).await.unwrap();
    until("the container is adopted", || {
        phase(&service) == ContainerPhase::Up
    })
    .await;
    Some(Grown {
        at,
        service,
        services,
    })
}

/// Patient: nothing is tried again within a test.
fn parks_at_once() -> Parking {
    Parking {
        intensity: Intensity::new(0, Duration::from_secs(600)),
        probe: Backoff::doubling(Duration::from_secs(600), Duration::from_secs(600)),
        proven: Duration::from_secs(600),
    }
}

fn phase(service: &ServiceContext) -> ContainerPhase {
    service.container.borrow().clone()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "{what}");
}

impl Grown {
    /// The Node runtime comes up and dies, so many times.
    async fn node_dies(&self, times: u64) {
        let before = self.service.failures.borrow().0;
        while self.service.failures.borrow().0 < before + times {
            for input in [
                Input::AgentUp {
                    live: Some(1),
                    next: 1,
                },
                Input::RuntimeEnded {
                    generation: 1,
                    code: Some(1),
                    signal: None,
                },
            ] {
                self.service.runtime_slot.cast(RuntimeMsg::Input(input));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn actor(&self, name: &str) -> Option<ActorCell> {
        let instance = self.services.child("a").await.ok()??;
        let work = Supervisor::from_cell(&instance)?
            .child("work")
            .await
            .ok()??;
        Supervisor::from_cell(&work)?.child(name).await.ok()?
    }

    fn touched(&self) -> Vec<Called> {
        let calls = self.at.backend.calls();
        let ends = |call: &Called| matches!(call, Called::Stop(..) | Called::Destroy(_));
        calls.into_iter().filter(ends).collect()
    }

    async fn runs(&self) -> bool {
        let found = self.at.host.backend.inspect(&self.service.instance).await;
        matches!(found, Ok(Inspection::Running(_)))
    }
}

#[tokio::test]
async fn a_runtime_that_fails_too_often_takes_its_container_with_it() {
    let Some(grown) = grown(parks_at_once()).await else {
        return;
    };
    grown.node_dies(5).await;
    assert_eq!(grown.touched(), [], "work tries by itself first");
    grown.node_dies(1).await;
    until("the container is removed", || grown.touched().len() >= 2).await;
    assert!(!grown.runs().await);
    // Nothing of the old container is adopted: the next one is made, which here means tried.
    until("a new one is wanted", || {
        grown.service.failures.borrow().0 > 6
    })
    .await;
}

#[tokio::test]
async fn an_actor_of_coppice_that_fails_too_often_leaves_the_container_alone() {
    let Some(grown) = grown(parks_at_once()).await else {
        return;
    };
    let mut killed = 0;
    let deadline = tokio::time::Instant::now() + LONG;
    let mut last = None;
    while killed < 6 {
        assert!(tokio::time::Instant::now() < deadline);
        let health = grown.actor("health").await;
        if let Some(health) = health.filter(|one| Some(one.get_id()) != last) {
            last = Some(health.get_id());
            health.kill();
            killed += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until("the tree is up again", || {
        phase(&grown.service) == ContainerPhase::Up
    })
    .await;
    let up = async {
        while grown
            .actor("health")
            .await
            .is_none_or(|one| Some(one.get_id()) == last)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, up).await.is_ok());
    assert_eq!(grown.touched(), []);
    assert!(grown.runs().await);
}

#[tokio::test]
async fn a_parked_service_has_no_container_and_says_why() {
    let Some(grown) = grown(parks_at_once()).await else {
        return;
    };
    grown.node_dies(6).await;
    let entry = || grown.service.entry().unwrap();
    // Its package is in no store, so no new container comes up and the tree gives up as well.
    until("it is parked", || entry().parked.is_some()).await;
    until("what was condemned is gone", || {
        !grown.service.custody.is_condemned()
    })
    .await;
    assert!(!grown.runs().await);
    assert_eq!(phase(&grown.service), ContainerPhase::Down);
    assert!(entry().status_info.health.is_empty());
}

#[tokio::test]
async fn a_stop_leaves_a_parked_service_in_peace_and_a_start_tries_it_again() {
    let Some(grown) = grown(parks_at_once()).await else {
        return;
    };
    let (services, service) = (&grown.services, &grown.service);
    parking::rest(services, service).await;
    assert!(services.child("a").await.is_ok(), "it is not parked");
    grown.node_dies(6).await;
    until("it is parked", || service.entry().unwrap().parked.is_some()).await;
    parking::rest(services, service).await;
    assert!(services.child("a").await.is_err(), "nothing tries it");
    assert_eq!(service.entry().unwrap().parked, None);
    let jobs = Jobs {
        host: Arc::clone(&service.host),
        services: services.clone(),
        runner: Runner::new(services.clone()),
    };
    parking::wake(&jobs, service).await;
    assert!(services.child("a").await.is_ok());
}

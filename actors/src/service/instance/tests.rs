//! A service's tree over a backend that only keeps account: what a failure takes down, and what it
//! leaves alone.

use coppice_containers::{Called, Inspection};
use coppice_supervision::{Intensity, Parking};
use ractor::ActorCell;

use super::*;
use crate::{
    jobs::{Jobs, Runner},
    model::{Cause, CurrentDependency, DependencyKind, DesiredStatus, Link, WaitsFor},
    observer,
    service::{
        ContainerPhase, parking,
        runtime::{RuntimeMsg, step::Input},
        testing::{self, TestHost},
    },
    testing::{LONG, until},
};

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
    wish(&service, DesiredStatus::Running).await;
    at.runs_already(&service).await;
    let (observe, events) = observer::channel(&at.host);
    let root = SupervisorSpec::one_for_one("core")
        .observer(observe)
        .child(ChildSpec::supervisor(SupervisorSpec::parking(
            "services", parking,
        )));
    let (root, _) = Supervisor::start(root).await.unwrap();
    let services = Supervisor::new(root).child("services").await.unwrap();
    let services = Supervisor::from_cell(&services.unwrap()).unwrap();
    let follow = observer::follow(Arc::clone(&at.host), services.clone(), events);
    tokio::spawn(follow);
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

async fn wish(service: &ServiceContext, desired: DesiredStatus) {
    let written = service.update("test", move |entry| {
        entry.status_info.desired = desired;
        Ok(())
    });
    written.await.unwrap();
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

impl Grown {
    /// The Node runtime comes up and dies, so many times.
    async fn node_dies(&self, times: u64) {
        let before = self.service.failures.borrow().0;
        while self.service.failures.borrow().0 < before + times {
            for input in [
                Input::AgentUp {
                    live: Some(1),
                    next: 1,
                    asleep: None,
                },
                Input::RuntimeEnded {
                    generation: 1,
                    code: Some(1),
                    signal: None,
                    oom_kills: None,
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
    let parked = entry().parked.unwrap();
    assert!(
        matches!(&parked.because[..], [Link::Failed { what, .. }] if what == "container"),
        "{parked:?}"
    );
    let record = entry()
        .restarts
        .into_values()
        .find(|one| one.what == "service");
    assert_eq!(record.unwrap().because, parked.because);
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
    assert!(services.child("a").await.is_ok(), "it is wanted running");
    wish(service, DesiredStatus::Stopped).await;
    parking::rest(services, service).await;
    assert!(services.child("a").await.is_err(), "nothing tries it");
    assert_eq!(service.entry().unwrap().parked, None);
    let runner = Runner::new(services.clone());
    let jobs = Jobs::new(Arc::clone(&service.host), services.clone(), runner);
    parking::wake(&jobs, service).await;
    assert!(services.child("a").await.is_ok());
}

#[tokio::test]
async fn a_stopped_service_that_fails_too_often_is_not_tried_again_by_itself() {
    let Some(grown) = grown(parks_at_once()).await else {
        return;
    };
    let (services, service) = (&grown.services, &grown.service);
    wish(service, DesiredStatus::Stopped).await;
    grown.node_dies(6).await;
    let rests = async {
        while services.child("a").await.is_ok() || service.entry().unwrap().parked.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, rests).await.is_ok());
    assert!(!grown.runs().await, "nobody watches a container");
    let told = service.entry().unwrap().restarts;
    assert!(told.values().any(|record| record.what == "service"));
}

/// The service needs this one running and well.
async fn requires(service: &ServiceContext, dependency: &'static str) {
    let written = service.update("test", move |entry| {
        let requirement = CurrentDependency {
            title: None,
            icon: None,
            version_range: "*".to_owned(),
            kind: DependencyKind::Running {
                health_checks: Vec::new(),
            },
        };
        entry
            .current_dependencies
            .insert(dependency.to_owned(), requirement);
        Ok(())
    });
    written.await.unwrap();
}

impl Grown {
    /// The tree of `a`, whose Node died while `db`, which it needs, is stopped.
    async fn held() -> Option<(Self, Arc<ServiceContext>)> {
        let grown = grown(parks_at_once()).await?;
        let db = grown.at.installed("db").await;
        requires(&grown.service, "db").await;
        grown.node_dies(1).await;
        until("it is held", || {
            grown.service.entry().unwrap().held.is_some()
        })
        .await;
        Some((grown, db))
    }
}

#[tokio::test]
async fn what_fails_while_its_dependency_is_down_is_held_until_that_is_well() {
    let Some((grown, db)) = Grown::held().await else {
        return;
    };
    let entry = || grown.service.entry().unwrap();
    let held = entry().held.unwrap();
    assert_eq!(held.waits_for, WaitsFor::Dependency { id: "db".into() });
    assert!(
        held.reason.contains("because its dependency db is stopped"),
        "{}",
        held.reason
    );
    until("its record says so", || {
        let restarts = entry().restarts;
        restarts.values().any(|record| {
            record.what == "runtime"
                && record.cause == Cause::Exit { code: 1 }
                && record.because == held.because
        })
    })
    .await;
    // Nothing fails again, so nothing is counted: it would have been given up after six.
    for _ in 0..20 {
        let again = Input::AgentUp {
            live: Some(1),
            next: 1,
            asleep: None,
        };
        grown.service.runtime_slot.cast(RuntimeMsg::Input(again));
    }
    let written = db.update("test", |entry| {
        entry.status_info.desired = DesiredStatus::Running;
        entry.status_info.started = Some(coppice_clock::Wall::now());
        Ok(())
    });
    written.await.unwrap();
    until("it is let go", || entry().held.is_none()).await;
    assert_eq!(grown.service.failures.borrow().0, 1);
    assert_eq!(grown.touched(), []);
}

#[tokio::test]
async fn a_stop_lets_go_of_a_service_that_is_held() {
    let Some((grown, _db)) = Grown::held().await else {
        return;
    };
    wish(&grown.service, DesiredStatus::Stopped).await;
    grown.service.raise_wish();
    until("it is let go", || {
        grown.service.entry().unwrap().held.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_held_service_whose_actor_is_killed_is_not_shown_as_held_any_more() {
    let Some((grown, _db)) = Grown::held().await else {
        return;
    };
    let runtime = grown.actor("runtime").await.unwrap();
    runtime.kill();
    until("it is not", || {
        grown.service.entry().unwrap().held.is_none()
    })
    .await;
}

/// Fails as soon as it is up.
struct Failing;

impl ractor::Actor for Failing {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ractor::ActorRef<()>,
        (): (),
    ) -> Result<(), ractor::ActorProcessingErr> {
        Ok(myself.send_message(())?)
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<()>,
        (): (),
        (): &mut (),
    ) -> Result<(), ractor::ActorProcessingErr> {
        let failure = coppice_supervision::Failure::text("it ended");
        Err(coppice_supervision::ExitReason::Abnormal(failure).into())
    }
}

#[tokio::test]
async fn daemons_that_cannot_be_kept_running_take_the_container_with_them_at_once() {
    let Some(grown) = grown(parks_at_once()).await else {
        return;
    };
    let hosted = grown.actor("hosted").await.unwrap();
    let hosted = Supervisor::from_cell(&hosted).unwrap();
    // The first restart of each is immediate, and all are counted together.
    for number in 0..11 {
        let child = ChildSpec::worker(number.to_string(), |context| async move {
            context.spawn(Failing, ()).await
        });
        // The last ones find the supervisor on its way out.
        let _ = hosted.add(child).await;
    }
    until("the container is removed", || grown.touched().len() >= 2).await;
    assert!(!grown.runs().await);
}

//! Sagas, cut before every durable write in turn. Whatever was cut, the next life of the core finds the
//! service whole or gone, and never anything between.

use std::fs;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::*;
use crate::{
    model::{Cause, PackageEntry, StateInfo},
    service::{
        RuntimePhase, ServiceContext,
        runtime::{RuntimeMsg, step::Input},
    },
    testing::{ID, Manners, World, files},
};

fn install_from(
    world: &World,
) -> impl FnOnce(Jobs) -> futures_util::future::BoxFuture<'static, Result<String, Problem>> + use<>
{
    let file = world.package();
    move |jobs| Box::pin(async move { install(&jobs, Source::File(file)).await })
}

async fn remove(jobs: Jobs, manner: Manner) -> Result<(), Problem> {
    uninstall(&jobs, ID, manner).await
}

/// How the next life finds the service.
fn found(world: &mut World) -> Option<PackageEntry> {
    let containers = Arc::clone(&world.containers);
    let found = world.live(None, |jobs| async move {
        let entry = jobs.host.document.package(ID);
        assert_eq!(
            jobs.host.document.jobs(),
            Default::default(),
            "a job is left"
        );
        if let Some(service) = jobs.host.service(ID) {
            // Its tree is up: it gets as far as idle by itself.
            wait_initialised(&service, Duration::from_secs(20))
                .await
                .unwrap();
        }
        assert_eq!(containers.runs(ID).await, entry.is_some(), "its container");
        entry
    });
    found.unwrap()
}

/// Everything on the disk that is a service's.
fn belongings(world: &World) -> Vec<String> {
    ["services", "store"]
        .iter()
        .flat_map(|folder| files(&world.data().join(folder)))
        .collect()
}

#[test]
fn an_install_cut_at_any_write_leaves_the_service_whole_or_gone() {
    for writes in 0.. {
        let mut world = World::new();
        let before = belongings(&world);
        let install = install_from(&world);
        let outcome = world.live(Some(writes), install);
        let entry = found(&mut world);
        match entry {
            Some(entry) => assert!(matches!(entry.state_info, StateInfo::Installed { .. })),
            None => assert_eq!(belongings(&world), before, "cut after {writes} writes"),
        }
        // It can be had after all, or is there.
        if found(&mut world).is_none() {
            let again = install_from(&world);
            world.live(None, again).unwrap().unwrap();
        }
        if let Some(installed) = outcome {
            installed.unwrap();
            assert!(
                writes > 5,
                "an install has more than {writes} durable steps"
            );
            return;
        }
    }
}

#[test]
fn an_uninstall_cut_at_any_write_leaves_the_service_whole_or_gone() {
    for writes in 0.. {
        let mut world = World::new();
        let before = belongings(&world);
        let install = install_from(&world);
        world.live(None, install).unwrap().unwrap();
        let outcome = world.live(Some(writes), |jobs| remove(jobs, Manner::default()));
        match found(&mut world) {
            Some(entry) => {
                assert!(matches!(entry.state_info, StateInfo::Installed { .. }));
                assert_eq!(writes, 0, "once it has begun it goes on");
            }
            None => assert_eq!(belongings(&world), before, "cut after {writes} writes"),
        }
        if let Some(removed) = outcome {
            removed.unwrap();
            assert!(
                writes > 3,
                "an uninstall has more than {writes} durable steps"
            );
            return;
        }
    }
}

#[test]
fn volumes_that_were_kept_outlive_a_reinstall_cut_at_any_write() {
    for writes in 0.. {
        let mut world = World::new();
        let first = install_from(&world);
        world.live(None, first).unwrap().unwrap();
        let kept = format!("services/{ID}/volumes/main/kept");
        fs::write(world.data().join(&kept), "sap").unwrap();
        let soft = Manner {
            soft: true,
            ..Manner::default()
        };
        world
            .live(None, move |jobs| remove(jobs, soft))
            .unwrap()
            .unwrap();
        let again = install_from(&world);
        let outcome = world.live(Some(writes), again);
        found(&mut world);
        let data = fs::read_to_string(world.data().join(&kept));
        assert_eq!(data.unwrap(), "sap", "cut after {writes} writes");
        if outcome.is_some() {
            return;
        }
    }
}

#[test]
fn an_install_whose_init_fails_leaves_nothing_and_says_why() {
    let mut world = World::new();
    let before = belongings(&world);
    world.containers.behave(Manners {
        init_fails: Some("frost".to_owned()),
        ..Manners::default()
    });
    let install = install_from(&world);
    let problem = world.live(None, install).unwrap().unwrap_err();
    assert!(problem.details.contains("frost"), "{problem}");
    assert_eq!(belongings(&world), before);
    assert!(found(&mut world).is_none());
}

#[test]
fn an_uninstall_whose_uninit_fails_gives_the_service_back() {
    let mut world = World::new();
    world.containers.behave(Manners {
        uninit_fails: Some("rooted".to_owned()),
        ..Manners::default()
    });
    let install = install_from(&world);
    world.live(None, install).unwrap().unwrap();
    let problem = world
        .live(None, |jobs| remove(jobs, Manner::default()))
        .unwrap()
        .unwrap_err();
    assert!(problem.details.contains("rooted") && problem.details.contains("--force"));
    let entry = found(&mut world).unwrap();
    assert!(matches!(entry.state_info, StateInfo::Installed { .. }));
    let force = Manner {
        force: true,
        ..Manner::default()
    };
    world
        .live(None, move |jobs| remove(jobs, force))
        .unwrap()
        .unwrap();
    assert!(found(&mut world).is_none());
}

/// A runtime whose `uninit` fails, and whose successor is up before anybody has looked.
struct Quick;

impl Actor for Quick {
    type Msg = RuntimeMsg;
    type State = Arc<ServiceContext>;
    type Arguments = Arc<ServiceContext>;

    async fn pre_start(
        &self,
        _myself: ActorRef<RuntimeMsg>,
        service: Arc<ServiceContext>,
    ) -> Result<Arc<ServiceContext>, ActorProcessingErr> {
        Ok(service)
    }

    async fn handle(
        &self,
        _myself: ActorRef<RuntimeMsg>,
        message: RuntimeMsg,
        service: &mut Arc<ServiceContext>,
    ) -> Result<(), ActorProcessingErr> {
        if matches!(message, RuntimeMsg::Input(Input::Exit)) {
            let why = "rooted".to_owned();
            let message = why.clone();
            service.note_failure("uninit", Cause::StopFailed { message }, &why);
            service.phase.send_replace(RuntimePhase::Failed(why));
            service.phase.send_replace(RuntimePhase::Idle);
        }
        Ok(())
    }
}

#[test]
fn a_failed_uninit_is_heard_also_when_the_next_runtime_is_up_at_once() {
    let mut world = World::new();
    let install = install_from(&world);
    let ended = world.live(None, |jobs| async move {
        install(jobs.clone()).await.unwrap();
        let service = jobs.host.service(ID).unwrap();
        let (quick, task) = Actor::spawn(None, Quick, Arc::clone(&service))
            .await
            .unwrap();
        service.runtime_slot.set(quick.clone());
        let ended = uninstall::exit(&jobs, ID, Duration::from_secs(20)).await;
        quick.stop(None);
        task.await.unwrap();
        ended
    });
    let problem = ended.unwrap().unwrap_err();
    assert!(problem.details.contains("rooted"), "{problem}");
}

#[test]
fn what_a_killed_job_leaves_is_removed_by_the_next_uninstall() {
    let mut world = World::new();
    world.containers.behave(Manners {
        init_hangs: true,
        ..Manners::default()
    });
    let before = belongings(&world);
    let install = install_from(&world);
    world
        .live(None, |jobs| async move {
            let installing = tokio::spawn(install(jobs.clone()));
            let mut changes = jobs.host.network.hear();
            // Rung when the entry is there, just before the job goes on.
            changes.changed().await.unwrap();
            while jobs.host.service(ID).is_none() {
                tokio::task::yield_now().await;
            }
            jobs.runner.kill_all().await;
            let ended = installing.await.unwrap().unwrap_err();
            assert!(
                ended.details.contains("coppice package uninstall seedling"),
                "{ended}"
            );
            let entry = jobs.host.document.package(ID).unwrap();
            assert!(matches!(entry.state_info, StateInfo::Installing { .. }));
            uninstall(&jobs, ID, Manner::default()).await.unwrap();
            assert!(jobs.host.document.package(ID).is_none());
        })
        .unwrap();
    assert_eq!(belongings(&world), before);
}

#[test]
fn progress_is_whole_when_every_phase_is() {
    let half = progress(&[("a", Value::Bool(true)), ("b", Value::Null)]);
    assert_eq!(
        half["overall"],
        json!({"done": 1, "total": 2, "units": "steps"})
    );
    let whole = progress(&[("a", Value::Bool(true))]);
    assert_eq!(whole["overall"], true);
}

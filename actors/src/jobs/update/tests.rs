//! Updates, good and bad. However a bad one goes wrong and wherever the core is cut, the version before runs on
//! its data as it was, with all that the document held of it, and a record says why.

mod bad;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::{
    jobs::{Manner, install, uninstall},
    model::{Cause, DesiredStatus, PackageEntry},
    testing::{ID, Manners, World, files, until},
};

const OLD: &str = "1.0.0:0";
const NEW: &str = "2.0.0:0";

/// Begins an update to `file`, and waits until the new version is at its `init`.
async fn up_to_its_init(jobs: &Jobs, file: PathBuf) -> JoinHandle<Result<Installed, Problem>> {
    let updating = tokio::spawn({
        let jobs = jobs.clone();
        async move { install(&jobs, Source::File(file)).await }
    });
    let rows = || jobs.host.document.jobs().into_values();
    until("it is at its init", || rows().any(|row| row.step == "init")).await;
    updating
}

async fn want(jobs: &Jobs, desired: DesiredStatus) {
    let service = jobs.host.service(ID).unwrap();
    let wish = move |entry: &mut PackageEntry| {
        entry.status_info.desired = desired;
        Ok(())
    };
    service.update("test", wish).await.unwrap();
    service.raise_wish();
}

fn phase(jobs: &Jobs) -> RuntimePhase {
    let service = jobs.host.service(ID);
    service.map_or(RuntimePhase::Booting, |one| one.phase.borrow().clone())
}

async fn runs(jobs: &Jobs) {
    until("it runs", || phase(jobs) == RuntimePhase::Running).await;
    // What the start notes is noted.
    let noted = || {
        jobs.host
            .document
            .package(ID)
            .unwrap()
            .status_info
            .started
            .is_some()
    };
    until("its start is noted", noted).await;
}

fn bind(port: u16, wanted: u16, tls_only: bool) -> (&'static str, Value) {
    let secure = tls_only.then(|| json!({ "ssl": true }));
    let add_ssl = tls_only.then(
        || json!({ "preferredExternalPort": 4433, "addXForwardedHeaders": false, "alpn": null }),
    );
    let params = json!({
        "id": "main", "internalPort": port, "preferredExternalPort": wanted,
        "secure": secure, "addSsl": add_ssl,
    });
    ("bind", params)
}

/// A server on which the old version is installed, with data, and runs if it is to.
fn with_old(running: bool) -> World {
    with_old_of(running, |_| {})
}

fn with_old_of(running: bool, changed: impl FnOnce(&mut Value)) -> World {
    let mut world = World::new();
    let old = Manners {
        asks: vec![bind(8080, 20080, false)],
        ..Manners::default()
    };
    world.containers.behave_in(OLD, old);
    let file = world.package_of(OLD, changed);
    world
        .live(None, move |jobs| async move {
            install(&jobs, Source::File(file)).await.unwrap();
            let bound = || !jobs.host.document.package(ID).unwrap().hosts.is_empty();
            until("its port is bound", bound).await;
            if running {
                want(&jobs, DesiredStatus::Running).await;
                runs(&jobs).await;
            }
        })
        .unwrap();
    fs::write(volumes(&world).join("main/kept"), "sap").unwrap();
    fs::write(volumes(&world).join(".version"), OLD).unwrap();
    world
}

fn volumes(world: &World) -> PathBuf {
    world.data().join("services").join(ID).join("volumes")
}

/// All that is on the disk of a service but its logs, and what is in the volume.
fn belongings(world: &World) -> (Vec<String>, String, Option<String>) {
    let mut found = files(&world.data().join("services"));
    found.retain(|path| !path.contains("/logs") && !path.contains("/sub"));
    found.extend(files(&world.data().join("store")));
    let kept = fs::read_to_string(volumes(world).join("main/kept")).unwrap();
    (found, kept, read_version(&volumes(world)).unwrap())
}

/// What the document holds of a service that no bad update may change.
fn held(jobs: &Jobs) -> Value {
    let entry = jobs.host.document.package(ID).unwrap();
    let ports: BTreeMap<u16, String> = jobs.host.document.server().unwrap().ports;
    json!({
        "state": entry.state_info, "icon": entry.icon, "signer": entry.developer_key,
        "tasks": entry.tasks, "actions": entry.actions, "hosts": entry.hosts,
        "dependencies": entry.current_dependencies, "desired": entry.status_info.desired,
        "limits": entry.limits, "root": jobs.host.document.private(ID).unwrap().archive,
        "init": jobs.host.document.private(ID).unwrap().pending_init, "ports": ports,
    })
}

fn state(world: &mut World) -> Value {
    let read = |jobs: Jobs| async move { held(&jobs) };
    world.live(None, read).unwrap()
}

/// Why the last update failed, as the document tells people: once on record, once as a notification.
fn told(jobs: &Jobs) -> Option<String> {
    let entry = jobs.host.document.package(ID)?;
    let failed = entry.restarts.into_values().rev().find_map(|record| {
        assert!(!record.action.is_empty());
        match record.cause {
            Cause::UpdateFailed { to, message } => Some((to, message)),
            _ => None,
        }
    });
    let notified = jobs.host.document.notifications().into_values().next_back();
    let Some((to, message)) = failed else {
        assert_eq!(notified, None);
        return None;
    };
    let notified = notified.unwrap();
    assert_eq!(notified.package_id.as_deref(), Some(ID));
    assert!(notified.title.contains(&to), "{notified:?}");
    assert!(notified.message.contains(&message), "{notified:?}");
    Some(message)
}

/// The old version runs, or rests, as before; with the reason.
async fn is_back(jobs: &Jobs, running: bool, before: &Value) -> Option<String> {
    if running {
        runs(jobs).await;
    } else {
        until("it idles", || phase(jobs) == RuntimePhase::Idle).await;
    }
    assert_eq!(held(jobs), *before);
    assert_eq!(jobs.host.document.jobs(), BTreeMap::new(), "a job is left");
    told(jobs)
}

fn new_package(world: &World) -> PathBuf {
    world.package_of(NEW, |_| {})
}

/// One that changes everything it can before it goes wrong.
fn spoiling() -> Manners {
    let version = ("set-data-version", json!({ "version": NEW }));
    Manners {
        writes: Some("resin".to_owned()),
        // The port that it gives back may go to nobody else, and another one is its own.
        asks: vec![version, bind(8080, 20080, true), bind(9090, 20090, false)],
        ..Manners::default()
    }
}

#[test]
fn a_good_update_keeps_the_data_and_leaves_nothing_of_the_old_version() {
    let mut world = with_old(true);
    let file = new_package(&world);
    world.containers.behave_in(NEW, spoiling());
    let installed = world
        .live(None, move |jobs| async move {
            let old = jobs.host.document.private(ID).unwrap().archive;
            let installed = install(&jobs, Source::File(file)).await.unwrap();
            runs(&jobs).await;
            let kept = jobs.host.document.private(ID).unwrap();
            assert_ne!(kept.archive, old);
            assert_eq!(kept.pending_init, None, "its init was told of the update");
            let store = jobs.host.layout.data.join("store");
            let held = files(&store);
            assert!(held.contains(&format!("{}.toc", kept.archive.root)));
            assert!(!held.contains(&format!("{}.toc", old.root)), "{held:?}");
            assert_eq!(jobs.host.document.jobs(), BTreeMap::new());
            let ports = jobs.host.document.server().unwrap().ports;
            assert!(!ports.contains_key(&20080), "it was given back: {ports:?}");
            assert!(ports.contains_key(&20090), "it was given: {ports:?}");
            let entry = jobs.host.document.package(ID).unwrap();
            assert_eq!(entry.state_info.manifest()["version"], NEW);
            installed
        })
        .unwrap();
    assert_eq!(
        (installed.from.as_deref(), &*installed.version),
        (Some(OLD), NEW)
    );
    let (_, kept, version) = belongings(&world);
    assert_eq!((&*kept, version.as_deref()), ("resin", Some(NEW)));
    let left = files(&world.data().join("services").join(ID));
    assert!(
        !left.iter().any(|path| path.starts_with("snapshot")),
        "{left:?}"
    );
}

#[test]
fn what_was_stopped_is_updated_and_stays_stopped() {
    let mut world = with_old(false);
    let file = new_package(&world);
    // It could not be started.
    let lame = Manners {
        start_fails: Some("lame".to_owned()),
        ..Manners::default()
    };
    world.containers.behave_in(NEW, lame);
    world
        .live(None, move |jobs| async move {
            install(&jobs, Source::File(file)).await.unwrap();
            assert_eq!(phase(&jobs), RuntimePhase::Idle);
            let desired = jobs.host.document.package(ID).unwrap().status_info.desired;
            assert_eq!(desired, DesiredStatus::Stopped);
        })
        .unwrap();
}

#[test]
fn the_same_version_may_be_installed_again() {
    let mut world = with_old(true);
    let (file, before) = (world.package(), state(&mut world));
    world
        .live(None, move |jobs| async move {
            let installed = install(&jobs, Source::File(file)).await.unwrap();
            assert_eq!(installed.from.as_deref(), Some(OLD));
            runs(&jobs).await;
            assert_eq!(held(&jobs)["root"], before["root"]);
        })
        .unwrap();
    assert_eq!(belongings(&world).1, "sap");
}

#[test]
fn an_uninstall_after_an_update_that_was_killed_removes_everything() {
    let mut world = with_old(true);
    let new = Manners {
        init_hangs: true,
        ..spoiling()
    };
    world.containers.behave_in(NEW, new);
    let file = new_package(&world);
    world
        .live(None, move |jobs| async move {
            let updating = up_to_its_init(&jobs, file).await;
            jobs.runner.kill_all().await;
            updating.await.unwrap().unwrap_err();
            uninstall(&jobs, ID, Manner::default()).await.unwrap();
            assert!(jobs.host.document.package(ID).is_none());
        })
        .unwrap();
    assert_eq!(files(&world.data().join("services")), Vec::<String>::new());
    let store = files(&world.data().join("store"));
    assert!(
        !store.iter().any(|path| path.ends_with(".toc")),
        "{store:?}"
    );
}

#[test]
fn a_rebuild_makes_another_container_and_keeps_everything_else() {
    let mut world = with_old(true);
    let (before, things) = (state(&mut world), belongings(&world));
    world
        .live(None, move |jobs| async move {
            runs(&jobs).await;
            let generation = jobs.host.document.private(ID).unwrap().generation;
            crate::jobs::rebuild(&jobs, ID).await.unwrap();
            is_back(&jobs, true, &before).await;
            assert!(jobs.host.document.private(ID).unwrap().generation > generation);
        })
        .unwrap();
    assert_eq!(belongings(&world), things);
}

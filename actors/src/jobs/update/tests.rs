//! Updates, good and bad. However a bad one goes wrong and wherever the core is cut, the version before runs on
//! its data as it was, with all that the document held of it, and a record says why.

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    jobs::{Manner, install, uninstall},
    model::{By, Cause, ChosenLimits, DesiredStatus, PackageEntry},
    service::limits,
    testing::{ID, Manners, World, files},
};

const OLD: &str = "1.0.0:0";
const NEW: &str = "2.0.0:0";
/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let is_so = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(LONG, is_so).await;
    assert!(waited.is_ok(), "{what}: not so after {LONG:?}");
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

/// An update that goes wrong, in a life of its own and then in the next: gives what the asker is told.
fn goes_wrong(world: &mut World, new: Manners, file: PathBuf, reason: &str) -> String {
    let (before, things) = (state(world), belongings(world));
    let running = before["desired"]["main"] == "running";
    world.containers.behave_in(NEW, new);
    let expected = before.clone();
    let (problem, why) = world
        .live(None, move |jobs| async move {
            let problem = install(&jobs, Source::File(file)).await.unwrap_err();
            (problem, is_back(&jobs, running, &expected).await)
        })
        .unwrap();
    assert!(problem.details.contains(reason), "told: {problem}");
    let why = why.unwrap();
    assert!(why.contains(reason), "on record: {why}");
    assert_eq!(belongings(world), things);
    world
        .live(None, move |jobs| async move {
            is_back(&jobs, running, &before).await.unwrap();
        })
        .unwrap();
    problem.details
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
fn bad_1_a_version_that_does_not_start_goes_back() {
    let mut world = with_old(true);
    let new = Manners {
        start_fails: Some("no table `users`".to_owned()),
        ..spoiling()
    };
    let file = new_package(&world);
    let told = goes_wrong(&mut world, new, file, "no table `users`");
    assert!(told.contains("was not updated to 2.0.0:0"), "{told}");
    assert!(
        told.contains("1.0.0:0 is back, on its data as it was"),
        "{told}"
    );
}

#[test]
fn bad_2_a_version_that_starts_and_then_dies_goes_back() {
    let mut world = with_old(true);
    let new = Manners {
        dies_when_up: true,
        ..spoiling()
    };
    let file = new_package(&world);
    goes_wrong(&mut world, new, file, "container ended");
}

#[test]
fn bad_3_a_version_that_is_well_and_fails_in_the_bake_time_goes_back() {
    let mut world = with_old(true);
    let new = Manners {
        check_says: vec!["success", "failure"],
        ..spoiling()
    };
    let file = new_package(&world);
    goes_wrong(
        &mut world,
        new,
        file,
        "its check Web says failure: so it says",
    );
}

#[test]
fn bad_4_a_version_whose_migration_throws_goes_back() {
    let mut world = with_old(true);
    let new = Manners {
        init_fails: Some("column `age` is no number".to_owned()),
        ..spoiling()
    };
    let file = new_package(&world);
    goes_wrong(&mut world, new, file, "column `age` is no number");
}

#[test]
fn bad_5_a_version_whose_migration_hangs_goes_back() {
    let mut world = with_old(true);
    let new = Manners {
        init_hangs: true,
        ..spoiling()
    };
    let file = new_package(&world);
    goes_wrong(&mut world, new, file, "did not end within");
}

#[test]
fn bad_6_a_version_whose_migration_fills_the_disk_goes_back() {
    // On a disk of its own, which only that process sees.
    let disk = tempfile::tempdir().unwrap();
    let mounted = "mount -t tmpfs -o size=768m none \"$0\" && exec \"$@\"";
    let name = "jobs::update::tests::on_a_small_disk";
    let done = Command::new("unshare")
        .args(["--mount", "sh", "-c", mounted])
        .arg(disk.path())
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env("TMPDIR", disk.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "its disk is made by the test before"]
fn on_a_small_disk() {
    let mut world = with_old(true);
    let new = Manners {
        fills_the_disk: true,
        ..spoiling()
    };
    let file = new_package(&world);
    goes_wrong(&mut world, new, file, "No space left on device");
}

/// Refused by looking at it: the installed version goes on without a pause.
fn is_refused(world: &mut World, file: PathBuf, reason: &str) -> Option<String> {
    let (before, things) = (state(world), belongings(world));
    let (problem, why) = world
        .live(None, move |jobs| async move {
            runs(&jobs).await;
            let started = jobs.host.document.package(ID).unwrap().status_info.started;
            let problem = install(&jobs, Source::File(file)).await.unwrap_err();
            let why = is_back(&jobs, true, &before).await;
            let still = jobs.host.document.package(ID).unwrap().status_info.started;
            assert_eq!(still, started, "it was not stopped");
            (problem, why)
        })
        .unwrap();
    assert!(problem.details.contains(reason), "told: {problem}");
    assert_eq!(belongings(world), things);
    why
}

#[test]
fn bad_7_a_version_without_its_image_is_refused() {
    let mut world = with_old(true);
    let file = world.package_of(NEW, |manifest| {
        manifest["images"]["other"] = manifest["images"]["main"].clone();
    });
    is_refused(&mut world, file, "other");
}

#[test]
fn bad_8_a_damaged_package_and_one_with_a_wrong_signature_change_nothing() {
    let mut world = with_old(true);
    let file = new_package(&world);
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let body = b"hsqs, too";
    let at = damaged.windows(body.len()).position(|one| one == body);
    damaged[at.unwrap()] ^= 1;
    fs::write(&file, damaged).unwrap();
    let why = is_refused(&mut world, file.clone(), "").unwrap();
    assert!(!why.is_empty());
    let mut forged = whole;
    forged[40] ^= 1;
    fs::write(&file, forged).unwrap();
    is_refused(&mut world, file, "signature");
}

#[test]
fn bad_9_a_version_that_may_not_follow_is_refused_with_what_counts() {
    let mut world = with_old_of(true, |manifest| manifest["canMigrateTo"] = json!("!"));
    let file = world.package_of(NEW, |manifest| {
        manifest["canMigrateFrom"] = json!(">=1.5:0")
    });
    let why = is_refused(&mut world, file, "install a version in between first").unwrap();
    assert!(why.contains("data of 1.0.0:0"), "{why}");
}

#[test]
fn bad_10_a_version_that_finds_its_port_taken_goes_back_to_the_ports_of_the_old_one() {
    let mut world = with_old(true);
    let new = Manners {
        init_fails: Some("port 20090 is taken".to_owned()),
        init_hangs: false,
        ..spoiling()
    };
    let file = new_package(&world);
    goes_wrong(&mut world, new, file, "port 20090 is taken");
    let ports = state(&mut world)["ports"].clone();
    assert_eq!(ports, json!({ "20080": ID }));
}

/// An update that its owner calls off while the new version's `init` goes on.
fn called_off(stop: bool) {
    let mut world = with_old(true);
    let (before, things) = (state(&mut world), belongings(&world));
    let new = Manners {
        init_hangs: true,
        ..spoiling()
    };
    world.containers.behave_in(NEW, new);
    let file = new_package(&world);
    let (problem, why) = world
        .live(None, move |jobs| async move {
            let updating = tokio::spawn({
                let jobs = jobs.clone();
                async move { install(&jobs, Source::File(file)).await }
            });
            let rows = || jobs.host.document.jobs().into_values();
            until("it is at its init", || rows().any(|row| row.step == "init")).await;
            let entry = jobs.host.document.package(ID).unwrap();
            assert_eq!(entry.state_info.name(), "updating");
            assert_eq!(entry.state_info.manifest()["version"], OLD);
            let by = By::Account {
                name: "admin".to_owned(),
            };
            assert!(jobs.call_off(ID, CalledOff { by, stop }));
            let problem = updating.await.unwrap().unwrap_err();
            let mut before = before;
            if stop {
                before["desired"] = json!({ "main": "stopped" });
            }
            (problem, is_back(&jobs, !stop, &before).await.unwrap())
        })
        .unwrap();
    assert_eq!(problem.kind, Kind::Cancelled);
    assert!(why.contains("called off by admin"), "{why}");
    assert_eq!(belongings(&world), things);
}

#[test]
fn bad_11_an_update_that_its_owner_calls_off_goes_back() {
    called_off(false);
}

#[test]
fn bad_11_a_stop_calls_an_update_off_and_the_old_version_rests() {
    called_off(true);
}

#[test]
fn limits_that_its_owner_sets_during_an_update_outlive_its_way_back() {
    let mut world = with_old(true);
    let new = Manners {
        init_hangs: true,
        ..spoiling()
    };
    world.containers.behave_in(NEW, new);
    let (before, file) = (state(&mut world), new_package(&world));
    let chosen = ChosenLimits {
        pids: Some(100),
        ..ChosenLimits::default()
    };
    let mut after = before;
    after["limits"] = json!(chosen);
    world
        .live(None, move |jobs| async move {
            let updating = tokio::spawn({
                let jobs = jobs.clone();
                async move { install(&jobs, Source::File(file)).await }
            });
            let rows = || jobs.host.document.jobs().into_values();
            until("it is at its init", || rows().any(|row| row.step == "init")).await;
            let service = jobs.host.service(ID).unwrap();
            limits::set(&service, chosen).await.unwrap();
            let by = By::Account {
                name: "admin".to_owned(),
            };
            assert!(jobs.call_off(ID, CalledOff { by, stop: false }));
            updating.await.unwrap().unwrap_err();
            is_back(&jobs, true, &after).await.unwrap();
        })
        .unwrap();
}

#[test]
fn bad_12_an_update_cut_at_any_write_leaves_the_old_or_the_new_version_whole() {
    let mut rolled_back = 0;
    for writes in 0.. {
        let mut world = with_old(true);
        let (before, things) = (state(&mut world), belongings(&world));
        world.containers.behave_in(NEW, spoiling());
        let file = new_package(&world);
        let outcome = world.live(Some(writes), move |jobs| async move {
            install(&jobs, Source::File(file)).await
        });
        let kept = world
            .live(None, move |jobs| async move {
                let entry = jobs.host.document.package(ID).unwrap();
                let version = entry.state_info.manifest()["version"].clone();
                if version == NEW {
                    runs(&jobs).await;
                    assert_eq!(jobs.host.document.jobs(), BTreeMap::new());
                    return true;
                }
                let begun = entry.restarts.values().any(|one| one.what == "update");
                let why = is_back(&jobs, true, &before).await;
                assert_eq!(why.is_some(), begun);
                if let Some(why) = why {
                    assert!(why.contains("Coppice ended"), "{why}");
                }
                false
            })
            .unwrap();
        let now = belongings(&world);
        if kept {
            assert_eq!((&*now.1, now.2.as_deref()), ("resin", Some(NEW)));
            let left = files(&world.data().join("services").join(ID));
            assert!(
                !left.iter().any(|path| path.starts_with("snapshot")),
                "{left:?}"
            );
        } else {
            rolled_back += 1;
            assert_eq!(now, things, "cut after {writes} writes");
        }
        if let Some(installed) = outcome {
            installed.unwrap();
            assert!(
                rolled_back > 8,
                "an update has more than {rolled_back} steps"
            );
            return;
        }
    }
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
            let updating = tokio::spawn({
                let jobs = jobs.clone();
                async move { install(&jobs, Source::File(file)).await }
            });
            let rows = || jobs.host.document.jobs().into_values();
            until("it is at its init", || rows().any(|row| row.step == "init")).await;
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

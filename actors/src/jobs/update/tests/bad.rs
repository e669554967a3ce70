//! Updates that go wrong, each in another way.

use std::{
    env,
    process::{Command, Stdio},
};

use super::*;
use crate::{
    model::{By, ChosenLimits},
    service::limits,
};

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
    let name = "jobs::update::tests::bad::on_a_small_disk";
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
            let updating = up_to_its_init(&jobs, file).await;
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
            let updating = up_to_its_init(&jobs, file).await;
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

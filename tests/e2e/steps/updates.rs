//! A service becomes another version of itself, or stays what it was.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use super::{bad_packages::folder, daemons::plant};
use crate::{
    packages::{ID, Package},
    until::{seconds, until},
    world::World,
};

const OLD: &str = "1.0.0:0";
const NEW: &str = "2.0.0:0";
/// What the old version keeps; each new one writes its own before anything goes wrong.
const SAP: &str = "sap";

pub(super) fn prepare(world: &mut World) {
    world.up();
    plant(world, &version(OLD, &["await keep('sap');"], &[]));
    world.server.cli(&["service", "start", ID]);
    world.healthy(ID);
    assert_eq!(data(world), SAP);
}

/// A version whose `init` migrates by these statements, and whose `main`, when it is up, does those.
fn version(version: &str, init: &[&str], up: &[&str]) -> Package {
    let javascript = format!(
        "
const fs = require('fs');
const nothing = async () => null;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const file = '/media/startos/volumes/main/data';
let checking;
module.exports = {{
  init: async ({{ effects, kind }}) => {{
    const keep = async (what) => {{
      if (kind === null) return;
      fs.writeFileSync(file, what);
      await effects.setDataVersion({{ version: '{version}' }});
    }};
    {}
  }},
  uninit: nothing, createBackup: nothing,
  main: async ({{ effects }}) => {{
    let result = 'success';
    const say = () => effects.setHealth({{ id: 'web', name: 'Web', result, message: 'so it says' }});
    return {{ build: async () => {{
      checking = setInterval(() => say().catch(() => null), 500);
      {}
      return {{ term: async () => clearInterval(checking) }};
    }} }};
  }},
  actions: {{ get: () => undefined }},
}};
",
        init.join("\n"),
        up.join("\n")
    );
    Package::good()
        .field("/version", json!(version))
        .javascript(&javascript)
}

fn file(world: &World, package: &Package) -> PathBuf {
    let file = folder(world).join("next.s9pk");
    fs::write(&file, package.pack(&folder(world))).unwrap();
    file
}

fn volumes(world: &World) -> PathBuf {
    let place = format!("services/{ID}/volumes");
    world.server.data.join(place)
}

fn data(world: &World) -> String {
    fs::read_to_string(volumes(world).join("main/data")).unwrap()
}

/// The old version runs on the old data, nothing is left of the update, and people are told why.
fn is_back(world: &World, why: &str) {
    world.wait_status(ID, "running");
    world.healthy(ID);
    let service = world.server.service(ID).unwrap();
    assert_eq!(service["version"], OLD);
    assert_eq!(data(world), SAP);
    let noted = fs::read_to_string(volumes(world).join(".version")).unwrap();
    assert_eq!(noted, OLD);
    let left = fs::read_dir(volumes(world).parent().unwrap()).unwrap();
    let mut left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let of_update = ["snapshot", "snapshot.partial", "returning"];
    assert_eq!(left.find(|name| of_update.contains(&name.as_str())), None);
    let said = world.server.cli(&["service", "why", ID]);
    let told = said
        .lines()
        .rev()
        .find(|line| line.contains("update: it did not go to"));
    assert!(told.is_some_and(|line| line.contains(why)), "{why}: {said}");
    let notifications = json!({ "pointer": "/public/notifications" }).to_string();
    let notified = world.server.cli(&["call", "db.dump", &notifications]);
    let notified: Value = serde_json::from_str(&notified).unwrap();
    let last = notified["value"].as_object().unwrap().values().next_back();
    let message = last.unwrap()["message"].as_str().unwrap();
    assert!(message.contains(why), "{why}: {message}");
}

/// The update is refused with its reason, and goes back.
fn goes_back(world: &World, package: &Package, why: &str) {
    let file = file(world, package);
    let said = world
        .server
        .refused(&["package", "install", file.to_str().unwrap()]);
    assert!(
        said.contains(why) && said.contains("is back, on its data as it was"),
        "{said}"
    );
    is_back(world, why);
}

pub(super) fn a_version_whose_migration_throws_goes_back(world: &mut World) {
    let init = [
        "await keep('resin');",
        "throw new Error('no column `age`');",
    ];
    goes_back(world, &version(NEW, &init, &[]), "no column `age`");
}

pub(super) fn a_version_that_does_not_start_goes_back(world: &mut World) {
    let up = ["throw new Error('no table `users`');"];
    goes_back(
        world,
        &version(NEW, &["await keep('resin');"], &up),
        "no table `users`",
    );
}

pub(super) fn a_version_that_dies_when_it_is_up_goes_back(world: &mut World) {
    let up = ["setTimeout(() => process.exit(3), 2000);"];
    goes_back(
        world,
        &version(NEW, &["await keep('resin');"], &up),
        "exit code 3",
    );
}

pub(super) fn a_version_that_is_well_and_then_fails_its_check_goes_back(world: &mut World) {
    let up = ["setTimeout(() => { result = 'failure'; }, 3000);"];
    let why = "its check Web says failure: so it says";
    goes_back(world, &version(NEW, &["await keep('resin');"], &up), why);
}

/// Whoever asked for an update whose migration has changed the data and goes on.
fn migrating(world: &mut World) -> Child {
    let init = ["await keep('resin');", "await sleep(600000);"];
    let file = file(world, &version(NEW, &init, &[]));
    let asking = world
        .server
        .command(&["package", "install", file.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the migration is at it", seconds(60), || {
        (data(world) == "resin").then_some(())
    });
    asking
}

pub(super) fn an_update_in_which_the_core_is_killed_goes_back(world: &mut World) {
    let mut asking = migrating(world);
    let state = world.server.service(ID).unwrap();
    assert_eq!(state["status"], "updating");
    world.server.child("core").shoot();
    assert!(!asking.wait().unwrap().success());
    is_back(world, "Coppice ended while it was under way");
}

pub(super) fn an_update_that_is_stopped_goes_back_and_rests(world: &mut World) {
    let mut asking = migrating(world);
    world.server.cli(&["service", "stop", ID]);
    assert!(!asking.wait().unwrap().success());
    world.wait_status(ID, "stopped");
    assert_eq!(data(world), SAP);
    world.server.cli(&["service", "start", ID]);
    is_back(world, "called off by");
}

pub(super) fn a_good_version_stays_and_has_the_data(world: &mut World) {
    let init = [
        "if (fs.readFileSync(file, 'utf8') !== 'sap') throw new Error('other data');",
        "await keep('resin');",
    ];
    // What was migrated is not migrated again.
    let init = ["if (kind === 'update') {", init[0], init[1], "}"];
    let file = file(world, &version(NEW, &init, &[]));
    let said = world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
    assert!(
        said.contains("is updated from 1.0.0:0 to 2.0.0:0"),
        "{said}"
    );
    world.healthy(ID);
    assert_eq!(data(world), "resin");
    assert_eq!(world.server.service(ID).unwrap()["version"], NEW);
    world.server.cli(&["package", "rebuild", ID]);
    world.healthy(ID);
    assert_eq!(data(world), "resin");
}

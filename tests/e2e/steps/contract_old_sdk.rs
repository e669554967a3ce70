//! The contract with packages: those whose bundle SDK 1.x made (`service-abi.md` §0.3). Theirs is the runtime's own
//! test bundle, `container-runtime/runtime/test/sdk-1`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    packages::Package,
    probe::entry,
    until::{seconds, until},
    world::World,
};

const SUNDIAL: &str = "sundial";
const FIRST: &str = include_str!("../../../container-runtime/runtime/test/sdk-1/index.js");
const SECOND: &str = include_str!("../../../container-runtime/runtime/test/sdk-1/index.cjs");

pub(super) fn prepare(world: &mut World) {
    world.up();
    let folder = world.scratch.path("old-sdk");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("sundial.s9pk");
    let package = Package::good()
        .field("/id", json!(SUNDIAL))
        // Of manifests of that time; nobody asks for them any more.
        .member("alerts", json!({ "install": "Mind the sun" }))
        .member("nestedRuntime", json!(false))
        .javascript(FIRST)
        .beside("index.cjs", SECOND);
    fs::write(&file, package.pack(&folder)).unwrap();
    world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
}

fn act(world: &World, action: &str, input: Option<&Value>) -> Value {
    let input = input.map(Value::to_string);
    let mut words = vec!["action", "run", SUNDIAL, action];
    words.extend(input.iter().flat_map(|input| ["--input", input]));
    let said = world.server.cli(&[&words[..], &["--json"]].concat());
    serde_json::from_str(&said).unwrap_or_default()
}

fn page(world: &World) -> String {
    let page = world.client().get("sundial-coppice.local", "/");
    page.unwrap().text()
}

pub(super) fn a_bundle_with_a_second_file_is_initialised_and_its_page_is_served(world: &mut World) {
    let installed = entry(world, SUNDIAL);
    assert_eq!(installed["stateInfo"]["state"], "installed");
    world.server.cli(&["service", "start", SUNDIAL]);
    world.healthy(SUNDIAL);
    assert_eq!(page(world), "<h1>Sundial</h1>");
    let volumes = world
        .server
        .data
        .join("services")
        .join(SUNDIAL)
        .join("volumes");
    assert_eq!(
        fs::read_to_string(volumes.join(".version")).unwrap().trim(),
        "1.0.0:0"
    );
}

pub(super) fn the_one_value_of_its_task_is_what_is_accepted_and_what_is_filled_in(
    world: &mut World,
) {
    let task = || entry(world, SUNDIAL)["tasks"]["sundial:set-name"].clone();
    let (value, before) = (json!({ "name": "Gnomon" }), task());
    assert_eq!(before["active"], true, "{before:#}");
    let input = &before["task"]["input"];
    assert_eq!(
        (&input["accept"], &input["set"]),
        (&json!([value]), &value),
        "{before:#}"
    );
    act(world, "set-name", Some(&value));
    assert_eq!(task()["active"], false);
    assert_eq!(page(world), "<h1>Gnomon</h1>");
}

pub(super) fn interfaces_are_read_by_their_id_and_a_change_of_one_is_told(world: &mut World) {
    let seen = || -> Vec<Value> {
        let said = act(world, "see", None);
        serde_json::from_str(said["message"].as_str().unwrap()).unwrap()
    };
    let read = |name: &str| json!({ "one": name, "all": ["ui"] });
    assert_eq!(seen().last(), Some(&read("The page")));
    act(world, "rename", None);
    until("it hears of the other name", seconds(10), || {
        (seen().last() == Some(&read("The page of another name"))).then_some(())
    });
}

pub(super) fn it_may_say_itself_whether_it_runs(world: &mut World) {
    let started = || entry(world, SUNDIAL)["statusInfo"]["started"].clone();
    assert!(started().is_string());
    act(world, "say-stopped", None);
    assert!(started().is_null());
    act(world, "say-running", None);
    assert!(started().is_string());
    world.server.cli(&["package", "uninstall", SUNDIAL]);
}

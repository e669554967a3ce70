//! Four packages on the published StartOS SDK, each of another kind, through everything that a package lives through:
//! a database with backups, one that depends on it, one with many ways in, one whose daemons are as its settings say.
//! Their code: `sdk/examples/test/packages`.

mod restoring;
mod settings;
mod ways_in;

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
};

use serde_json::{Value, json};

pub(super) use self::{
    restoring::a_backup_is_restored_by_an_init_of_that_kind,
    settings::a_setting_disturbs_the_daemons_that_it_concerns_and_no_others,
    ways_in::every_way_in_leads_where_the_package_says,
};
use super::removal::uninstall;
use crate::{
    probe::entry,
    traces::Traces,
    until::{seconds, until},
    world::World,
};

const LEDGER: &str = "ledger";
const GREENHOUSE: &str = "greenhouse";
const LIGHTHOUSE: &str = "lighthouse";
const WEATHERVANE: &str = "weathervane";
/// Each after what it depends on.
const ALL: [&str; 4] = [LEDGER, GREENHOUSE, LIGHTHOUSE, WEATHERVANE];

const OLD: &str = "1.0.0";
const GOOD: &str = "2.0.0";
const BAD: &str = "2.1.0";

pub(super) fn prepare(world: &mut World) {
    world.up();
}

fn file(id: &str, version: &str) -> PathBuf {
    World::example(&format!("{id}-{version}"))
}

fn install(world: &World, id: &str, version: &str) {
    let file = file(id, version);
    world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
}

fn run_action(world: &World, id: &str, action: &str, input: &Value) -> Value {
    let input = input.to_string();
    let mut words = vec!["action", "run", id, action];
    if input != "null" {
        words.extend(["--input", input.as_str()]);
    }
    let said = world.server.cli(&[&words[..], &["--json"]].concat());
    // An action may have nothing to show.
    serde_json::from_str(&said).unwrap_or_default()
}

/// What an action says in its message, which is JSON.
fn told(world: &World, id: &str, action: &str) -> Value {
    let result = run_action(world, id, action, &Value::Null);
    serde_json::from_str(result["message"].as_str().unwrap()).unwrap()
}

/// Starts it and waits until all these checks are green.
fn start(world: &World, id: &str, checks: &[&str]) {
    world.server.cli(&["service", "start", id]);
    green(world, id, checks);
}

fn green(world: &World, id: &str, checks: &[&str]) {
    until(
        &format!("{checks:?} of `{id}` are well"),
        seconds(60),
        || {
            let health = &entry(world, id)["statusInfo"]["health"];
            let well = |check: &&str| health[*check]["result"] == "success";
            let runs = world.server.service(id)?["status"] == "running";
            (runs && checks.iter().all(well)).then_some(())
        },
    );
}

const LEDGERS_CHECKS: [&str; 3] = ["postgres", "web", "entries"];

/// One of the values that the ledger's report shows.
fn reported(world: &World, name: &str) -> Value {
    let report = run_action(world, LEDGER, "report", &Value::Null);
    let values = report["result"]["value"].as_array().unwrap();
    let mut found = values.iter().filter(|one| one["name"] == name);
    found.next().unwrap()["value"].clone()
}

fn publish(world: &World, published: bool) {
    let input = json!({ "published": published, "note": null });
    run_action(world, LEDGER, "publish", &input);
}

fn set_stations(world: &World, stations: &[(&str, &str)]) {
    let stations: Vec<Value> = stations
        .iter()
        .map(|(name, wind)| json!({ "name": name, "wind": wind }))
        .collect();
    run_action(
        world,
        WEATHERVANE,
        "set-stations",
        &json!({ "stations": stations }),
    );
}

pub(super) fn a_critical_task_of_the_packages_own_blocks_its_start_until_it_is_done(
    world: &mut World,
) {
    for (id, action, reason) in [
        (LEDGER, "set-owner", "Whose ledger is this?"),
        (
            WEATHERVANE,
            "set-stations",
            "Without stations there is no wind",
        ),
    ] {
        install(world, id, OLD);
        assert_eq!(world.server.service(id).unwrap()["status"], "needs-task");
        let said = world.server.refused(&["service", "start", id]);
        assert!(said.contains(action) && said.contains(reason), "{said}");
    }
    run_action(world, LEDGER, "set-owner", &json!({ "owner": "Ada" }));
    set_stations(world, &[("oak", "west"), ("elm", "north")]);
    start(world, LEDGER, &LEDGERS_CHECKS);
    start(world, WEATHERVANE, &["station-oak", "station-elm"]);
}

pub(super) fn a_critical_task_on_another_service_stops_it_whenever_that_one_is_otherwise(
    world: &mut World,
) {
    install(world, GREENHOUSE, OLD);
    let said = world.server.refused(&["service", "start", GREENHOUSE]);
    assert!(said.contains("`publish` of `ledger`"), "{said}");
    publish(world, true);
    start(world, GREENHOUSE, &["web", "ledger"]);
    publish(world, false);
    let stopped = world.wait_status(GREENHOUSE, "needs-task");
    assert_eq!(stopped["detail"], "The greenhouse shows the ledger");
    publish(world, true);
    start(world, GREENHOUSE, &["web", "ledger"]);
    green(world, LEDGER, &LEDGERS_CHECKS);
}

pub(super) fn actions_read_and_write_what_the_daemons_keep(world: &mut World) {
    let what = "it's a spade; DROP TABLE entries";
    let entered = json!({ "what": what, "cents": 250 });
    let written = run_action(world, LEDGER, "add-entry", &entered);
    assert_eq!(written["result"]["value"], "1", "{written:#}");
    // The greenhouse runs an action of the ledger's.
    let bed = json!({ "name": "south", "cents": 1200 });
    let written = run_action(world, GREENHOUSE, "add-bed", &bed);
    assert_eq!(written["result"]["value"], "2", "{written:#}");
    assert_eq!(reported(world, "Cents"), "1450");
    assert_eq!(reported(world, "Columns"), "id what cents");
    let neighbours = told(world, GREENHOUSE, "neighbours");
    for (name, expected) in [
        ("satisfied", json!(true)),
        ("version", json!("1.0.0:0")),
        ("started", json!(true)),
        ("address", json!(world.server.address(LEDGER))),
        ("dataVersion", json!("1.0.0:0")),
    ] {
        assert_eq!(neighbours[name], expected, "{neighbours:#}");
    }
    // What an action's description is made of has changed.
    until("there are two beds", seconds(20), || {
        (entry(world, GREENHOUSE)["actions"]["add-bed"]["description"] == "There are 2")
            .then_some(())
    });
    green(world, GREENHOUSE, &["web", "ledger"]);
}

/// An update that somebody asks for, on its way.
fn updating(world: &World, id: &str, version: &str) -> Child {
    let file = file(id, version);
    let mut asked = world
        .server
        .command(&["package", "install", file.to_str().unwrap()]);
    asked
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Updates all of them at once; gives whether each succeeded, and what was said.
fn update_all(world: &World, version: &str) -> Vec<(bool, String)> {
    let all = ALL.map(|id| updating(world, id, version));
    let waiting = all.map(|asked| thread::spawn(move || asked.wait_with_output().unwrap()));
    waiting
        .into_iter()
        .map(|output| output.join().unwrap())
        .map(|output| {
            let said = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&said).into_owned(),
            )
        })
        .collect()
}

fn all_are_green(world: &World) {
    green(world, LEDGER, &LEDGERS_CHECKS);
    green(world, GREENHOUSE, &["web", "ledger"]);
    green(world, LIGHTHOUSE, &["lamps", "api"]);
}

fn in_volume(world: &World, id: &str, name: &str) -> String {
    let file = format!("services/{id}/volumes/{name}");
    fs::read_to_string(world.server.data.join(file)).unwrap()
}

pub(super) fn a_good_update_migrates_what_each_of_them_keeps(world: &mut World) {
    for (succeeded, said) in update_all(world, GOOD) {
        assert!(
            succeeded && said.contains("from 1.0.0:0 to 2.0.0:0"),
            "{said}"
        );
    }
    all_are_green(world);
    for id in ALL {
        assert_eq!(in_volume(world, id, ".version"), "2.0.0:0");
    }
    assert_eq!(reported(world, "Columns"), "id what cents tag");
    assert_eq!(reported(world, "Currency"), r#"{"code":"EUR","digits":2}"#);
    assert_eq!(reported(world, "Cents"), "1450");
    let beds = in_volume(world, GREENHOUSE, "main/beds.yaml");
    assert_eq!(beds.matches("crop: kale").count(), 2, "{beds}");
    let seen = in_volume(world, LIGHTHOUSE, "main/seen.toml");
    assert!(seen.contains(r#"lamp = "led""#), "{seen}");
    let stations = in_volume(world, WEATHERVANE, "main/stations.yaml");
    assert!(stations.contains("every: 2"), "{stations}");
    // What a version has no more is gone, and what it has besides is there.
    let hosts = entry(world, LIGHTHOUSE)["hosts"].clone();
    let page = &hosts["ui"]["bindings"]["8080"]["interfaces"];
    assert!(
        page["page"].is_object() && page["keeper"].is_null(),
        "{page:#}"
    );
    let metrics = &hosts["metrics"]["bindings"]["9100"]["interfaces"]["metrics"];
    assert!(metrics.is_object(), "{hosts:#}");
}

/// What a failed update must leave as it was; times and health aside.
fn kept(world: &World, id: &str) -> Value {
    let entry = entry(world, id);
    let files = match id {
        LEDGER => in_volume(world, id, "main/store.json"),
        GREENHOUSE => in_volume(world, id, "main/beds.yaml"),
        LIGHTHOUSE => in_volume(world, id, "main/seen.toml").replace("starts", ""),
        _ => in_volume(world, id, "main/stations.yaml") + &in_volume(world, id, "main/vane.env"),
    };
    let lines: Vec<&str> = files
        .lines()
        .filter(|line| !line.starts_with(" ="))
        .collect();
    json!({
        "version": entry["stateInfo"]["manifest"]["version"],
        "dataVersion": in_volume(world, id, ".version"),
        "files": lines,
        "tasks": entry["tasks"],
        "actions": entry["actions"],
        "hosts": entry["hosts"],
        "dependencies": entry["currentDependencies"],
    })
}

pub(super) fn a_bad_update_goes_back_whole_and_says_why(world: &mut World) {
    let before = ALL.map(|id| kept(world, id));
    let said = update_all(world, BAD);
    for ((id, why), (succeeded, said)) in [
        (LEDGER, "the entries are in no known words"),
        (
            GREENHOUSE,
            "its check Page says failure: Nobody serves the page",
        ),
        (LIGHTHOUSE, "its check Page says failure: Page is dark"),
        (WEATHERVANE, "ended with exit code 3"),
    ]
    .into_iter()
    .zip(said)
    {
        assert!(!succeeded && said.contains(why), "{said}");
        assert!(
            said.contains("2.0.0:0 is back, on its data as it was"),
            "{said}"
        );
        let told = world.server.cli(&["service", "why", id]);
        assert!(
            told.contains("update: it did not go to 2.1.0:0") && told.contains(why),
            "{told}"
        );
        let notices = world.server.json(&["notification", "list", "-n", "20"]);
        let notices = notices.as_array().unwrap();
        let notice = notices.iter().find(|one| one["packageId"] == id).unwrap();
        let message = notice["message"].as_str().unwrap();
        assert!(
            notice["level"] == "error" && message.contains(why),
            "{notice:#}"
        );
    }
    all_are_green(world);
    let after = ALL.map(|id| kept(world, id));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after, before);
    }
    assert_eq!(reported(world, "Cents"), "1450");
    assert_eq!(reported(world, "Columns"), "id what cents tag");
}

pub(super) fn the_version_before_gets_data_that_the_later_one_has_turned_back(world: &mut World) {
    world.server.cli(&["service", "stop", LEDGER]);
    world.wait_status(LEDGER, "stopped");
    install(world, LEDGER, OLD);
    assert_eq!(in_volume(world, LEDGER, ".version"), "1.0.0:0");
    start(world, LEDGER, &LEDGERS_CHECKS);
    assert_eq!(reported(world, "Columns"), "id what cents");
    assert_eq!(reported(world, "Cents"), "1450");
}

pub(super) fn a_soft_uninstall_keeps_the_data_for_the_next_install_and_a_hard_one_nothing(
    world: &mut World,
) {
    let stations = in_volume(world, WEATHERVANE, "main/stations.yaml");
    world
        .server
        .cli(&["package", "uninstall", WEATHERVANE, "--soft"]);
    assert!(!world.is_installed(WEATHERVANE));
    install(world, WEATHERVANE, GOOD);
    assert_eq!(
        in_volume(world, WEATHERVANE, "main/stations.yaml"),
        stations
    );
    // It is told of an update, so it does not ask for what it has.
    assert_eq!(
        world.server.service(WEATHERVANE).unwrap()["status"],
        "stopped"
    );
    start(world, WEATHERVANE, &["station-oak", "station-ash"]);
    world.server.cli(&["package", "uninstall", WEATHERVANE]);
    let left = Traces::of(&world.server).naming(WEATHERVANE);
    assert!(left.is_empty(), "{left:#?}");
    for id in [GREENHOUSE, LIGHTHOUSE, LEDGER] {
        uninstall(world, id);
    }
}

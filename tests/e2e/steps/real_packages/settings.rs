//! Daemons that are as a file says: `Daemons.dynamic`, and files that are watched.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{WEATHERVANE, green, run_action, set_stations};
use crate::{
    probe::entry,
    processes::{Process, command_line},
    until::{seconds, until},
    world::World,
};

/// The processes of the stations, by their wind's folder: the shell that turns each.
fn turning(world: &World) -> BTreeMap<String, Process> {
    let name = |process: &Process| {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let name = variables.find_map(|one| one.strip_prefix(b"NAME="))?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    let all = world.server.processes(WEATHERVANE).into_iter();
    all.filter(|process| command_line(process.pid).starts_with("sh "))
        .filter_map(|process| Some((name(&process)?, process)))
        .collect()
}

/// What was written down of the service, by number.
fn records(world: &World) -> Vec<Value> {
    let why = world.server.json(&["service", "why", WEATHERVANE]);
    why["restarts"].as_array().unwrap().clone()
}

pub(in super::super) fn a_setting_disturbs_the_daemons_that_it_concerns_and_no_others(
    world: &mut World,
) {
    let (before, told) = (turning(world), records(world));
    assert_eq!(before.keys().collect::<Vec<_>>(), ["elm", "oak"]);
    set_stations(world, &[("oak", "west"), ("ash", "east")]);
    green(world, WEATHERVANE, &["station-oak", "station-ash"]);
    until("the elm is felled", seconds(20), || {
        (!before["elm"].lives()).then_some(())
    });
    assert!(before["oak"].lives(), "nothing was said of the oak");
    assert_eq!(turning(world).keys().collect::<Vec<_>>(), ["ash", "oak"]);
    assert_eq!(records(world), told, "what the package wanted is no death");
    let described = &entry(world, WEATHERVANE)["actions"]["set-stations"]["description"];
    assert_eq!(described, "oak, ash");

    // A step of `init` watches the same file, and speaks up for one name.
    set_stations(
        world,
        &[("oak", "west"), ("ash", "east"), ("storm", "north")],
    );
    green(world, WEATHERVANE, &["station-storm"]);
    let notices = || {
        let all = world.server.json(&["notification", "list", "-n", "20"]);
        let of = |one: &&Value| one["packageId"] == WEATHERVANE && one["title"] == "Storm";
        all.as_array().unwrap().iter().filter(of).count()
    };
    until("it warns", seconds(20), || (notices() == 1).then_some(()));
    set_stations(world, &[("oak", "west"), ("ash", "east")]);

    // What `main` itself reads concerns all of them: one restart, which is on record, and no second.
    run_action(
        world,
        WEATHERVANE,
        "set-unit",
        &json!({ "unit": "beaufort" }),
    );
    let unit = || {
        let health = entry(world, WEATHERVANE)["statusInfo"]["health"].clone();
        (health["station-oak"]["message"] == "west beaufort").then_some(health)
    };
    let health = until("the oak turns in the other unit", seconds(30), unit);
    assert!(health["station-elm"].is_null(), "{health:#}");
    green(world, WEATHERVANE, &["station-oak", "station-ash"]);
    let started = entry(world, WEATHERVANE)["statusInfo"]["started"].clone();
    let new: Vec<Value> = records(world).split_off(told.len());
    assert_eq!(new.len(), 1, "{new:#?}");
    assert_eq!(
        new[0]["cause"],
        json!({ "kind": "operator", "by": "package", "asked": "restart" })
    );
    assert_eq!(notices(), 1);
    // Three rounds of each check later it is still the same start.
    let reports = turning(world);
    until("all still turn", seconds(5), || {
        reports.values().all(Process::lives).then_some(())
    });
    assert_eq!(entry(world, WEATHERVANE)["statusInfo"]["started"], started);
    assert!(
        world
            .server
            .cli(&["service", "why", WEATHERVANE])
            .contains("restarted by its package")
    );
}

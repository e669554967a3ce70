//! One service takes whatever it can get: the API still answers, and its neighbours stay well.

use std::time::Duration;

use coppice_clock::Mono;
use serde_json::{Value, json};

use super::{daemons::plant, hello::page};
use crate::{
    packages::{ID, Package},
    until::{seconds, until},
    world::World,
};

/// How long each may rage.
const LONG: Duration = Duration::from_secs(10);
/// What 99 of 100 calls take at most.
const PROMISED: Duration = Duration::from_millis(500);
/// Calls that a measurement needs at least, to have a hundredth.
const LEAST: usize = 100;

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

/// What is told of a hog at its end.
struct Told {
    /// Its restart records.
    records: Value,
    /// What its leaf has counted.
    usage: Value,
}

/// Has a daemon with this command rage, and calls the API meanwhile, as fast as it answers.
fn endure(world: &mut World, command: &[&str], limits: &[&str]) -> Told {
    let daemon = json!([{ "id": "hog", "command": command, "graceMs": 1 }]);
    plant(world, &Package::good().declaring(&daemon));
    world
        .server
        .cli(&[&["service", "limits", ID], limits].concat());
    world.server.cli(&["service", "start", ID]);
    let session = world.session();
    let mut took = Vec::new();
    let began = Mono::now();
    while Mono::now().since(began) < LONG || took.len() < LEAST {
        let asked = Mono::now();
        let list = session.call("package.overview", json!({}));
        took.push(Mono::now().since(asked));
        let hello = list
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["id"] == "hello");
        assert_eq!(hello.unwrap()["status"], "running", "{list:#}");
    }
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "     {} calls: p50 {:?}, p99 {:?}, most {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(at(99) < PROMISED, "p99 is {:?}", at(99));
    assert!(page(world).contains("<h1>"), "hello serves its page");
    world.healthy("hello");
    let told = Told {
        records: world.server.json(&["service", "why", ID])["restarts"].clone(),
        usage: world.server.json(&["service", "ps", ID])["hog.1"]["usage"].clone(),
    };
    // The hog's own doing: it may be anything but in the way of being removed.
    world.server.cli(&["package", "uninstall", ID, "--force"]);
    until("nothing of it is left", seconds(30), || {
        world.server.processes(ID).is_empty().then_some(())
    });
    told
}

pub(super) fn a_fork_bomb_disturbs_nobody(world: &mut World) {
    let bomb = "bomb() { bomb | bomb & }; bomb; sleep 1000";
    let told = endure(world, &["/bin/sh", "-c", bomb], &[]);
    let pids = told.usage["pids"].as_u64();
    assert!(
        pids.is_some_and(|pids| pids > 1000),
        "it raged: {:#}",
        told.usage
    );
}

pub(super) fn a_memory_hog_disturbs_nobody(world: &mut World) {
    let eat = "const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1));";
    // Coppice's own limit is a part of this machine's memory that others on it may want for themselves.
    let told = endure(world, &["/usr/bin/node", "-e", eat], &["--memory", "1G"]);
    let oom = |record: &Value| record["what"] == "daemon hog" && record["cause"]["kind"] == "oom";
    let mut records = told.records.as_array().unwrap().iter();
    assert!(records.any(oom), "it raged: {:#}", told.records);
}

pub(super) fn a_cpu_hog_disturbs_nobody(world: &mut World) {
    let spin =
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do while :; do :; done & done; wait";
    let told = endure(world, &["/bin/sh", "-c", spin], &[]);
    let spent = told.usage["cpuUs"].as_u64();
    assert!(
        spent.is_some_and(|us| us > 1_000_000),
        "it raged: {:#}",
        told.usage
    );
}

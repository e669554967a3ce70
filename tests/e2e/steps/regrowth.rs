//! kill -9 inside a service: each part comes back, and the others stay as their strategy says.

use std::time::Duration;

use coppice_clock::Mono;
use serde_json::json;

use super::hello::{NAME, greet, page};
use crate::{
    processes::Process,
    until::{patiently, seconds, until},
    world::World,
};

const WITHIN: Duration = Duration::from_millis(100);

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

/// The successor of a process, once it runs the same program.
fn successor(world: &World, of: &Process, within: Duration, every: Duration) -> Option<Process> {
    patiently(within, every, || {
        let all = world.server.processes("hello");
        all.into_iter().find(|process| {
            process.name == of.name && process.started >= of.started && process.pid != of.pid
        })
    })
}

pub(super) fn a_killed_daemon_has_a_successor_within_100_ms(world: &mut World) {
    // Coppice waits longer after every crash in a row, so this is the first one.
    world.server.cli(&["service", "stop", "hello"]);
    world.wait_status("hello", "stopped");
    world.server.cli(&["service", "start", "hello"]);
    world.healthy("hello");
    let (init, node, daemon) = (
        world.server.init("hello"),
        world.server.process("hello", "node"),
        world.server.process("hello", "hello"),
    );
    daemon.shoot();
    let shot = Mono::now();
    let next = successor(world, &daemon, seconds(20), Duration::from_millis(1));
    let took = Mono::now().since(shot);
    assert!(next.is_some(), "the daemon does not come back");
    println!("     a new daemon after {} ms", took.as_millis());
    // How fast an emulated processor is says nothing.
    let emulated = std::env::var_os("COPPICE_E2E_EMULATED").is_some();
    assert!(
        emulated || took <= WITHIN,
        "its successor came after {} ms",
        took.as_millis()
    );
    assert!(
        init.lives() && node.lives(),
        "the container and its runtime stay up"
    );
    until("the page is back", seconds(10), || {
        page(world).contains("<h1>").then_some(())
    });
    world.healthy("hello");
}

pub(super) fn its_restart_record_names_the_signal(world: &mut World) {
    let before = world.server.last_restart("hello");
    let daemon = world.server.process("hello", "hello");
    daemon.shoot();
    let record = world.server.new_restart("hello", "daemon server", &before);
    assert_eq!(
        record["cause"],
        json!({ "kind": "signal", "signal": 9 }),
        "{record:#}"
    );
    assert!(
        record["ranMs"].as_u64().is_some_and(|ran| ran > 0),
        "{record:#}"
    );
    let logs = record["logs"].as_array().unwrap();
    assert!(
        logs.iter()
            .any(|line| line.as_str().unwrap().contains("listening on port 8080")),
        "its last lines: {record:#}"
    );
    let said = world.server.cli(&["service", "why", "hello"]);
    assert!(
        said.contains("daemon server: it was ended by SIGKILL after "),
        "{said}"
    );
    successor(world, &daemon, seconds(30), Duration::from_millis(20)).unwrap();
    world.healthy("hello");
}

pub(super) fn a_killed_runtime_comes_back_under_its_living_neighbours(world: &mut World) {
    let (init, node) = (
        world.server.init("hello"),
        world.server.process("hello", "node"),
    );
    let before = world.server.last_restart("hello");
    node.shoot();
    let record = world.server.new_restart("hello", "runtime", &before);
    let sigkill = json!({ "kind": "signal", "signal": 9 });
    assert_eq!(record["cause"], sigkill, "{record:#}");
    let next = successor(world, &node, seconds(10), Duration::from_millis(20)).unwrap();
    assert!(next.lives() && init.lives(), "the container stays up");
    until("the page is back", seconds(20), || {
        page(world).contains("<h1>").then_some(())
    });
    world.healthy("hello");
    // One daemon, not two: what the new runtime declares is what the old one did, and runs already.
    world.server.process("hello", "hello");
    let roots = world.server.data.join("services/hello/sub");
    assert_eq!(roots.read_dir().unwrap().count(), 1, "{}", roots.display());
    greet(world, "Grown again");
}

pub(super) fn a_killed_pid_1_brings_a_new_container(world: &mut World) {
    greet(world, "Twice grown");
    let (init, before) = (
        world.server.init("hello"),
        world.server.last_restart("hello"),
    );
    let neighbours: Vec<Process> = ["miniflux", "syncthing"]
        .into_iter()
        .filter(|id| world.is_installed(id))
        .map(|id| world.server.init(id))
        .collect();
    init.shoot();
    let record = world.server.new_restart("hello", "container", &before);
    // The monitor is its parent, and older kernels tell only the parent.
    let cause = if kernel_is_at_least(6, 15) {
        json!({ "kind": "signal", "signal": 9 })
    } else {
        json!({ "kind": "container-died" })
    };
    assert_eq!(record["cause"], cause, "{record:#}");
    let meanwhile = world.server.json(&["service", "status", "hello"]);
    assert_ne!(
        meanwhile["summary"]["status"], "running",
        "nothing of it is up: {meanwhile:#}"
    );
    until("there is a new container", seconds(20), || {
        let all = world.server.processes("hello");
        all.iter()
            .any(|process| process.name == "hello")
            .then_some(())
    });
    world.healthy("hello");
    assert_ne!(world.server.init("hello"), init);
    assert_eq!(world.client().get(NAME, "/").unwrap().status, 200);
    assert!(page(world).contains("Twice grown"), "its data is as it was");
    assert!(
        neighbours.iter().all(Process::lives),
        "other services have nothing to do with it"
    );
}

pub(super) fn a_killed_monitor_brings_a_new_container(world: &mut World) {
    let (init, before) = (
        world.server.init("hello"),
        world.server.last_restart("hello"),
    );
    // Its container goes down with it: they share a life, and the kernel ends the other.
    world.server.monitor("hello").shoot();
    world.server.new_restart("hello", "container", &before);
    until("the old container is gone", seconds(10), || {
        (!init.lives()).then_some(())
    });
    world.healthy("hello");
    assert_eq!(world.client().get(NAME, "/").unwrap().status, 200);
}

/// Shot as soon as it is back, until its supervisors give up on what it runs in.
pub(super) fn a_runtime_that_cannot_be_kept_up_gets_a_new_container(world: &mut World) {
    let (init, before) = (
        world.server.init("hello"),
        world.server.last_restart("hello"),
    );
    let mut node = world.server.process("hello", "node");
    let mut shots = 0;
    while init.lives() && shots < 8 {
        node.shoot();
        shots += 1;
        let next = successor(world, &node, seconds(60), Duration::from_millis(20));
        node = next.expect("there is a new runtime, in the old container or in a new one");
    }
    assert!(!init.lives(), "the container outlived {shots} runtimes");
    world.server.new_restart("hello", "runtime", &before);
    world.healthy("hello");
    assert_ne!(world.server.init("hello"), init);
    assert_eq!(world.client().get(NAME, "/").unwrap().status, 200);
}

fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = nix::sys::utsname::uname().unwrap();
    let release = release.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

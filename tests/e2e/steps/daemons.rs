//! Daemons that a package declares as data and Coppice keeps running, and what a service may use.

use std::{fs, time::Duration};

use coppice_clock::Mono;
use serde_json::{Value, json};

use super::bad_packages::folder;
use crate::{
    packages::{ID, Package},
    processes::{Process, cgroups_named, command_line},
    until::{patiently, seconds, until},
    world::World,
};

/// In the container's own root.
const PLAIN: &str = "/bin/sleep 90001";
/// In a root over the package's image.
const IMAGED: &str = "/bin/sleep 90002";
/// Does not care for SIGTERM.
const STUBBORN: &str = "/bin/sh -c trap '' TERM; while :; do sleep 1; done";
const GRACE: Duration = Duration::from_millis(1500);

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
    let daemons = json!([
        { "id": "plain", "command": ["/bin/sleep", "90001"] },
        {
            // Pid 1 of its namespace, where SIGTERM does nothing to a program that does not ask for it.
            "id": "imaged", "command": ["/bin/sleep", "90002"], "graceMs": 500,
            "image": { "id": "main", "mounts": [{ "volume": "main", "mountpoint": "/data" }] },
        },
        {
            "id": "stubborn", "graceMs": GRACE.as_millis(),
            "command": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
        },
    ]);
    let package = Package::good()
        .programs(&["/bin/sleep"])
        .declaring(&daemons);
    plant(world, &package);
    world.server.cli(&["service", "start", ID]);
    world.wait_status(ID, "running");
}

/// Installs a package of the tests' own, in the place of what has its name.
pub(super) fn plant(world: &World, package: &Package) {
    if world.is_installed(ID) {
        world.server.cli(&["package", "uninstall", ID]);
    }
    fs::create_dir_all(folder(world)).unwrap();
    let file = folder(world).join("planted.s9pk");
    fs::write(&file, package.pack(&folder(world))).unwrap();
    world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
}

/// The process that was called so, if there is just one.
fn called(world: &World, line: &str) -> Option<Process> {
    let all = world.server.processes(ID).into_iter();
    let mut found = all.filter(|process| command_line(process.pid) == line);
    found.next().filter(|_| found.next().is_none())
}

fn runs(world: &World, line: &str) -> Process {
    until(&format!("`{line}` runs, once"), seconds(20), || {
        called(world, line)
    })
}

fn successor(world: &World, of: &Process, line: &str) -> Process {
    let next = patiently(seconds(30), Duration::from_millis(1), || {
        called(world, line).filter(|process| process.pid != of.pid)
    });
    next.unwrap_or_else(|| panic!("`{line}` does not come back"))
}

fn shown(world: &World, daemon: &str) -> Option<Value> {
    let all = world.server.json(&["service", "ps", ID]);
    let mut all = all.as_object()?.values();
    all.find(|one| one["name"] == daemon).cloned()
}

pub(super) fn declared_daemons_run_and_are_shown_with_what_they_use(world: &mut World) {
    for line in [PLAIN, IMAGED, STUBBORN] {
        runs(world, line);
    }
    for daemon in ["plain", "imaged", "stubborn"] {
        let one = until(&format!("`{daemon}` is shown"), seconds(10), || {
            shown(world, daemon)
        });
        assert_eq!(one["owner"], "host", "{one:#}");
        assert_eq!(one["leaf"], format!("d-{daemon}-host"), "{one:#}");
        let usage = &one["usage"];
        assert!(
            usage["memoryBytes"].as_u64().is_some_and(|bytes| bytes > 0),
            "{one:#}"
        );
        assert!(
            usage["pids"].as_u64().is_some_and(|pids| pids > 0),
            "{one:#}"
        );
        assert!(usage["cpuUs"].as_u64().is_some_and(|us| us > 0), "{one:#}");
    }
    let said = world.server.cli(&["service", "ps", ID]);
    assert!(said.contains("imaged") && said.contains("MEMORY"), "{said}");
    let tree = world.server.cli(&["tree"]);
    assert!(
        tree.contains("hosted") && tree.contains("stubborn"),
        "{tree}"
    );
    // So is hello's, which the SDK declares for it.
    let hello = world.server.json(&["service", "ps", "hello"]);
    let mut daemons = hello.as_object().unwrap().values();
    let of_host = |one: &Value| one["name"] == "server" && one["owner"] == "host";
    assert!(daemons.any(of_host), "{hello:#}");
    // Its image's root has the volume.
    let imaged = runs(world, IMAGED);
    let marker = world
        .server
        .data
        .join("services")
        .join(ID)
        .join("volumes/main/here");
    fs::write(marker, "").unwrap();
    let seen = format!("/proc/{}/root/data/here", imaged.pid);
    assert!(fs::exists(&seen).unwrap(), "its volume is mounted");
}

fn is_back(world: &World, daemon: &str, line: &str) {
    let before = world.server.last_restart(ID);
    let old = runs(world, line);
    old.shoot();
    let shot = Mono::now();
    successor(world, &old, line);
    let took = Mono::now().since(shot);
    println!("     a new process after {} ms", took.as_millis());
    assert!(took < seconds(2), "{took:?}");
    let record = world
        .server
        .new_restart(ID, &format!("daemon {daemon}"), &before);
    let sigkill = json!({ "kind": "signal", "signal": 9 });
    assert_eq!(record["cause"], sigkill, "{record:#}");
    assert_eq!(record["action"], "Coppice starts it again");
}

pub(super) fn a_killed_daemon_is_back_at_once_and_its_record_names_the_signal(world: &mut World) {
    let (init, imaged) = (world.server.init(ID), runs(world, IMAGED));
    is_back(world, "plain", PLAIN);
    assert!(init.lives() && imaged.lives(), "it dies alone");
}

pub(super) fn a_killed_daemon_in_an_image_is_back_too(world: &mut World) {
    let plain = runs(world, PLAIN);
    is_back(world, "imaged", IMAGED);
    assert!(plain.lives(), "it dies alone");
}

pub(super) fn they_outlive_the_node_runtime(world: &mut World) {
    let before = world.server.last_restart(ID);
    let all = [PLAIN, IMAGED, STUBBORN].map(|line| runs(world, line));
    let node = world.server.process(ID, "node");
    node.shoot();
    world.server.new_restart(ID, "runtime", &before);
    until(
        "there is a new runtime, and its `main` is up",
        seconds(20),
        || {
            let all = world.server.processes(ID);
            let new = |process: &&Process| process.name == "node" && process.pid != node.pid;
            all.iter().find(new)?;
            let service = world.server.service(ID)?;
            (service["status"] == "running").then_some(())
        },
    );
    assert!(all.iter().all(Process::lives), "the same processes go on");
}

pub(super) fn they_outlive_the_core_and_one_that_died_meanwhile_is_started_again(
    world: &mut World,
) {
    let (imaged, plain) = (runs(world, IMAGED), runs(world, PLAIN));
    let before = world.server.last_restart(ID);
    world.server.child("core").shoot();
    plain.shoot();
    world.server.answers();
    successor(world, &plain, PLAIN);
    let record = world.server.new_restart(ID, "daemon plain", &before);
    assert_eq!(record["cause"]["signal"], 9, "{record:#}");
    assert!(imaged.lives(), "the others go on");
    runs(world, IMAGED);
}

pub(super) fn a_stop_ends_them_all_the_stubborn_by_force_and_a_start_brings_them_back(
    world: &mut World,
) {
    runs(world, STUBBORN);
    let before = world.server.last_restart(ID);
    let asked = Mono::now();
    world.server.cli(&["service", "stop", ID]);
    until("no daemon of it is left", seconds(30), || {
        let lines = [PLAIN, IMAGED, STUBBORN];
        let all = world.server.processes(ID);
        let left = all
            .iter()
            .any(|process| lines.contains(&command_line(process.pid).as_str()));
        (!left).then_some(())
    });
    assert!(Mono::now().since(asked) >= GRACE, "it had its grace");
    world.wait_status(ID, "stopped");
    let shown = world.server.json(&["service", "ps", ID]);
    assert_eq!(shown, json!({}));
    let after = world.server.last_restart(ID);
    assert_eq!(after["cause"]["asked"], "stop", "no failure: {after:#}");
    assert_eq!(
        after["seq"].as_u64(),
        before["seq"].as_u64().map(|seq| seq + 1)
    );
    world.server.cli(&["service", "start", ID]);
    world.wait_status(ID, "running");
    for line in [PLAIN, IMAGED, STUBBORN] {
        runs(world, line);
    }
}

/// What the kernel holds a service to, of this file of a controller.
fn kernel_says(world: &World, service: &str, v1: &str, v2: &str) -> String {
    let groups = cgroups_named(|name| name == format!("coppice-{}", world.server.short));
    let files = groups
        .iter()
        .flat_map(|group| [v1, v2].map(|file| group.join(service).join(file)));
    let mut values = files.filter_map(|file| fs::read_to_string(file).ok());
    values.next().unwrap_or_default().trim().to_owned()
}

fn memory(world: &World) -> String {
    kernel_says(world, ID, "memory.limit_in_bytes", "memory.max")
}

pub(super) fn limits_are_applied_to_what_runs_and_outlive_the_core(world: &mut World) {
    let own = (
        memory(world),
        kernel_says(world, ID, "pids.max", "pids.max"),
    );
    let init = world.server.init(ID);
    let said = world
        .server
        .cli(&["service", "limits", ID, "--memory", "512M", "--pids", "300"]);
    assert!(
        said.contains("512.0 MiB") && said.contains("yours"),
        "{said}"
    );
    assert_eq!(memory(world), (512 << 20).to_string());
    assert_eq!(kernel_says(world, ID, "pids.max", "pids.max"), "300");
    world.server.child("core").shoot();
    world.server.answers();
    let limits = world
        .server
        .json(&["service", "limits", ID, "--cpu-weight", "50"]);
    assert_eq!(
        limits["chosen"],
        json!({ "memoryBytes": 512 << 20, "pids": 300, "cpuWeight": 50 })
    );
    assert_eq!(memory(world), (512 << 20).to_string());
    let weight = kernel_says(world, ID, "cpu.shares", "cpu.weight");
    assert!(["512", "50"].contains(&weight.as_str()), "{weight}");
    world.server.cli(&["service", "limits", ID, "--reset"]);
    let now = (
        memory(world),
        kernel_says(world, ID, "pids.max", "pids.max"),
    );
    assert_eq!(now, own, "Coppice's own again");
    assert!(init.lives(), "nothing of it was restarted for that");
}

pub(super) fn limits_that_make_no_sense_are_refused(world: &mut World) {
    let own = memory(world);
    for (option, value, words) in [
        ("--memory", "1M", "at least 128M"),
        ("--memory", "900T", "more than this machine's"),
        ("--pids", "3", "give 64 to 4194304"),
        ("--cpu-weight", "0", "give 1 to 10000"),
    ] {
        let said = world
            .server
            .refused(&["service", "limits", ID, option, value]);
        assert!(said.contains(words), "{said}");
    }
    let said = world
        .server
        .refused(&["service", "limits", "nobody", "--pids", "100"]);
    assert!(said.contains("`nobody` is not installed"), "{said}");
    assert_eq!(memory(world), own);
}

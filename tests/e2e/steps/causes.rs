//! Why something ended decides what is done about it, and is told from end to end.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::Value;

use super::{bad_packages::folder, bad_places::Ballast};
use crate::{
    packages::{ID, Package},
    processes::{Process, cgroups_named, in_cgroup},
    until::{seconds, until},
    world::World,
};

/// Enough for the daemon, and soon too little for it and somebody greedy beside it.
const NARROW: u64 = 48 << 20;

pub(super) fn prepare(world: &mut World) {
    super::bad_packages::prepare(world);
}

/// Somebody in a daemon's cgroup who takes all memory there, for which the kernel kills the daemon
/// first.
struct Glutton(Child);

impl Glutton {
    fn beside(daemon: &Process, world: &World) -> Self {
        let (leaf, limit) = memory_leaf(daemon, world);
        fs::write(leaf.join(limit), NARROW.to_string()).unwrap();
        let preferred = format!("/proc/{}/oom_score_adj", daemon.pid);
        fs::write(preferred, "1000").unwrap();
        // Two, each with half: one alone weighs more than the whole limit and is preferred to anybody.
        let script = "echo $$ > \"$0/cgroup.procs\" && { tail /dev/zero & exec tail /dev/zero; }";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(leaf).process_group(0);
        Self(shell.spawn().unwrap())
    }
}

impl Drop for Glutton {
    fn drop(&mut self) {
        // They may have ended by themselves: then there is nothing to end.
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        self.0.wait().unwrap();
    }
}

/// The cgroup that counts a process's memory, and the name of its limit there.
fn memory_leaf(process: &Process, world: &World) -> (PathBuf, &'static str) {
    fn holding(group: &Path, pid: i32) -> Option<PathBuf> {
        let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        if procs.lines().any(|line| line.parse() == Ok(pid)) {
            return Some(group.to_owned());
        }
        let below = fs::read_dir(group).ok()?.flatten();
        below
            .filter(|entry| entry.path().is_dir())
            .find_map(|entry| holding(&entry.path(), pid))
    }
    let ours = format!("coppice-{}", world.server.short);
    let groups = cgroups_named(|name| name == ours);
    let found = groups
        .iter()
        .filter(|group| in_cgroup(group).contains(&process.pid))
        .filter_map(|group| holding(group, process.pid));
    found
        .into_iter()
        .find_map(|leaf| {
            let limits = ["memory.max", "memory.limit_in_bytes"];
            let limit = limits.into_iter().find(|limit| leaf.join(limit).exists())?;
            Some((leaf, limit))
        })
        .expect("some cgroup counts the daemon's memory")
}

pub(super) fn a_daemon_that_runs_out_of_memory_is_named(world: &mut World) {
    let before = world.server.last_restart("hello");
    let daemon = world.server.process("hello", "hello");
    let glutton = Glutton::beside(&daemon, world);
    let record = world.server.new_restart("hello", "daemon server", &before);
    drop(glutton);
    assert_eq!(record["cause"]["kind"], "oom", "{record:#}");
    assert!(record["cause"]["kills"].as_u64() >= Some(1), "{record:#}");
    assert_eq!(record["by"]["who"], "coppice", "{record:#}");
    let said = world.server.cli(&["service", "why", "hello"]);
    assert!(
        said.contains("daemon server: it ended: out of memory after "),
        "{said}"
    );
    world.healthy("hello");
}

/// Installs a package whose `main` does this before it is up.
fn planted(world: &World, init: &str, main: &str) {
    let package = Package::good().javascript(&format!(
        "
const fs = require('fs');
const nothing = async () => null;
module.exports = {{
  init: async ({{ effects }}) => {{ {init} }},
  uninit: nothing, createBackup: nothing,
  main: async ({{ effects }}) => ({{ build: async () => {{ {main}; return {{ term: nothing }}; }} }}),
  actions: {{ get: () => undefined }},
}};
"
    ));
    let file = folder(world).join("planted");
    fs::write(&file, package.pack(&folder(world))).unwrap();
    world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
}

/// Records that tell of what `main` could not do.
fn failures(world: &World) -> Vec<Value> {
    let why = world.server.json(&["service", "why", ID]);
    let records = why["restarts"].as_array().unwrap().iter();
    records
        .filter(|one| one["what"] == "main")
        .cloned()
        .collect()
}

pub(super) fn what_fails_while_its_dependency_is_down_is_held_until_that_is_well(
    world: &mut World,
) {
    let status = world.server.json(&["service", "status", "hello"]);
    let checks = status["entry"]["statusInfo"]["health"].as_object().unwrap();
    let check = checks.keys().next().unwrap();
    planted(
        world,
        &format!(
            "await effects.setDependencies({{ dependencies: [
               {{ kind: 'running', id: 'hello', versionRange: '*', healthChecks: ['{check}'] }}] }});"
        ),
        "const [hello] = await effects.checkDependencies({});
         if (!hello.isRunning) throw new Error('nobody says hello')",
    );
    world.server.cli(&["service", "start", ID]);
    world.wait_status(ID, "running");
    // Its dependency goes, and it goes on: nothing of it has failed.
    world.server.cli(&["service", "stop", "hello"]);
    world.wait_status("hello", "stopped");
    world.wait_status(ID, "running");
    world.server.cli(&["service", "restart", ID]);
    let held = world.wait_status(ID, "held");
    let because = "its dependency hello is stopped";
    assert!(
        held["detail"].as_str().unwrap().contains(because),
        "{held:#}"
    );
    let told = [
        format!("{ID} is held because {because}."),
        "main: it did not come up: nobody says hello; it is held until its dependency hello is well \
         again because its dependency hello is stopped."
            .to_owned(),
    ];
    until("it is told why", seconds(10), || {
        let said = world.server.cli(&["service", "why", ID]);
        told.iter()
            .all(|words| said.contains(words.as_str()))
            .then_some(())
    });
    world.server.cli(&["service", "start", "hello"]);
    world.wait_status(ID, "running");
    let failures = failures(world);
    assert_eq!(failures.len(), 1, "it is tried once: {failures:#?}");
}

pub(super) fn a_stop_lets_go_of_what_is_held(world: &mut World) {
    world.server.cli(&["service", "stop", "hello"]);
    world.wait_status("hello", "stopped");
    world.server.cli(&["service", "restart", ID]);
    world.wait_status(ID, "held");
    let failed = |times: usize| {
        until("it has failed so often", seconds(10), || {
            (failures(world).len() == times).then_some(())
        });
    };
    // Once in the step before, and now; a start tries at once.
    failed(2);
    world.server.cli(&["service", "start", ID]);
    failed(3);
    world.wait_status(ID, "held");
    world.server.cli(&["service", "stop", ID]);
    world.wait_status(ID, "stopped");
    until("it is let go", seconds(10), || {
        let status = world.server.json(&["service", "status", ID]);
        status["entry"]["held"].is_null().then_some(())
    });
    world.server.cli(&["service", "start", "hello"]);
    world.healthy("hello");
    world.wait_status(ID, "stopped");
    world.server.cli(&["package", "uninstall", ID]);
}

fn notices(world: &World) -> Vec<String> {
    let at = "/public/serverInfo/notices";
    let shown = world.server.json(&["db", "dump", at])["value"].clone();
    serde_json::from_value(shown).unwrap()
}

pub(super) fn what_fails_on_a_full_disk_is_held_until_there_is_room(world: &mut World) {
    planted(
        world,
        "",
        "const file = '/media/startos/volumes/main/large';
         try { fs.writeFileSync(file, Buffer.alloc(24 << 20, 1)) } finally { fs.rmSync(file, { force: true }) }",
    );
    let full = |notices: Vec<String>| notices.iter().any(|one| one.contains("The disk is full"));
    {
        let _ballast = Ballast::leave(&world.server.data, 8 << 20);
        world.server.cli(&["service", "start", ID]);
        let held = world.wait_status(ID, "held");
        assert!(
            held["detail"]
                .as_str()
                .unwrap()
                .contains("the disk is full"),
            "{held:#}"
        );
        until("people are told", seconds(20), || {
            full(notices(world)).then_some(())
        });
        let told = [
            "ENOSPC",
            "it is held until there is room on the disk because the disk is full",
        ];
        until("it is told why", seconds(10), || {
            let said = world.server.cli(&["service", "why", ID]);
            told.iter().all(|words| said.contains(*words)).then_some(())
        });
    }
    world.wait_status(ID, "running");
    until("nobody is told any more", seconds(30), || {
        (!full(notices(world))).then_some(())
    });
    assert_eq!(failures(world).len(), 1);
    world.server.cli(&["package", "uninstall", ID]);
}

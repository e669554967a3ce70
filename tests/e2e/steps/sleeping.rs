//! A service whose JavaScript ends while there is nothing for it to do, and comes back when there is.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use coppice_clock::Mono;
use serde_json::{Value, json};

use super::{bad_packages::folder, daemons::plant};
use crate::{
    console::{run, text},
    packages::{ID, Package},
    processes::{Process, command_line},
    until::{patiently, seconds, until},
    world::World,
};

/// How long Node has nothing to do before it ends, in the server of these steps.
const QUIET: u32 = 2;
/// What it runs: a page in the container's own root.
const PAGE: &str =
    "/usr/bin/node -e require('http').createServer((_, r) => r.end('still here')).listen(8080)";
const RUNTIME: &str = "/usr/lib/startos/init/index.js";

/// All of it is data. It tells in its volume what was asked of it, and where the volume says so it waits to be told
/// of hello, or cannot be initialised.
const DATA: &str = "
const fs = require('fs');
const volume = '/media/startos/volumes/main/';
const note = what => fs.appendFileSync(volume + 'notes', what + '\\n');
const nothing = async () => null;
module.exports = {
  init: async ({ effects, kind }) => {
    if (fs.existsSync(volume + 'broken')) throw new Error('no table users');
    note('init ' + kind);
    if (kind !== null) await effects.setDataVersion({ version: 'VERSION' });
    await effects.action.export({ id: 'ask', metadata: {
      name: 'Ask', description: '', warning: null, visibility: 'enabled', allowedStatuses: 'only-running',
      hasInput: false, group: null,
    } });
  },
  uninit: async ({ target }) => note('uninit ' + target),
  createBackup: nothing,
  main: async ({ effects }) => {
    const hear = () => effects.getStatus({ packageId: 'hello', callback: hear });
    await effects.setDaemons({ daemons: [{
      id: 'page', graceMs: 500,
      command: ['/usr/bin/node', '-e', \"require('http').createServer((_, r) => r.end('still here')).listen(8080)\"],
      ready: { name: 'Page', port: 8080, well: 'It answers' },
    }] });
    if (fs.existsSync(volume + 'watches')) await hear();
    note('main');
    return { build: async () => ({ isHeldByHost: true, term: async () => note('term') }) };
  },
  actions: { get: () => ({ getInput: nothing, run: async () => ({
    version: '1', title: 'Answer', message: 'from ' + process.pid, result: null,
  }) }) },
};
";

fn version(version: &str) -> Package {
    Package::good()
        .field("/version", json!(version))
        .javascript(&DATA.replace("VERSION", version))
}

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
    world.sleeps_after(QUIET);
    // One that lives was told at its start when to sleep.
    let old = world.server.process("hello", "node");
    old.shoot();
    until("another one runs", seconds(20), || {
        let mut all = world.server.processes("hello").into_iter();
        all.find(|process| process.name == "node" && process.pid != old.pid)
    });
    world.healthy("hello");
    plant(world, &version("1.0.0:0"));
    world.server.cli(&["service", "start", ID]);
    world.healthy(ID);
}

fn volume(world: &World, file: &str) -> PathBuf {
    let volumes = world.server.data.join("services").join(ID).join("volumes");
    volumes.join("main").join(file)
}

fn noted(world: &World) -> Vec<String> {
    let notes = fs::read_to_string(volume(world, "notes")).unwrap();
    notes.lines().map(str::to_owned).collect()
}

fn entry(world: &World) -> Value {
    entry_of(world, ID)
}

fn entry_of(world: &World, id: &str) -> Value {
    world.server.json(&["service", "status", id])["entry"].take()
}

fn runtime(world: &World, id: &str) -> Option<Process> {
    let mut all = world.server.processes(id).into_iter();
    all.find(|process| command_line(process.pid).contains(RUNTIME))
}

fn daemon(world: &World) -> Process {
    until("its daemon runs", seconds(20), || {
        let mut all = world.server.processes(ID).into_iter();
        all.find(|process| command_line(process.pid) == PAGE)
    })
}

/// Waits until it sleeps; gives the generation that fell asleep.
fn asleep(world: &World) -> u64 {
    is_asleep(world, ID)
}

fn is_asleep(world: &World, id: &str) -> u64 {
    until("its JavaScript sleeps", seconds(60), || {
        let generation = entry_of(world, id)["asleep"]["generation"].as_u64()?;
        runtime(world, id).is_none().then_some(generation)
    })
}

/// Waits until a later generation than this one fell asleep.
fn asleep_again(world: &World, after: u64) -> u64 {
    until("it woke, and sleeps again", seconds(60), || {
        let generation = asleep(world);
        (generation > after).then_some(generation)
    })
}

fn answers(world: &World) {
    let url = format!("http://{}:8080/", world.server.address(ID));
    assert_eq!(run("curl", &["-sSf", "-m", "10", &url]), "still here");
}

/// What must be the same before and after, whoever sleeps and wakes.
fn outside(world: &World) -> Value {
    let entry = entry(world);
    json!({
        "status": entry["statusInfo"], "restarts": entry["restarts"], "actions": entry["actions"],
        "daemon": daemon(world).pid, "init": world.server.init(ID).pid,
    })
}

pub(super) fn what_is_all_data_falls_asleep_and_its_page_goes_on(world: &mut World) {
    let before = outside(world);
    assert_eq!(before["status"]["health"]["page"]["message"], "It answers");
    asleep(world);
    answers(world);
    assert_eq!(outside(world), before);
    assert_eq!(world.server.service(ID).unwrap()["status"], "running");
    let said = world.server.cli(&["service", "status", ID]);
    assert!(said.contains("its JavaScript sleeps since"), "{said}");
    let said = world.server.cli(&["service", "why", ID]);
    assert!(said.starts_with(&format!("{ID} is running.")), "{said}");
    assert!(!said.contains("runtime"), "its end is no death: {said}");
    assert_eq!(noted(world), ["init install", "main"]);
}

pub(super) fn an_action_wakes_it_and_nothing_else_changes(world: &mut World) {
    let slept = asleep(world);
    let before = outside(world);
    let asked = Mono::now();
    let answer = world.server.json(&["action", "run", ID, "ask"]);
    println!(
        "     answered after {} ms",
        Mono::now().since(asked).as_millis()
    );
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|said| said.starts_with("from ")),
        "{answer:#}"
    );
    assert_eq!(asleep_again(world, slept), slept + 1, "it woke once");
    assert_eq!(outside(world), before);
    assert_eq!(noted(world), ["init install", "main", "init null", "main"]);
}

pub(super) fn a_core_that_is_killed_finds_it_asleep_and_does_not_wake_it(world: &mut World) {
    let slept = asleep(world);
    let before = outside(world);
    world.server.child("core").shoot();
    world.server.answers();
    // Its check is looked at by the new core.
    world.healthy(ID);
    assert_eq!(asleep(world), slept);
    assert_eq!(outside(world), before);
    answers(world);
}

/// Moments at which the core is killed, in ms after somebody has asked: while it wakes, and about when it falls
/// asleep again.
const MOMENTS: [u64; 8] = [0, 80, 160, 320, 640, 2_000, 2_300, 2_600];

pub(super) fn a_core_that_is_killed_while_it_wakes_or_falls_asleep_loses_nothing(
    world: &mut World,
) {
    let kept = |world: &World| {
        let entry = entry(world);
        let daemon = daemon(world).pid;
        json!({ "restarts": entry["restarts"], "actions": entry["actions"], "daemon": daemon })
    };
    asleep(world);
    let before = kept(world);
    for moment in MOMENTS {
        asleep(world);
        let mut asking = world.server.command(&["action", "run", ID, "ask"]);
        let asking = asking.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        // Nothing is waited for but the moment.
        patiently(
            Duration::from_millis(moment),
            Duration::from_millis(moment.max(1)),
            || None::<()>,
        );
        world.server.child("core").shoot();
        // It may have been answered, or not.
        asking.unwrap().wait().unwrap();
        world.server.answers();
        world.healthy(ID);
        answers(world);
        asleep(world);
        assert_eq!(kept(world), before, "killed after {moment} ms");
    }
}

pub(super) fn a_setting_that_is_changed_while_it_sleeps_is_obeyed(world: &mut World) {
    let slept = is_asleep(world, "hello");
    let old = world.server.process("hello", "hello");
    let input = json!({ "greeting": "Slept well" }).to_string();
    world
        .server
        .cli(&["action", "run", "hello", "set-greeting", "--input", &input]);
    let url = format!("http://{}:8080/", world.server.address("hello"));
    until("its page says so", seconds(30), || {
        // Between two daemons nobody answers.
        let page = Command::new("curl")
            .args(["-sS", "-m", "10", &url])
            .output();
        text(&page.unwrap().stdout)
            .contains("Slept well")
            .then_some(())
    });
    assert!(!old.lives(), "it reads its setting at its start");
    world.healthy("hello");
    until("it sleeps again", seconds(60), || {
        (is_asleep(world, "hello") > slept).then_some(())
    });
}

pub(super) fn one_that_cannot_wake_says_why_and_its_page_goes_on(world: &mut World) {
    let slept = asleep(world);
    let (page, before) = (daemon(world), world.server.last_restart(ID));
    fs::write(volume(world, "broken"), "").unwrap();
    world.server.refused(&["action", "run", ID, "ask"]);
    let record = world.server.new_restart(ID, "init", &before);
    assert!(record.to_string().contains("no table users"), "{record:#}");
    fs::remove_file(volume(world, "broken")).unwrap();
    let said = world.server.cli(&["service", "why", ID]);
    assert!(said.contains("no table users"), "{said}");
    answers(world);
    asleep_again(world, slept);
    world.healthy(ID);
    assert_eq!(daemon(world).pid, page.pid, "its page never went away");
}

pub(super) fn it_is_updated_like_any_other(world: &mut World) {
    let slept = asleep(world);
    let next = folder(world).join("next.s9pk");
    fs::write(&next, version("1.1.0:0").pack(&folder(world))).unwrap();
    let done = world
        .server
        .json(&["package", "install", next.to_str().unwrap()]);
    assert_eq!(
        (&done["from"], &done["version"]),
        (&json!("1.0.0:0"), &json!("1.1.0:0"))
    );
    world.healthy(ID);
    answers(world);
    asleep_again(world, slept);
}

pub(super) fn a_daemon_that_dies_meanwhile_is_started_again_without_it(world: &mut World) {
    let slept = asleep(world);
    let (old, before) = (daemon(world), world.server.last_restart(ID));
    old.shoot();
    let record = world.server.new_restart(ID, "daemon page", &before);
    assert_eq!(record["cause"]["signal"], 9, "{record:#}");
    until("another one runs", seconds(20), || {
        (daemon(world).pid != old.pid).then_some(())
    });
    world.healthy(ID);
    answers(world);
    assert_eq!(asleep(world), slept);
}

pub(super) fn what_it_waits_to_be_told_of_wakes_it_also_after_the_death_of_a_core(
    world: &mut World,
) {
    let slept = asleep(world);
    fs::write(volume(world, "watches"), "").unwrap();
    // Its next `main` reads the state of hello.
    world.server.cli(&["action", "run", ID, "ask"]);
    let slept = asleep_again(world, slept);
    let before = outside(world);
    world.server.cli(&["service", "stop", "hello"]);
    world.wait_status("hello", "stopped");
    let slept = asleep_again(world, slept);
    // What it waited for was known to the core that is gone.
    world.server.child("core").shoot();
    world.server.answers();
    asleep_again(world, slept);
    world.healthy(ID);
    assert_eq!(outside(world), before);
    fs::remove_file(volume(world, "watches")).unwrap();
    world.running("hello");
}

pub(super) fn it_is_stopped_and_started_like_any_other(world: &mut World) {
    asleep(world);
    world.server.cli(&["service", "stop", ID]);
    world.wait_status(ID, "stopped");
    assert_eq!(entry(world)["asleep"], Value::Null);
    until("no daemon of it is left", seconds(20), || {
        let all = world.server.processes(ID);
        let left = all.iter().any(|process| command_line(process.pid) == PAGE);
        (!left).then_some(())
    });
    world.server.cli(&["service", "start", ID]);
    world.healthy(ID);
    asleep(world);
    let old = daemon(world);
    world.server.cli(&["service", "restart", ID]);
    until("its daemon was ended and started anew", seconds(60), || {
        (!old.lives()).then(|| daemon(world))
    });
    world.healthy(ID);
    answers(world);
}

pub(super) fn it_is_uninstalled_like_any_other(world: &mut World) {
    asleep(world);
    let notes = volume(world, "notes");
    world.server.cli(&["package", "uninstall", ID, "--soft"]);
    let noted = fs::read_to_string(notes).unwrap();
    assert!(noted.ends_with("init null\nuninit 1.1.0:0\n"), "{noted}");
    world.sleeps_after(0);
    plant(world, &Package::good());
    world.server.cli(&["package", "uninstall", ID]);
}

//! The contract with packages: modules, contexts and the life cycle (`service-abi.md` §10.3, 1 to 17).

use std::fs;

use serde_json::json;

use crate::{
    probe::{Probe, answers, ask, entry},
    until::{seconds, until},
    world::World,
};

const LIFE: &str = "life";

pub(super) fn prepare(world: &mut World) {
    world.up();
    Probe::called(LIFE)
        .init("require('fs').appendFileSync('/media/startos/volumes/main/events', `init ${kind}\\n`);")
        .main(
            "require('fs').appendFileSync('/media/startos/volumes/main/events', 'main\\n');
             note('mains', effects.eventId);",
        )
        .built("if (seen.holds) await new Promise(resolve => { seen.letGo = resolve; })")
        .term("note('terms', null);")
        .install(world);
}

/// How often `main` was called in this runtime.
fn mains(world: &World) -> u64 {
    ask(world, LIFE, "return (seen.mains ?? []).length")
        .as_u64()
        .unwrap()
}

fn start(world: &World) {
    world.server.cli(&["service", "start", LIFE]);
    world.wait_status(LIFE, "running");
}

/// Has `build` wait, from its next call on, and what waits already go on.
fn holds(world: &World, holds: bool) {
    ask(
        world,
        LIFE,
        &format!("seen.holds = {holds}; seen.letGo?.()"),
    );
}

fn is_held(world: &World) {
    until("`build` waits", seconds(20), || {
        (ask(world, LIFE, "return seen.letGo !== undefined") == true).then_some(())
    });
}

pub(super) fn the_runtime_speaks_the_servers_language_and_writes_to_pipes(world: &mut World) {
    let told = ask(
        world,
        LIFE,
        "const fs = require('fs');
         return {
           lang: process.env.LANG,
           pipes: [1, 2].map(fd => fs.readlinkSync(`/proc/self/fd/${fd}`).split(':')[0]),
           german: new Intl.DateTimeFormat('de', { month: 'long' }).format(new Date(0)),
           node: Number(process.versions.node.split('.')[0]) >= 20 && typeof fetch === 'function',
           file: fs.readFileSync('/etc/default/locale', 'utf8').trim(),
         }",
    );
    let info = world
        .server
        .json(&["db", "dump", "/public/serverInfo/language"]);
    let lang = format!("{}.UTF-8", info["value"].as_str().unwrap());
    assert_eq!(
        told,
        json!({
            "lang": lang, "pipes": ["pipe", "pipe"], "german": "Januar", "node": true, "file": format!("LANG={lang}"),
        })
    );
}

pub(super) fn nothing_above_the_bundle_says_that_it_is_no_commonjs(world: &mut World) {
    let above = "['/usr/lib/startos', '/usr/lib', '/usr', '']";
    let code = format!(
        "return {above}.filter(folder => require('fs').existsSync(`${{folder}}/package.json`))"
    );
    assert_eq!(ask(world, LIFE, &code), json!([]));
    assert_eq!(
        ask(world, LIFE, "return module.filename"),
        "/usr/lib/startos/package/index.js"
    );
}

pub(super) fn a_rejection_that_nobody_handles_is_logged_and_the_service_goes_on(world: &mut World) {
    start(world);
    let pid = ask(
        world,
        LIFE,
        "Promise.reject(new Error('a loose end')); return process.pid",
    );
    until("the rejection is in the log", seconds(10), || {
        let logs = world.server.cli(&["service", "logs", LIFE, "-n", "50"]);
        logs.contains("a loose end").then_some(())
    });
    assert_eq!(ask(world, LIFE, "return process.pid"), pid);
    world.wait_status(LIFE, "running");
}

pub(super) fn a_package_that_exits_is_started_again_and_its_record_says_how_it_ended(
    world: &mut World,
) {
    let before = world.server.last_restart(LIFE);
    let pid = ask(
        world,
        LIFE,
        "setTimeout(() => process.exit(3), 50); return process.pid",
    );
    let record = world.server.new_restart(LIFE, "runtime", &before);
    assert_eq!(record["cause"]["code"], 3, "{record:#}");
    answers(world, LIFE);
    until("`main` is up again", seconds(20), || {
        (mains(world) == 1).then_some(())
    });
    world.wait_status(LIFE, "running");
    assert_ne!(ask(world, LIFE, "return process.pid"), pid);
}

pub(super) fn started_is_set_when_build_has_resolved_and_cleared_by_a_stop(world: &mut World) {
    world.server.cli(&["service", "stop", LIFE]);
    world.wait_status(LIFE, "stopped");
    holds(world, true);
    world.server.cli(&["service", "start", LIFE]);
    is_held(world);
    assert!(entry(world, LIFE)["statusInfo"]["started"].is_null());
    holds(world, false);
    world.wait_status(LIFE, "running");
    assert!(entry(world, LIFE)["statusInfo"]["started"].is_string());
    world.server.cli(&["service", "stop", LIFE]);
    world.wait_status(LIFE, "stopped");
    assert!(entry(world, LIFE)["statusInfo"]["started"].is_null());
}

pub(super) fn a_restart_that_is_asked_for_during_a_start_is_not_lost(world: &mut World) {
    ask(world, LIFE, "seen.letGo = undefined; seen.mains = [];");
    holds(world, true);
    world.server.cli(&["service", "start", LIFE]);
    is_held(world);
    ask(world, LIFE, "await effects.restart()");
    holds(world, false);
    until("`main` was called once more", seconds(20), || {
        (mains(world) == 2).then_some(())
    });
    world.wait_status(LIFE, "running");
    assert_eq!(mains(world), 2, "one restart is one more round");
}

pub(super) fn ten_restarts_in_a_burst_end_with_a_running_service_and_no_error(world: &mut World) {
    let before = mains(world);
    ask(
        world,
        LIFE,
        "await Promise.all(Array.from({ length: 10 }, () => effects.restart()))",
    );
    until("it was restarted", seconds(20), || {
        (mains(world) > before).then_some(())
    });
    world.wait_status(LIFE, "running");
    let status = &entry(world, LIFE)["statusInfo"];
    assert_eq!(
        status["desired"],
        json!({ "main": "running" }),
        "{status:#}"
    );
    assert!(status["error"].is_null(), "{status:#}");
    let now = mains(world);
    assert!(now - before <= 11, "{} rounds for ten wishes", now - before);
    assert_eq!(
        ask(world, LIFE, "return seen.mains.every(id => id === null)"),
        true
    );
}

pub(super) fn init_is_told_null_when_the_container_is_made_anew_and_runs_before_main(
    world: &mut World,
) {
    let file = world
        .server
        .data
        .join("services")
        .join(LIFE)
        .join("volumes/main/events");
    fs::write(&file, "").unwrap();
    world.server.init(LIFE).shoot();
    until("it was made anew", seconds(30), || {
        (fs::read_to_string(&file).unwrap() == "init null\nmain\n").then_some(())
    });
    world.wait_status(LIFE, "running");
}

pub(super) fn shutdown_stops_the_service_that_asks_for_it(world: &mut World) {
    ask(world, LIFE, "await effects.shutdown()");
    world.wait_status(LIFE, "stopped");
    assert_eq!(
        entry(world, LIFE)["statusInfo"]["desired"],
        json!({ "main": "stopped" })
    );
    assert_eq!(ask(world, LIFE, "return seen.terms.length"), 1);
    world.server.cli(&["package", "uninstall", LIFE]);
}

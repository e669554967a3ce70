//! The end: everything down and up again, each service gone without a trace, then Coppice.

use std::fs;

use super::{miniflux, names::dig};
use crate::{
    lan::SERVER,
    processes,
    traces::{Traces, firewall},
    until::{seconds, until},
    world::{PASSWORD, World},
};

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

fn installed(world: &World) -> Vec<String> {
    let list = world.server.json(&["service", "list"]);
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

pub(super) fn secrets_are_neither_in_the_log_nor_in_the_document(world: &mut World) {
    let log = fs::read_to_string(&world.server.log).unwrap();
    let document = world.server.cli(&["db", "dump"]);
    let session = world.session();
    let token = session.cookie.strip_prefix("session=").unwrap();
    for secret in [PASSWORD, miniflux::PASSWORD, token] {
        assert!(!log.contains(secret), "`{secret}` is in the log");
        assert!(!document.contains(secret), "`{secret}` is in the document");
    }
    for process in processes::all() {
        let line = processes::command_line(process);
        assert!(!line.contains(miniflux::PASSWORD), "{line}");
    }
}

pub(super) fn a_stop_takes_the_services_down_and_a_start_brings_them_back(world: &mut World) {
    let ids = installed(world);
    let running: Vec<String> = ids
        .iter()
        .filter(|id| world.server.service(id).unwrap()["status"] == "running")
        .cloned()
        .collect();
    let before: Vec<_> = ids.iter().map(|id| world.server.last_restart(id)).collect();
    let said = world.server.cli(&["stop"]);
    assert!(
        said.contains("Coppice and its services have ended"),
        "{said}"
    );
    let status = world.server.ended(seconds(12));
    assert!(status.success(), "{status}");
    for id in &ids {
        let left = world.server.processes(id);
        assert!(left.is_empty(), "of `{id}` these go on: {left:?}");
    }
    world.server.start();
    for id in &running {
        world.healthy(id);
    }
    let after: Vec<_> = ids.iter().map(|id| world.server.last_restart(id)).collect();
    assert_eq!(after, before, "what was asked for is no death");
}

/// Removes a service and looks for anything that names it.
pub(super) fn uninstall(world: &mut World, id: &str) {
    if !world.is_installed(id) {
        world.running(id);
    }
    let (name, processes) = (format!("{id}-coppice.local"), world.server.processes(id));
    assert_eq!(dig(&name, &[]), SERVER.to_string());
    let address = world.server.address(id);
    assert!(firewall(&world.server).contains(&address));
    let before = Traces::of(&world.server).naming(id);
    assert!(
        before.len() >= 5,
        "there is something to be removed: {before:#?}"
    );
    let printed = world.server.cli(&["package", "uninstall", id]);
    assert_eq!(printed.trim(), format!("{id} is removed"));
    let left = Traces::of(&world.server).naming(id);
    assert!(left.is_empty(), "`{id}` has left: {left:#?}");
    assert!(
        processes.iter().all(|process| !process.lives()),
        "{processes:?}"
    );
    assert!(!world.is_installed(id));
    until("the firewall has forgotten it", seconds(10), || {
        (!firewall(&world.server).contains(&address)).then_some(())
    });
    // The edge and the name server follow a moment after.
    until("its name is gone", seconds(10), || {
        dig(&name, &[]).is_empty().then_some(())
    });
    until("its page is gone", seconds(10), || {
        world.client().get(&name, "/").is_err().then_some(())
    });
}

pub(super) fn uninstalling_syncthing_leaves_no_trace(world: &mut World) {
    uninstall(world, "syncthing");
    assert!(
        !firewall(&world.server).contains("22000"),
        "its port is still forwarded: {}",
        firewall(&world.server)
    );
}

pub(super) fn uninstalling_miniflux_leaves_no_trace(world: &mut World) {
    if !world.is_installed("miniflux") {
        world.server.cli(&[
            "package",
            "install",
            World::example("miniflux").to_str().unwrap(),
        ]);
    }
    uninstall(world, "miniflux");
}

pub(super) fn uninstalling_hello_leaves_no_trace(world: &mut World) {
    uninstall(world, "hello");
    if installed(world).is_empty() {
        // Also what does not name a service: bodies in the store, loop devices, links.
        let left = Traces::of(&world.server).since(world.bare.as_ref().unwrap());
        assert!(left.is_empty(), "without services there is: {left:#?}");
    }
}

pub(super) fn what_is_not_installed_cannot_be_asked_for(world: &mut World) {
    for words in [
        &["service", "start", "hello"][..],
        &["service", "stop", "hello"],
        &["service", "status", "hello"],
        &["service", "why", "hello"],
        &["service", "logs", "hello"],
        &["package", "uninstall", "hello"],
        &["action", "run", "hello", "set-greeting"],
    ] {
        let said = world.server.refused(words);
        assert!(
            said.contains("`hello` is not installed"),
            "{words:?}: {said}"
        );
    }
}

pub(super) fn coppice_stop_ends_everything(world: &mut World) {
    world.server.cli(&["stop"]);
    let status = world.server.ended(seconds(12));
    assert!(status.success(), "{status}");
    let groups = processes::cgroups_named(|name| {
        name.starts_with(&format!("coppice-{}", world.server.short))
    });
    let left: Vec<i32> = groups
        .iter()
        .flat_map(|group| processes::in_cgroup(group))
        .collect();
    assert!(left.is_empty(), "processes {left:?} go on");
    let output = world.server.try_cli(&["service", "list"]);
    assert_eq!(output.status.code(), Some(3), "no server runs");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no Coppice runs with the data folder") && said.contains("coppice heart"),
        "{said}"
    );
}

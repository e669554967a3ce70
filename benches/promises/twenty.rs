//! Twenty copies of a package, for what is measured of many services that do nothing.

use std::{fs, time::Duration};

use crate::{clones::renamed, scratch::Scratch, server::Server, start::example_file, until::until};

pub(crate) const SERVICES: usize = 20;

/// Copies of an example, installed, and all running within this time.
pub(crate) fn started(
    server: &Server,
    scratch: &Scratch,
    package: &str,
    within: Duration,
) -> Vec<String> {
    let ids: Vec<String> = (0..SERVICES)
        .map(|number| format!("idle-{package}-{number}"))
        .collect();
    let file = scratch.path("idle.s9pk");
    for id in &ids {
        fs::write(&file, renamed(&example_file(package), id)).unwrap();
        server.cli(&["package", "install", file.to_str().unwrap()]);
        server.cli(&["service", "start", id]);
    }
    until("all of them run", within, || {
        let runs = |id: &String| {
            let service = server.service(id);
            service.is_some_and(|one| one["status"] == "running")
        };
        ids.iter().all(runs).then_some(())
    });
    ids
}

pub(crate) fn removed(server: &Server, ids: &[String]) {
    for id in ids {
        server.cli(&["package", "uninstall", id]);
    }
}

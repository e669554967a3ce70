//! kill -9 of Coppice's own processes: the services do not notice.

use std::{collections::BTreeMap, sync::mpsc, time::Duration};

use nix::sys::signal::Signal;
use serde_json::json;

use super::hello::{NAME, greet};
use crate::{
    client::{DASHBOARD, Failed},
    console::run,
    packages,
    processes::Process,
    until::{patiently, seconds},
    visitor::Visitor,
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

/// The processes of all services that stay while their service does: of each name the first, without
/// what comes and goes by itself.
fn lasting(world: &World) -> BTreeMap<(String, String), Process> {
    let look = || {
        let mut found: BTreeMap<(String, String), Process> = BTreeMap::new();
        for id in ["hello", "miniflux", "syncthing"] {
            for process in world.server.processes(id) {
                let first = found
                    .entry((id.to_owned(), process.name.clone()))
                    .or_insert_with(|| process.clone());
                if process.started < first.started {
                    *first = process;
                }
            }
        }
        found
    };
    let (before, mut after) = (look(), look());
    after.retain(|key, process| {
        before.get(key) == Some(process)
            && matches!(
                key.1.as_str(),
                "node" | "hello" | "miniflux" | "postgres" | "syncthing" | "coppice-agent"
            )
    });
    assert!(after.len() >= 3, "{after:#?}");
    after
}

fn all_live(before: &BTreeMap<(String, String), Process>, during: &str) {
    let dead: Vec<_> = before.values().filter(|process| !process.lives()).collect();
    assert!(dead.is_empty(), "ended during {during}: {dead:#?}");
}

/// Waits until the services of a list are healthy; the tests' own package, which other chapters may leave behind, has no
/// checks.
fn all_well(world: &World, list: &serde_json::Value) {
    let ids = list.as_array().unwrap().iter().map(|one| &one["id"]);
    for id in ids.filter(|id| **id != packages::ID) {
        world.healthy(id.as_str().unwrap());
    }
}

pub(super) fn the_core_is_killed_and_nothing_of_the_services_notices(world: &mut World) {
    let (services, records) = (lasting(world), world.server.last_restart("hello"));
    let visitors: Vec<_> = (0..2).map(|_| Visitor::of(world.client(), NAME)).collect();
    visitors.iter().for_each(|visitor| visitor.more(5));
    let (core, edge) = (world.server.child("core"), world.server.child("edge"));
    core.shoot();
    // What is asked meanwhile waits for the new core instead of failing.
    let list = world.server.json(&["service", "list"]);
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|service| service["id"] == "hello"),
        "{list:#}"
    );
    assert_ne!(world.server.child("core"), core);
    visitors.iter().for_each(|visitor| visitor.more(10));
    for visitor in visitors {
        let (done, failed) = visitor.end();
        assert!(
            failed.is_empty(),
            "{} of {done} requests failed: {failed:#?}",
            failed.len()
        );
    }
    all_live(&services, "the core's death");
    assert!(edge.lives(), "the edge is not the core's business");
    world.healthy("hello");
    assert_eq!(
        world.server.last_restart("hello"),
        records,
        "nothing of the service was restarted"
    );
}

pub(super) fn a_download_of_100_mb_survives_the_death_of_the_core(world: &mut World) {
    const SIZE: usize = 100_000_000;
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let client = world.client();
    let downloading = std::thread::spawn(move || {
        let (mut received, mut number, mut rest) = (0_usize, 0_u64, Vec::new());
        let outcome = client.download(NAME, "/big?mb=100", |piece| {
            rest.extend_from_slice(piece);
            let whole = rest.len() / 8 * 8;
            for bytes in rest.drain(..whole).as_slice().chunks_exact(8) {
                assert_eq!(
                    u64::from_be_bytes(bytes.try_into().unwrap()),
                    number,
                    "the bytes are not those that were sent"
                );
                number += 1;
            }
            let before = received;
            received += piece.len();
            if before < SIZE / 20 && received >= SIZE / 20 {
                begun.send(()).unwrap();
                // Far more than fits into buffers on the way is still to come.
                may_go_on.recv().unwrap();
            }
        });
        (outcome, received)
    });
    has_begun.recv_timeout(seconds(20)).unwrap();
    world.another_core();
    go_on.send(()).unwrap();
    let (outcome, received) = downloading.join().unwrap();
    outcome.unwrap_or_else(|failed| panic!("after {received} bytes: {failed}"));
    assert_eq!(received, SIZE);
}

pub(super) fn status_is_right_after_the_death_of_the_core(world: &mut World) {
    let before = world.server.json(&["service", "list"]);
    let core = world.server.child("core");
    core.shoot();
    let after = world.server.json(&["service", "list"]);
    let running = |list: &serde_json::Value| {
        let list = list.as_array().unwrap();
        list.iter()
            .map(|one| {
                (
                    one["id"].clone(),
                    one["started"].clone(),
                    one["address"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        running(&after),
        running(&before),
        "the first answer of the new core"
    );
    all_well(world, &after);
    // The new core has the runtime's ear again, and what it watched before it still watches.
    greet(world, "Adopted");
    let tree = world.server.cli(&["tree"]);
    assert!(tree.contains("hello") && tree.contains("server"), "{tree}");
}

pub(super) fn the_edge_is_killed_and_no_connection_is_refused(world: &mut World) {
    let services = lasting(world);
    let visitors = [
        Visitor::of(world.client(), NAME),
        Visitor::of(world.client(), DASHBOARD),
    ];
    visitors.iter().for_each(|visitor| visitor.more(5));
    let (core, edge) = (world.server.child("core"), world.server.child("edge"));
    edge.shoot();
    visitors.iter().for_each(|visitor| visitor.more(10));
    assert_ne!(world.server.child("edge"), edge);
    for visitor in visitors {
        let (done, failed) = visitor.end();
        assert!(
            failed
                .iter()
                .all(|failed| matches!(failed, Failed::Broken(_))),
            "{failed:#?}"
        );
        // Only the request that was under way can break, and the one that the old edge had just taken.
        assert!(
            failed.len() <= 1,
            "{} of {done} requests failed: {failed:#?}",
            failed.len()
        );
    }
    assert!(core.lives(), "the core is not the edge's business");
    all_live(&services, "the edge's death");
}

/// Core and edge end within a second of the heart; then a new heart takes over.
fn without_heart(world: &mut World, core: &Process, edge: &Process) {
    let services = lasting(world);
    let ended = patiently(seconds(1), Duration::from_millis(5), || {
        (!core.lives() && !edge.lives()).then_some(())
    });
    assert!(
        ended.is_some(),
        "a second after the heart the core lives: {}, the edge lives: {}",
        core.lives(),
        edge.lives()
    );
    // The services work on without all of Coppice.
    let url = format!("http://{}:8080/", world.server.address("hello"));
    let page = run("curl", &["-sS", "--max-time", "10", &url]);
    assert!(page.contains("<h1>"), "{page}");
    world.server.start();
    world.healthy("hello");
    all_live(&services, "the heart's death and the start of a new one");
    assert_eq!(world.client().get(NAME, "/").unwrap().status, 200);
    all_well(world, &world.server.json(&["service", "list"]));
}

pub(super) fn the_heart_is_killed_and_a_new_one_finds_the_services_alive(world: &mut World) {
    let (services, records) = (lasting(world), world.server.last_restart("hello"));
    let (core, edge) = (world.server.child("core"), world.server.child("edge"));
    world.server.shoot();
    without_heart(world, &core, &edge);
    all_live(&services, "the heart's death");
    assert_eq!(
        world.server.last_restart("hello"),
        records,
        "nothing of the service was restarted"
    );
    greet(world, "A new heart");
}

pub(super) fn ctrl_c_ends_coppice_and_not_the_services(world: &mut World) {
    let (core, edge, offset) = (
        world.server.child("core"),
        world.server.child("edge"),
        world.server.log_length(),
    );
    world.server.signal(Signal::SIGINT);
    let status = world.server.ended(seconds(12));
    assert!(status.success(), "{status}");
    let said = world.server.log_from(offset);
    assert!(said.contains("services"), "it says what goes on: {said}");
    let output = world.server.try_cli(&["service", "list"]);
    assert_eq!(output.status.code(), Some(3), "no server answers now");
    without_heart(world, &core, &edge);
    assert_eq!(
        world.server.json(&["service", "status", "hello"])["entry"]["statusInfo"]["desired"],
        json!({ "main": "running" })
    );
}

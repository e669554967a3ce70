//! Another program in the place of the one that runs: without a break, or not at all.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use coppice_clock::Mono;
use serde_json::{Value, json};

use super::{hello::NAME, lasting::Download};
use crate::{
    client::DASHBOARD,
    packages::{ID, Package},
    processes::Process,
    server::COPPICE,
    until::{patiently, seconds, until},
    visitor::Visitor,
    world::World,
};

/// A package whose `init` never ends.
const ENDLESS: &str = "
const nothing = async () => null;
module.exports = {
  init: () => new Promise(() => {}), uninit: nothing, createBackup: nothing,
  main: async () => ({ build: async () => ({ term: nothing }) }),
  actions: { get: () => undefined },
};
";

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

/// The same program under another name, as a newer one comes onto the disk.
fn newer(world: &World, name: &str) -> PathBuf {
    let path = world.scratch.data(name);
    fs::copy(COPPICE, &path).unwrap();
    path
}

fn runs(process: &Process) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", process.pid)).unwrap()
}

fn notices(world: &World) -> String {
    let info = world
        .server
        .json(&["db", "dump", "/public/serverInfo/notices"]);
    info["value"].to_string()
}

fn last_receipt(world: &World) -> Value {
    let receipts = world.server.json(&["server", "receipts"]);
    let mut upgrades = receipts.as_array().unwrap().iter().rev();
    upgrades.find(|one| one["of"] == "upgrade").unwrap().clone()
}

/// How long requests are made around an upgrade. `COPPICE_E2E_LOAD_SECONDS=60` is what was promised.
fn load() -> Duration {
    let told = std::env::var("COPPICE_E2E_LOAD_SECONDS").ok();
    seconds(told.map_or(3, |told| told.parse().unwrap()))
}

pub(super) fn an_upgrade_fails_no_request_and_cuts_no_download(world: &mut World) {
    let (client, session) = (world.client(), world.session());
    let services = [
        world.server.init("hello"),
        world.server.process("hello", "hello"),
    ];
    let (heart, core, edge) = (
        world.server.heart(),
        world.server.child("core"),
        world.server.child("edge"),
    );
    let mut download = Download::of(world.client(), 40);
    let mut visitors = vec![
        Visitor::of(client.clone(), NAME),
        Visitor::of(client, DASHBOARD),
    ];
    for message in ["one", "another"] {
        let session = session.clone();
        let ask = move || session.try_post("echo", json!({ "message": message }));
        visitors.push(Visitor::asking(ask));
    }
    visitors.iter().for_each(|visitor| visitor.more(5));
    let program = newer(world, "coppice-newer");
    let began = Mono::now();
    let said = world.server.cli(&["upgrade", program.to_str().unwrap()]);
    let took = Mono::now().since(began);
    assert!(said.contains("no service was touched"), "{said}");
    visitors.iter().for_each(|visitor| visitor.more(10));
    patiently(load(), seconds(1), || {
        (Mono::now().since(began) >= load()).then_some(())
    });
    download.go_on(10_000_000);
    let mut requests = 0;
    for visitor in visitors {
        let (done, failed) = visitor.end();
        requests += done;
        assert!(
            failed.is_empty(),
            "{} of {done} requests failed: {failed:#?}",
            failed.len()
        );
    }
    println!(
        "     upgraded in {:.1} s under {requests} requests in {:.0} s",
        took.as_secs_f64(),
        Mono::now().since(began).as_secs_f64()
    );
    // What was begun through the old edge ends through it, and then it is gone.
    assert!(edge.lives());
    assert_eq!(download.finish(), 40_000_000);
    until("the old edge ends", seconds(20), || {
        (!edge.lives()).then_some(())
    });
    assert!(!core.lives());
    // The heart is the same process, and all three run the new program.
    assert_eq!(world.server.heart().pid, heart.pid);
    for process in [
        world.server.heart(),
        world.server.child("core"),
        world.server.child("edge"),
    ] {
        assert_eq!(runs(&process), program, "{process:?}");
    }
    assert!(services.iter().all(Process::lives));
    assert_eq!(last_receipt(world)["problem"], Value::Null);
    assert_eq!(notices(world), "[]");
    // And back, with the command's own program, which is the old one.
    world.server.cli(&["upgrade"]);
    assert_eq!(runs(&world.server.child("core")), Path::new(COPPICE));
    world.healthy("hello");
}

/// An upgrade that is not done, and why not.
fn refused(world: &World, program: &str) -> String {
    let said = world.server.refused(&["upgrade", program]);
    assert!(said.contains("Coppice goes on as before"), "{said}");
    said
}

pub(super) fn a_program_that_is_none_is_refused_before_anything_is_touched(world: &mut World) {
    let (core, edge) = (world.server.child("core"), world.server.child("edge"));
    let script = world.scratch.data("script");
    File::create(&script)
        .unwrap()
        .write_all(b"#!/bin/sh\n")
        .unwrap();
    for (program, why) in [
        (script.to_str().unwrap(), "it is not executable"),
        ("/etc", "it is not a file"),
        (
            "/usr/bin/true",
            "its edge exited with code 0 before it was ready",
        ),
        (
            "/usr/bin/false",
            "its edge exited with code 1 before it was ready",
        ),
    ] {
        let said = refused(world, program);
        assert!(said.contains(why), "{program}: {said}");
    }
    assert!(core.lives() && edge.lives());
    let receipt = last_receipt(world);
    let problem = receipt["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("its edge exited with code 1"),
        "{problem}"
    );
    // Until the next try it is shown to whoever looks.
    let shown = notices(world);
    assert!(
        shown.contains("The upgrade to `/usr/bin/false` was not done"),
        "{shown}"
    );
    let listed = world.server.cli(&["server", "receipts"]);
    assert!(
        listed.contains("the upgrade to /usr/bin/false was not done"),
        "{listed}"
    );
}

/// Waits for the store to be free and holds it, so that no core can have it. The kernel lets go of it with the file.
fn steal_the_store(world: &World) -> std::thread::JoinHandle<File> {
    let owner = File::open(world.server.data.join("state/owner")).unwrap();
    std::thread::spawn(move || {
        owner.lock().unwrap();
        owner
    })
}

pub(super) fn a_core_that_cannot_work_is_undone_with_its_store(world: &mut World) {
    let services = [
        world.server.init("hello"),
        world.server.process("hello", "hello"),
    ];
    let heart = world.server.heart();
    let before = world.server.json(&["db", "dump", "/public/packageData"])["value"].clone();
    let program = newer(world, "coppice-unlucky");
    let thief = steal_the_store(world);
    let visitor = Visitor::of(world.client(), NAME);
    let said = refused(world, program.to_str().unwrap());
    let stolen = thief.join().unwrap();
    // With the reason that was made for it.
    for part in ["its core exited with code 1, saying", "is already open"] {
        assert!(said.contains(part), "{said}");
    }
    let (done, failed) = visitor.end();
    assert!(failed.is_empty(), "{} of {done}: {failed:#?}", failed.len());
    // The old core has the store as it was; what was stolen is not it any more.
    drop(stolen);
    let after = world.server.json(&["db", "dump", "/public/packageData"])["value"].clone();
    let what = |value: &Value| {
        let packages = value.as_object().unwrap();
        let entry =
            |(id, entry): (&String, &Value)| (id.clone(), entry["statusInfo"]["desired"].clone());
        packages.iter().map(entry).collect::<Vec<_>>()
    };
    assert_eq!(what(&after), what(&before));
    assert!(!world.server.data.join("upgrade").exists());
    assert_eq!(world.server.heart(), heart);
    for role in ["core", "edge"] {
        until(&format!("the old {role} is back"), seconds(20), || {
            (runs(&world.server.child(role)) == Path::new(COPPICE)).then_some(())
        });
    }
    assert!(services.iter().all(Process::lives));
    world.healthy("hello");
}

pub(super) fn an_upgrade_is_refused_while_a_package_is_installed(world: &mut World) {
    let folder = world.scratch.path("upgrading");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("slow-init");
    let package = Package::good().javascript(ENDLESS).pack(&folder);
    fs::write(&file, package).unwrap();
    let mut installing = world
        .server
        .command(&["package", "install", file.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("it is being installed", seconds(20), || {
        world.is_installed(ID).then_some(())
    });
    let said = world.server.refused(&["upgrade"]);
    assert!(
        said.contains("is being installed, updated or removed"),
        "{said}"
    );
    // It is undone by the next core, as ever.
    world.server.child("core").shoot();
    let output = installing.wait().unwrap();
    assert!(!output.success());
    until("the half-installed package is gone", seconds(60), || {
        (!world.is_installed(ID)).then_some(())
    });
}

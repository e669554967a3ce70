//! The install of `miniflux` from a local file, against `cp` and `b3sum` of the same file.
//!
//! The file is in the page cache, on the disk that takes the copy. An intake returns when all of it is on
//! the disk; `cp` does not wait for that, so the same with `sync` of the copy is told beside it.

use std::{fs::File, ops::ControlFlow, path::Path, process::Command, time::Duration};

use coppice_s9pk::{Expected, Store};
use serde_json::json;

use crate::{
    api::Api,
    console::run,
    now,
    samples::{Samples, load, ratio, tell, verdict},
    server::Server,
    start::example_file,
    timeline::{Timeline, wall},
};

const PARTS: [(&str, &[&str]); 6] = [
    (
        "file looked at, entry and journal written",
        &["job service=\"miniflux\" step=\"ingest\""],
    ),
    (
        "intake into the store",
        &["job service=\"miniflux\" step=\"volumes\""],
    ),
    ("container", &["container service=\"miniflux\" state=Up"]),
    (
        "Node up and calling",
        &["runtime service=\"miniflux\" state=Initialising"],
    ),
    ("package loaded", &["effect service=\"miniflux\" method="]),
    (
        "package's init",
        &["runtime service=\"miniflux\" state=Idle"],
    ),
];

pub(crate) fn measure(server: &Server, runs: usize) {
    let api = Api::of(server);
    let disk = server.data.parent().unwrap();
    let package = disk.join("miniflux.s9pk");
    std::fs::copy(example_file("miniflux"), &package).unwrap();
    run("sync", &["--file-system", disk.to_str().unwrap()]);
    let bytes = std::fs::metadata(&package).unwrap().len();
    println!(
        "\ninstall of miniflux ({} MB), {runs} runs in turn with the peer; load {}",
        bytes / 1_000_000,
        load()
    );

    let store = Store::open(disk.join("store-alone")).unwrap();
    let (mut copy, mut synced, mut intake, mut whole) = (
        Samples::default(),
        Samples::default(),
        Samples::default(),
        Samples::default(),
    );
    let mut parts: Vec<Samples> = PARTS.iter().map(|_| Samples::default()).collect();
    for _ in 0..runs {
        let (plain, with_sync) = copy_and_hash(&package, &disk.join("copy.s9pk"));
        copy.push(plain);
        synced.push(with_sync);
        intake.push(take_in(&store, &package));
        whole.push(install(&api, server, &package, &mut parts));
    }
    tell("cp + b3sum", &copy.words());
    tell("cp + sync + b3sum", &synced.words());
    tell(
        "store intake alone (everything on the disk)",
        &intake.words(),
    );
    tell("package.install-file, whole", &whole.words());
    for ((name, _), samples) in PARTS.iter().zip(&parts) {
        tell(&format!("  {name}"), &samples.words());
    }
    verdict(
        "intake / (cp + b3sum)",
        ratio(intake.median(), copy.median()),
        1.3,
        "x",
    );
    verdict(
        "intake / (cp + sync + b3sum)",
        ratio(intake.median(), synced.median()),
        1.3,
        "x",
    );
    verdict(
        "whole install / (cp + b3sum)",
        ratio(whole.median(), copy.median()),
        1.3,
        "x",
    );
    tell("load after", &load());
}

/// Without and with waiting for the disk.
fn copy_and_hash(package: &Path, copy: &Path) -> (Duration, Duration) {
    let words = [package, copy].map(|path| path.to_str().unwrap());
    settle(package);
    let began = now();
    run("cp", &words);
    let copied = now().duration_since(began);
    let began = now();
    finish(Command::new("b3sum").arg(package));
    let hashed = now().duration_since(began);
    let began = now();
    run("sync", &[words[1]]);
    let waited = now().duration_since(began);
    std::fs::remove_file(copy).unwrap();
    (copied + hashed, copied + hashed + waited)
}

fn take_in(store: &Store, package: &Path) -> Duration {
    settle(package);
    let file = File::open(package).unwrap();
    let began = now();
    let installed = store
        .ingest_file(&file, &Expected::any(), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    let took = now().duration_since(began);
    store.remove(&installed.root).unwrap();
    took
}

fn install(api: &Api, server: &Server, package: &Path, parts: &mut [Samples]) -> Duration {
    api.call(
        "package.uninstall",
        json!({ "id": "miniflux", "soft": false, "force": true }),
    );
    settle(package);
    let offset = server.log_length();
    let asked = wall();
    let began = now();
    api.call("package.install-file", json!({ "path": package }));
    let took = now().duration_since(began);
    let timeline = Timeline::since(server, offset);
    let mut last = asked;
    for ((_, words), samples) in PARTS.iter().zip(parts) {
        if let Some(at) = timeline.at(last, words) {
            samples.push(at - last);
            last = at;
        }
    }
    took
}

/// Nothing of what was done before waits to be written.
fn settle(package: &Path) {
    run("sync", &["--file-system", package.to_str().unwrap()]);
}

fn finish(command: &mut Command) {
    assert!(
        command
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap()
            .success(),
        "{command:?}"
    );
}

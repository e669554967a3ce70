//! The command line as somebody at another machine has it, and as it watches.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    process::{Command, Output, Stdio},
};

use http_body_util::Full;
use hyper::{
    Request,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST},
};
use serde_json::{Value, json};

use crate::{
    client::DASHBOARD,
    console::{succeeded, text},
    lan::{SERVER, at_neighbours},
    packages::{ID, Package},
    server::COPPICE,
    until::{seconds, until},
    world::{PASSWORD, World},
};

pub(super) fn prepare(world: &mut World) {
    world.up();
    if world.is_installed(ID) {
        world.server.cli(&["package", "uninstall", ID]);
    }
}

/// A verb that somebody at the neighbour's machine types, with a home of their own.
fn there(world: &World, words: &[&str], input: &str) -> Output {
    let host = format!("https://{DASHBOARD}");
    let (ca, home) = (world.ca(), world.scratch.path("home"));
    fs::create_dir_all(&home).unwrap();
    at_neighbours(|| {
        let mut child = Command::new(COPPICE)
            .args(words)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("COPPICE_TOKEN")
            .env("HOME", &home)
            .env("COPPICE_HOST", &host)
            .env("COPPICE_ADDRESS", SERVER.to_string())
            // Only the login is told whom to trust: it remembers.
            .args(if words[0] == "login" {
                vec!["--ca".as_ref(), ca.as_os_str()]
            } else {
                vec![]
            })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut typed = child.stdin.take().unwrap();
        // What asks for nothing may have ended already.
        let _ = typed.write_all(input.as_bytes());
        drop(typed);
        child.wait_with_output().unwrap()
    })
}

fn said(world: &World, words: &[&str]) -> String {
    let what = format!("coppice {} at the neighbour's", words.join(" "));
    succeeded(&what, &there(world, words, ""))
}

pub(super) fn another_machine_has_to_sign_in_first(world: &mut World) {
    let stranger = there(world, &["service", "list"], "");
    assert_eq!(stranger.status.code(), Some(3), "nobody vouches for it");
    assert!(text(&stranger.stderr).contains("--ca FILE"));
    let ca = world.ca();
    let trusting = ["service", "list", "--json", "--ca", ca.to_str().unwrap()];
    let stranger = there(world, &trusting, "");
    assert_eq!(stranger.status.code(), Some(4));
    let error: Value = serde_json::from_slice(&stranger.stdout).unwrap();
    assert_eq!(error["error"]["code"], 34, "{error:#}");

    let wrong = there(world, &["login"], "not the password\n");
    assert_eq!(wrong.status.code(), Some(1), "{}", text(&wrong.stderr));
    succeeded("login", &there(world, &["login"], &format!("{PASSWORD}\n")));
    let kept = world
        .scratch
        .path("home")
        .join(".config/coppice/sessions.json");
    assert_eq!(fs::metadata(kept).unwrap().mode() & 0o777, 0o600);
    let list: Value = serde_json::from_str(&said(world, &["service", "list", "--json"])).unwrap();
    assert_eq!(list, world.server.json(&["service", "list"]));
}

pub(super) fn a_package_is_sent_from_there(world: &mut World) {
    let work = world.scratch.path("sent");
    fs::create_dir_all(&work).unwrap();
    let file = work.join("a file of the neighbour's.s9pk");
    fs::write(&file, Package::good().pack(&work)).unwrap();
    let file = file.to_str().unwrap();
    let done: Value =
        serde_json::from_str(&said(world, &["package", "install", file, "--json"])).unwrap();
    let installed = json!({ "id": ID, "version": "1.0.0:0", "from": null });
    assert_eq!(done, installed);
    assert_eq!(world.server.service(ID).unwrap()["status"], "stopped");
    // One that is cut short is refused, and the reason comes all the way.
    let cut = work.join("cut.s9pk");
    let whole = fs::read(file).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let refused = there(world, &["package", "install", cut.to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1));
    let why = text(&refused.stderr);
    assert!(why.starts_with("coppice: the stream ended: "), "{why}");

    let silent = said(world, &["service", "start", ID, "-q"]);
    assert_eq!(silent, "");
    world.wait_status(ID, "running");
    let logs = said(world, &["service", "logs", ID, "-n", "5", "--json"]);
    for line in logs.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(entry["message"].is_string(), "{entry:#}");
    }
    let root_only = there(world, &["auth", "audit"], "");
    assert_eq!(root_only.status.code(), Some(4));
}

pub(super) fn top_and_metrics_tell_what_is_used(world: &mut World) {
    let top = world.server.json(&["top", "-n", "1"]);
    let services = top["services"].as_array().unwrap();
    let seedling = services.iter().find(|one| one["id"] == ID).unwrap();
    assert_eq!(seedling["status"], "running");
    assert!(
        seedling["memoryBytes"].as_u64() > Some(1 << 20),
        "{seedling:#}"
    );
    assert!(seedling["cpuPercent"].is_number(), "{seedling:#}");
    let words = world.server.cli(&["top", "-n", "1"]);
    assert!(words.starts_with("cpu ") && words.contains(ID), "{words}");

    let session = world.session();
    let stats = session.call("package.stats", json!({}));
    assert!(stats[ID]["memory_usage"].as_u64() > Some(0), "{stats:#}");
    let follow = session.call("server.metrics.follow", json!({}));
    let mut stream = session.stream(follow["guid"].as_str().unwrap());
    for _ in 0..2 {
        match stream.next(seconds(20)) {
            Some(crate::client::Frame::Json(frame)) => {
                let names = |value: &Value| {
                    value
                        .as_object()
                        .unwrap()
                        .keys()
                        .cloned()
                        .collect::<Vec<_>>()
                };
                assert_eq!(names(&frame), names(&follow["metrics"]));
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn a_long_answer_is_squeezed_on_its_way_to_a_browser(world: &mut World) {
    let session = world.session();
    let plain = session.post("rpc.discover", json!({}));
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "rpc.discover", "params": {} });
    let request = Request::post("/rpc/v1")
        .header(HOST, DASHBOARD)
        .header(CONTENT_TYPE, "application/json")
        .header(COOKIE, &session.cookie)
        .header(ACCEPT_ENCODING, "gzip, br")
        .body(Full::from(body.to_string()))
        .unwrap();
    let squeezed = session.client.send(request).unwrap();
    assert_eq!(squeezed.headers[CONTENT_ENCODING], "gzip");
    assert_eq!(squeezed.body[..2], [0x1f, 0x8b], "gzip begins so");
    assert!(squeezed.body.len() * 3 < plain.body.len());
    assert!(plain.headers.get(CONTENT_ENCODING).is_none());
}

pub(super) fn what_is_watched_is_printed_again_when_it_changes(world: &mut World) {
    let written = world.scratch.path("watched");
    let mut watching = world
        .server
        .command(&["service", "list", "--watch", "--json"])
        .stdin(Stdio::null())
        .stdout(File::create(&written).unwrap())
        .spawn()
        .unwrap();
    let shows = |status: &str| {
        let lines = fs::read_to_string(&written).unwrap();
        let last: Value = serde_json::from_str(lines.lines().last()?).ok()?;
        let one = last.as_array()?.iter().find(|one| one["id"] == ID)?;
        (one["status"] == status).then_some(())
    };
    until("it shows what is", seconds(10), || shows("running"));
    world.server.cli(&["service", "stop", ID]);
    until("it shows what came", seconds(60), || shows("stopped"));
    watching.kill().unwrap();
    watching.wait().unwrap();
}

pub(super) fn a_session_that_was_ended_there_opens_nothing_any_more(world: &mut World) {
    said(world, &["package", "uninstall", ID]);
    assert!(!world.is_installed(ID));
    said(world, &["logout"]);
    let after = there(world, &["service", "list"], "");
    assert_eq!(after.status.code(), Some(4), "{}", text(&after.stderr));
    assert!(text(&after.stderr).contains("coppice login --host"));
}

//! The document from outside: followed by a library that is not ours, looked into by root, damaged.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    client::Frame,
    until::{seconds, until},
    world::World,
};

const FOLLOWER: &str = include_str!("../follow.py");

pub(super) fn prepare(world: &mut World) {
    world.up();
}

/// `follow.py` under way; killed when dropped.
struct Follower {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    fn of(world: &World) -> Self {
        // Debian's own Python: it has the libraries of `setup/packages-test`.
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", FOLLOWER])
            .arg(world.server.run_folder().join("api.sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn order(&mut self, order: &str) {
        let to = self.child.stdin.as_mut().unwrap();
        writeln!(to, "{order}").unwrap();
    }

    /// The next thing that it tells of.
    fn tells(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let told = line.split(' ').next().unwrap_or_default();
        told.to_owned()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Usually it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn another_json_patch_library_follows_an_install_and_three_lost_connections(
    world: &mut World,
) {
    if world.is_installed("hello") {
        world.server.cli(&["package", "uninstall", "hello"]);
    }
    let mut follower = Follower::of(world);
    assert_eq!(follower.tells(), "dump");
    world.running("hello");

    // Lost on the way.
    follower.order("cut");
    assert_eq!(follower.tells(), "lost");
    world.server.cli(&["service", "restart", "hello"]);
    assert_eq!(follower.tells(), "resume");
    // Lost with the process at the other end, twice; what is only in memory is another afterwards.
    for _ in 0..2 {
        world.healthy("hello");
        world.server.child("core").shoot();
        assert_eq!(follower.tells(), "lost");
        assert_eq!(follower.tells(), "resume");
        world.healthy("hello");
        world.server.cli(&["service", "restart", "hello"]);
    }
    world.healthy("hello");
    // A change at the end, so that the stream has something to say.
    world.server.cli(&["service", "stop", "hello"]);
    world.wait_status("hello", "stopped");
    follower.order("end");
    assert_eq!(follower.tells(), "same");
    assert!(follower.child.wait().unwrap().success());
}

pub(super) fn root_reads_who_changed_what_and_why(world: &mut World) {
    world.running("hello");
    world.server.cli(&["service", "stop", "hello"]);
    world.wait_status("hello", "stopped");
    let log = world
        .server
        .json(&["db", "log", "/public/packageData/hello", "--limit", "200"]);
    let log = log.as_array().unwrap();
    assert!(
        log.windows(2)
            .all(|two| two[0]["revision"].as_u64() > two[1]["revision"].as_u64()),
        "newest first"
    );
    let stopped = log.iter().find(|revision| {
        let ops = revision["ops"].as_array().into_iter().flatten();
        let mut ops = ops.filter(|op| op["value"] == "stopped");
        ops.any(|op| op["path"].as_str().unwrap().ends_with("/desired/main"))
    });
    let stopped = stopped.unwrap_or_else(|| panic!("nobody stopped it: {log:#?}"));
    assert_eq!(stopped["actor"], "services/hello");
    assert!(stopped["cause"].is_string(), "{stopped:#}");
    assert_eq!(stopped["request"], "package.stop by root", "{stopped:#}");

    // The same minute has it, another has not.
    let at = stopped["at"].as_str().unwrap();
    let minute = format!("{}Z", &at[.."2026-11-26T03:12".len()]);
    let then = world.server.json(&["db", "log", "--at", &minute]);
    assert!(then.as_array().unwrap().contains(stopped), "{then:#}");
    let other = world
        .server
        .json(&["db", "log", "--at", "2020-01-01T00:00Z"]);
    assert_eq!(other, json!([]));
}

pub(super) fn root_checks_and_compacts_the_store(world: &mut World) {
    let report = world.server.json(&["db", "check"]);
    assert_eq!(report["sound"], true, "{report:#}");
    assert!(report["rows"].as_u64() > Some(10), "{report:#}");
    let done = world.server.json(&["db", "compact"]);
    assert!(done["after"].as_u64() <= done["before"].as_u64(), "{done}");
    assert_eq!(world.server.json(&["db", "check"])["sound"], true);
}

pub(super) fn nothing_private_reaches_anyone_who_signed_in(world: &mut World) {
    const MARKER: &str = "private-marker";
    world.running("hello");
    let mut export = world.server.json(&["db", "export"]);
    let refused = world.server.refused(&["db", "import", "-"]);
    assert!(refused.contains("end the server first"), "{refused}");
    let mut planted = 0;
    let private = &mut export["document"]["private"];
    plant("private", private, MARKER, &mut planted);
    assert!(planted > 5, "only {planted} things are private");
    world.server.signal(Signal::SIGINT);
    world.server.ended(seconds(30));
    let checked = world.server.json(&["db", "check"]);
    assert_eq!(checked["sound"], true, "{checked:#}");
    world
        .server
        .cli_with_input(&["db", "import", "-"], &export.to_string());
    world.server.start();
    let after = world.server.json(&["db", "export"]).to_string();
    assert!(after.matches(MARKER).count() >= planted, "they are there");

    let session = world.session();
    let subscribed = session.call("db.subscribe", json!({}));
    let mut stream = session.stream(subscribed["guid"].as_str().unwrap());
    let mut received = subscribed.to_string();
    for (method, params) in [
        ("db.dump", json!({})),
        ("db.dump", json!({ "pointer": "/public/packageData" })),
        ("server.tree", json!({})),
        ("auth.session.list", json!({})),
        ("package.list", json!({})),
        ("package.status", json!({ "id": "hello" })),
        ("package.why", json!({ "id": "hello" })),
        ("package.logs", json!({ "id": "hello" })),
        ("package.installed-version", json!({ "id": "hello" })),
        (
            "package.action.get-input",
            json!({ "packageId": "hello", "actionId": "set-greeting" }),
        ),
    ] {
        received += &String::from_utf8_lossy(&session.post(method, params).body);
    }
    for (method, pointer) in [
        ("db.dump", "/private"),
        ("db.dump", ""),
        ("db.subscribe", "/private/packages"),
        ("db.log", ""),
        ("db.export", ""),
    ] {
        let refused = session.refused(method, json!({ "pointer": pointer }));
        received += &refused.to_string();
    }
    // What changes private places goes by in the stream.
    session.call("package.restart", json!({ "id": "hello" }));
    for _ in 0..40 {
        match stream.next(seconds(3)) {
            Some(Frame::Json(frame)) => received += &frame.to_string(),
            Some(Frame::Closed(code, why)) => panic!("the stream ended: {code} {why}"),
            None => break,
        }
    }
    assert!(received.len() > 4000 && received.contains("hello"));
    assert!(!received.contains(MARKER), "{received}");
    world.healthy("hello");
}

/// Puts a marker into everything that has fields, as one more of them. What is kept by key is left as it
/// is: there one more would be one more service, or one more port.
fn plant(name: &str, value: &mut Value, marker: &str, planted: &mut usize) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                plant(name, member, marker, planted);
            }
            let has_fields = members.values().any(|member| !member.is_object());
            if has_fields && name != "ports" {
                members.insert(marker.to_owned(), format!("{marker}-{planted}").into());
                *planted += 1;
            }
        }
        Value::Array(items) => {
            for item in items {
                plant(name, item, marker, planted);
            }
        }
        _ => {}
    }
}

pub(super) fn a_store_that_was_damaged_is_put_back_and_that_is_said(world: &mut World) {
    world.running("hello");
    let copies = world.server.data.join("state/copies");
    until("the store has a copy", seconds(30), || {
        let entries = fs::read_dir(&copies).ok()?.flatten();
        let mut names = entries.map(|entry| entry.file_name());
        names.find(|name| name.to_string_lossy().ends_with(".mdb"))
    });
    world.server.signal(Signal::SIGINT);
    world.server.ended(seconds(30));
    let file = world.server.data.join("state/data.mdb");
    let damaged = fs::OpenOptions::new().write(true).open(&file).unwrap();
    damaged.set_len(3 * 4096).unwrap();
    let said = world.server.refused(&["db", "check"]);
    assert!(said.contains("is damaged"), "{said}");

    world.server.start();
    let info = world
        .server
        .json(&["db", "dump", "/public/serverInfo/notices"]);
    let notice = info["value"][0].as_str().unwrap_or_default();
    assert!(notice.contains("was found damaged"), "{info:#}");
    assert_eq!(world.server.json(&["db", "check"])["sound"], true);
    world.running("hello");
}

//! Steps of the chapter `api`: calls that StartOS's programs make, and the shapes of `rpc-api.md` in what they are answered.

use serde_json::{Value, json};

use crate::{
    client::Frame,
    probe::{Probe, ask},
    until::{seconds, until},
    world::World,
};

const MAILER: &str = "mailer";

/// The names of an object's members.
fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .unwrap_or_else(|| panic!("{value:#} is no object"))
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

/// What log entries say. The kernel counts from its start, so that their times may differ by a millisecond.
fn messages(entries: &Value) -> Vec<&str> {
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|entry| entry["message"].as_str().unwrap())
        .collect()
}

pub(super) fn packages_are_listed_and_measured_in_the_shapes_of_startos(world: &mut World) {
    let session = world.session();
    let list = session.call("package.list", json!({}));
    let mut list = list.as_array().unwrap().iter();
    let hello = list.find(|one| one["id"] == "hello").unwrap();
    assert_eq!(members(hello), ["id", "status", "version"]);
    assert_eq!(hello["status"], "installed");
    let version = session.call("package.installed-version", json!({ "id": "hello" }));
    assert_eq!(hello["version"], version);
    let stats = session.call("package.stats", json!({}));
    let stats = &stats["hello"];
    assert_eq!(
        members(stats),
        ["container_id", "memory_limit", "memory_usage"]
    );
    assert!(stats["container_id"].is_string() && stats["memory_usage"].is_u64());
    let info = session.call("server.device-info", json!({}));
    assert_eq!(members(&info), ["hardware", "os"]);
    assert_eq!(
        members(&info["os"]),
        ["compat", "language", "platform", "version"]
    );
    assert_eq!(members(&info["hardware"]), ["arch", "devices", "ram"]);
}

pub(super) fn mail_settings_reach_the_package_that_asked_and_their_password_nobody_else(
    world: &mut World,
) {
    Probe::called(MAILER).install(world);
    let (session, world) = (world.session(), &*world);
    let read = "return seen.effects.getSystemSmtp({ callback: () => note('changes', null) })";
    assert_eq!(ask(world, MAILER, read), Value::Null);
    let changes = |times: u64| {
        until(
            "the package hears of the mail settings",
            seconds(10),
            || {
                let count = ask(world, MAILER, "return (seen.changes ?? []).length");
                (count == times).then_some(())
            },
        );
    };
    let words = "server smtp set mail.example.com --from server@example.com --username server --security starttls";
    let words: Vec<&str> = words.split(' ').collect();
    world.server.cli_with_input(&words, "a birch in a mail");
    changes(1);
    let expected = json!({
        "host": "mail.example.com", "port": 587, "from": "server@example.com", "username": "server",
        "password": "a birch in a mail", "security": "starttls",
    });
    assert_eq!(ask(world, MAILER, read), expected);

    let shown = session.call("server.smtp", json!({}));
    assert_eq!(shown["hasPassword"], true);
    let export = world.server.cli(&["db", "export"]);
    let told = [
        shown.to_string(),
        export,
        world.server.cli(&["auth", "audit", "--json"]),
        world
            .server
            .cli(&["server", "logs", "-n", "10000", "--json"]),
    ];
    for told in &told {
        assert!(!told.contains("a birch in a mail"), "the password is told");
    }
    assert!(told[2].contains("server.set-smtp"), "{}", told[2]);

    let cleared = session.call("server.clear-smtp", json!({}));
    assert_eq!(cleared, Value::Null);
    changes(2);
    assert_eq!(ask(world, MAILER, read), Value::Null);
    world.server.cli(&["package", "uninstall", MAILER]);
}

pub(super) fn a_test_mail_that_nobody_takes_is_refused_with_the_reason(world: &mut World) {
    // Nobody listens there.
    let params = json!({
        "host": "127.0.0.1", "port": 1, "from": "server@example.com", "to": "me@example.com",
        "username": "server", "password": "a birch", "security": "tls",
    });
    let error = world.session().refused("server.test-smtp", params);
    assert_eq!(error["code"], 78, "{error:#}");
    let details = error["data"]["details"].as_str().unwrap();
    assert!(details.contains("127.0.0.1:1"), "{details}");
    assert!(!details.contains("a birch"), "{details}");
}

pub(super) fn notifications_are_told_listed_marked_and_removed(world: &mut World) {
    let session = world.session();
    let before = session.call("notification.list", json!({ "limit": 1 }));
    let last = before[0]["id"].as_u64();
    world.server.cli(&[
        "notification",
        "create",
        "--level",
        "warning",
        "Look",
        "Here.",
    ]);
    let listed = session.call("notification.list", json!({ "before": null, "limit": 1 }));
    let told = &listed[0];
    let id = told["id"].as_u64().unwrap();
    assert!(last.is_none_or(|last| id > last), "{listed:#}");
    let expected = json!({
        "id": id, "packageId": null, "createdAt": told["createdAt"], "code": 0, "level": "warning",
        "title": "Look", "message": "Here.", "data": null, "seen": false,
    });
    assert_eq!(*told, expected);
    let words = world.server.cli(&["notification", "list", "-n", "1"]);
    assert!(
        words.contains("Look: Here.") && words.contains("new"),
        "{words}"
    );
    session.call("notification.mark-seen", json!({ "ids": [id] }));
    let listed = session.call("notification.list", json!({ "limit": 1 }));
    assert_eq!(listed[0]["seen"], true);
    world
        .server
        .cli(&["notification", "remove", &id.to_string()]);
    let listed = session.call("notification.list", json!({ "limit": 1 }));
    assert_eq!(listed, before);
}

pub(super) fn what_the_server_and_the_kernel_wrote_is_read_and_followed(world: &mut World) {
    let session = world.session();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for method in ["server.logs", "server.kernel-logs"] {
        let page = session.call(method, json!({ "limit": 3, "boot": 0 }));
        assert_eq!(members(&page), ["endCursor", "entries", "startCursor"]);
        let entries = page["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 3, "{method}: {page:#}");
        for entry in entries {
            assert!(entry["timestamp"].is_string() && entry["message"].is_string());
            assert_eq!(entry["bootId"], boot.trim());
        }
        let older = json!({ "limit": 2, "cursor": page["startCursor"], "before": true });
        let older = session.call(method, older);
        let next = json!({ "limit": 1, "cursor": older["endCursor"] });
        let next = session.call(method, next);
        assert_eq!(
            messages(&next["entries"]),
            messages(&page["entries"])[..1],
            "{method}"
        );
        let newer = session.call(method, json!({ "limit": 2, "cursor": page["startCursor"] }));
        assert_eq!(
            messages(&newer["entries"]),
            messages(&page["entries"])[..2],
            "{method}"
        );
        let follow = session.call(&format!("{method}.follow"), json!({ "limit": 1 }));
        assert_eq!(members(&follow), ["guid", "startCursor"]);
        let mut stream = session.stream(follow["guid"].as_str().unwrap());
        let Some(Frame::Json(frame)) = stream.next(seconds(10)) else {
            panic!("{method}: nothing follows")
        };
        assert!(frame["message"].is_string());
    }

    let follow = session.call("server.logs.follow", json!({ "limit": 0 }));
    let mut stream = session.stream(follow["guid"].as_str().unwrap());
    let title = "a line that is waited for";
    world
        .server
        .cli(&["notification", "create", title, "It is in the log."]);
    until("the line comes", seconds(10), || {
        match stream.next(seconds(1)) {
            Some(Frame::Json(frame)) => {
                let message = frame["message"].as_str().unwrap();
                message.contains(title).then_some(())
            }
            Some(other) => panic!("the stream ended: {other:?}"),
            None => None,
        }
    });
    let printed = world.server.cli(&["server", "logs", "-n", "200"]);
    assert!(printed.contains(title), "{printed}");
}

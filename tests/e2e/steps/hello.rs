//! The smallest service, as a person meets it on the command line and in a browser.

use std::{
    fs::{self, File},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    console::{succeeded, text},
    lan::{SERVER, neighbour_runs},
    until::{seconds, until},
    world::World,
};

pub(crate) const NAME: &str = "hello-coppice.local";
const FIRST_GREETING: &str = "Hello from Coppice";

pub(super) fn prepare(world: &mut World) {
    world.up();
}

pub(super) fn a_package_file_is_installed_through_the_command_line(world: &mut World) {
    assert_eq!(world.server.json(&["package", "list"]), json!([]));
    let file = World::example("hello");
    let done = world
        .server
        .json(&["package", "install", file.to_str().unwrap()]);
    let installed = json!({ "id": "hello", "version": "1.0.0:0", "from": null });
    assert_eq!(done, installed);
    let service = world.server.service("hello").unwrap();
    assert_eq!(
        service["status"], "stopped",
        "nobody asked it to run: {service:#}"
    );
    assert_eq!(service["version"], "1.0.0:0");
    assert_eq!(service["address"], format!("https://{NAME}"));
}

pub(super) fn a_started_service_becomes_healthy(world: &mut World) {
    world.server.cli(&["service", "start", "hello"]);
    world.healthy("hello");
    let status = world.server.json(&["service", "status", "hello"]);
    let checks = status["entry"]["statusInfo"]["health"].as_object().unwrap();
    assert_eq!(checks.len(), 1, "{checks:#?}");
    let check = checks.values().next().unwrap();
    assert_eq!(
        (&check["name"], &check["result"]),
        (&json!("Page"), &json!("success"))
    );
}

/// The page as curl on another machine gets it.
fn curl(world: &World, more: &[&str]) -> std::process::Output {
    let (ca, resolve) = (world.ca(), format!("{NAME}:443:{SERVER}"));
    let arguments = [
        "-sS",
        "--max-time",
        "20",
        "--cacert",
        ca.to_str().unwrap(),
        "--resolve",
        &resolve,
    ];
    neighbour_runs("curl", &[&arguments, more].concat())
}

pub(super) fn its_page_is_served_over_https_by_its_own_name(world: &mut World) {
    let url = format!("https://{NAME}/");
    let page = succeeded("curl", &curl(world, &[&url]));
    assert!(
        page.contains(&format!("<h1>{FIRST_GREETING}</h1>")),
        "{page}"
    );
    // Without our certificate it is nobody's: the test discriminates.
    let resolve = format!("{NAME}:443:{SERVER}");
    let stranger = neighbour_runs("curl", &["-sS", "--resolve", &resolve, &url]);
    assert_eq!(
        stranger.status.code(),
        Some(60),
        "{}",
        text(&stranger.stderr)
    );
    // Over HTTP/2 as browsers speak it, and over HTTP/1.1.
    for version in ["--http2", "--http1.1"] {
        let code = succeeded(
            "curl",
            &curl(
                world,
                &[version, "-o", "/dev/null", "-w", "%{http_code}", &url],
            ),
        );
        assert_eq!(code, "200", "{version}");
    }
}

pub(super) fn plain_http_explains_offers_the_certificate_and_then_redirects(world: &mut World) {
    let plain = |host: &str, more: &[&str]| {
        let host = format!("Host: {host}");
        let url = format!("http://{SERVER}/");
        let output = neighbour_runs("curl", &[&["-sS", "-i", "-H", &host, &url], more].concat());
        succeeded("curl", &output)
    };
    let page = plain("coppice.local", &[]);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.contains("/ca.crt") && page.contains("does not know this server yet"),
        "{page}"
    );
    // The fingerprint on the page is that of the certificate which is offered.
    let ca = world.ca();
    let printed = crate::console::run(
        "openssl",
        &[
            "x509",
            "-noout",
            "-fingerprint",
            "-sha256",
            "-in",
            ca.to_str().unwrap(),
        ],
    );
    let fingerprint = printed.trim().split_once('=').unwrap().1;
    assert!(
        page.contains(fingerprint),
        "{fingerprint} is not on the page"
    );
    // Once the browser has reached HTTPS it goes there at once, to the name it asked for.
    for host in ["coppice.local", NAME] {
        let answer = plain(host, &["-H", "Cookie: coppice_https=1"]);
        assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
        assert!(
            answer
                .to_lowercase()
                .contains(&format!("location: https://{host}/")),
            "{answer}"
        );
    }
    let posted = plain("coppice.local", &["--data", "secret=1"]);
    assert!(posted.starts_with("HTTP/1.1 403"), "{posted}");
}

pub(crate) fn page(world: &World) -> String {
    world
        .client()
        .get(NAME, "/")
        .map_or_else(|failed| failed.to_string(), |answer| answer.text())
}

/// Sets the greeting and waits until the page says it.
pub(crate) fn greet(world: &World, greeting: &str) {
    let input = json!({ "greeting": greeting }).to_string();
    let said = world
        .server
        .cli(&["action", "run", "hello", "set-greeting", "--input", &input]);
    assert!(said.contains(greeting), "{said}");
    until(&format!("the page says `{greeting}`"), seconds(20), || {
        page(world).contains(greeting).then_some(())
    });
}

pub(super) fn an_action_with_input_changes_the_setting_and_restarts_the_daemon(world: &mut World) {
    let (init, node, daemon) = (
        world.server.init("hello"),
        world.server.process("hello", "node"),
        world.server.process("hello", "hello"),
    );
    let form = world
        .server
        .json(&["action", "form", "hello", "set-greeting"]);
    assert_eq!(form["value"]["greeting"], FIRST_GREETING, "{form:#}");
    greet(world, "Guten Morgen");
    assert!(
        !daemon.lives(),
        "the daemon reads its setting at start only"
    );
    assert!(
        init.lives() && node.lives(),
        "the container and its runtime stay up"
    );
    world.healthy("hello");
}

pub(super) fn an_action_refuses_input_that_its_form_forbids(world: &mut World) {
    let said = world.server.refused(&[
        "action",
        "run",
        "hello",
        "set-greeting",
        "--input",
        r#"{"greeting":" blank before"}"#,
    ]);
    assert!(
        said.contains("One line, without spaces around it"),
        "{said}"
    );
    let said = world
        .server
        .refused(&["action", "run", "hello", "no-such-action", "--input", "{}"]);
    assert!(
        said.contains("no-such-action") && said.contains("hello"),
        "{said}"
    );
    let said = world.server.refused(&[
        "action",
        "run",
        "hello",
        "set-greeting",
        "--input",
        "{not json",
    ]);
    assert!(said.contains("--input is not JSON"), "{said}");
}

pub(super) fn a_service_is_stopped_and_started_again(world: &mut World) {
    let daemon = world.server.process("hello", "hello");
    assert_eq!(
        world.server.cli(&["service", "stop", "hello"]).trim(),
        "hello is stopping"
    );
    world.wait_status("hello", "stopped");
    assert!(!daemon.lives(), "a stopped service has no daemon");
    let answer = world.client().get(NAME, "/").unwrap();
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(
        answer.text().to_lowercase().contains("hello"),
        "the page says whose it is: {}",
        answer.text()
    );
    let said = world.server.refused(&["service", "restart", "hello"]);
    assert!(said.contains("start it instead"), "{said}");
    world.server.cli(&["service", "start", "hello"]);
    world.healthy("hello");
    let launches = || {
        let logs = world.server.cli(&["service", "logs", "hello", "-n", "500"]);
        logs.matches("listening on port 8080").count()
    };
    let (daemon, before) = (world.server.process("hello", "hello"), launches());
    world.server.cli(&["service", "restart", "hello"]);
    until("the daemon was restarted", seconds(20), || {
        (!daemon.lives()).then_some(())
    });
    world.healthy("hello");
    assert_eq!(launches(), before + 1, "one restart is one round");
    assert_eq!(world.client().get(NAME, "/").unwrap().status, 200);
}

pub(super) fn the_command_line_tells_of_services_in_words_and_in_json(world: &mut World) {
    let list = world.server.cli(&["service", "list"]);
    assert!(
        list.contains("hello")
            && list.contains("running")
            && list.contains(&format!("https://{NAME}")),
        "{list}"
    );
    let status = world.server.cli(&["service", "status", "hello"]);
    assert!(
        status.contains("Hello 1.0.0:0: running") && status.contains("check Page: success"),
        "{status}"
    );
    let status = world.server.json(&["service", "status", "hello"]);
    assert_eq!(
        status["entry"]["stateInfo"]["state"], "installed",
        "{status:#}"
    );
    let why = world.server.cli(&["service", "why", "hello"]);
    assert!(why.starts_with("hello is running."), "{why}");
    let actions = world.server.json(&["action", "list", "hello"]);
    assert_eq!(
        actions["set-greeting"]["name"], "Set greeting",
        "{actions:#}"
    );
    assert_eq!(world.server.json(&["task", "list", "hello"]), json!({}));
    let info = world.server.json(&["server", "info"]);
    assert_eq!(
        (&info["hostname"], &info["httpsPort"]),
        (&json!("coppice"), &json!(443)),
        "{info:#}"
    );
}

pub(super) fn its_logs_are_shown_and_followed(world: &mut World) {
    let logs = world.server.cli(&["service", "logs", "hello", "-n", "200"]);
    assert!(logs.contains("listening on port 8080"), "{logs}");
    let entries = world
        .server
        .cli(&["service", "logs", "hello", "-n", "3", "--json"]);
    assert_eq!(entries.lines().count(), 3, "{entries}");
    for line in entries.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(
            entry["timestamp"].is_string() && entry["message"].is_string(),
            "{entry:#}"
        );
    }

    let written = world.scratch.path("followed");
    let mut following = world
        .server
        .command(&["service", "logs", "hello", "--follow", "-n", "1"])
        .stdin(Stdio::null())
        .stdout(File::create(&written).unwrap())
        .spawn()
        .unwrap();
    let has = |what: &str| {
        fs::read_to_string(&written)
            .unwrap()
            .contains(what)
            .then_some(())
    };
    until("following shows the past", seconds(10), || has("\n"));
    world.client().get(NAME, "/a-page-to-be-followed").unwrap();
    until("following shows what comes", seconds(10), || {
        has("GET /a-page-to-be-followed")
    });
    following.kill().unwrap();
    following.wait().unwrap();
}

/// A node of the tree by the ids that lead to it; the last may be a beginning.
fn node<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let Some((first, rest)) = path.split_first() else {
        return Some(tree);
    };
    let children = tree["children"].as_array()?;
    let below = children.iter().find(|child| {
        child["id"]
            .as_str()
            .is_some_and(|id| id == *first || (rest.is_empty() && id.starts_with(first)))
    })?;
    node(below, rest)
}

pub(super) fn the_tree_shows_the_actors_of_the_service(world: &mut World) {
    let tree = world.server.json(&["tree"]);
    for path in [
        &["network"][..],
        &["services", "hello", "container"],
        &["services", "hello", "work", "runtime"],
        &["services", "hello", "work", "health"],
        &["services", "hello", "work", "tasks"],
        &["services", "hello", "work", "hosted", "server"],
        &["gateway"],
    ] {
        let found =
            node(&tree, path).unwrap_or_else(|| panic!("{path:?} is not in the tree: {tree:#}"));
        assert_eq!(found["state"], "running", "{path:?}: {found:#}");
        assert!(found["uptimeMs"].is_u64(), "{path:?}: {found:#}");
    }
    let words = world.server.cli(&["tree"]);
    assert!(
        words.contains("└─ ") && words.contains("hello") && words.contains("running for"),
        "{words}"
    );
}

pub(super) fn the_document_is_dumped_whole_or_in_part(world: &mut World) {
    let whole = world.server.json(&["db", "dump"]);
    assert!(whole["id"].is_u64(), "a dump says how far it is");
    assert_eq!(
        whole["value"]["packageData"]["hello"]["stateInfo"]["state"],
        "installed"
    );
    let part = world
        .server
        .json(&["db", "dump", "/public/packageData/hello/statusInfo/desired"]);
    assert_eq!(part["value"], json!({ "main": "running" }));
    let said = world.server.refused(&["db", "dump", "/private"]);
    assert!(said.contains("`/private` is not public"), "{said}");
}

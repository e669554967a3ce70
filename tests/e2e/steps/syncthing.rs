//! A package that comes by upload, and has a port that is not HTTP.

use std::{fs, net::SocketAddr, process::Output};

use serde_json::json;

use crate::{
    client::Frame,
    console::{succeeded, text},
    lan::{self, SERVER, neighbour_runs},
    until::{seconds, until},
    world::World,
};

const NAME: &str = "syncthing-coppice.local";
const SYNC: u16 = 22000;

pub(super) fn prepare(world: &mut World) {
    world.up();
}

pub(super) fn a_package_is_uploaded_over_https_with_progress(world: &mut World) {
    let session = world.session();
    let tickets = session.call("package.sideload", json!({}));
    let mut progress = session.stream(tickets["progress"].as_str().unwrap());
    let upload = tickets["upload"].as_str().unwrap().to_owned();
    let (sender, package) = (
        session.clone(),
        fs::read(World::example("syncthing")).unwrap(),
    );
    let sending = std::thread::spawn(move || sender.upload(&upload, package));
    let mut seen = Vec::new();
    loop {
        match progress.next(seconds(30)) {
            Some(Frame::Json(frame)) => seen.push(frame),
            Some(Frame::Closed(code, reason)) => {
                assert_eq!((code, reason.as_str()), (1000, "complete"), "{seen:#?}");
                break;
            }
            None => panic!("no progress for 30 s: {seen:#?}"),
        }
    }
    let answer = sending.join().unwrap().unwrap();
    assert!(answer.status.is_success(), "{}", answer.text());
    let last = seen.last().unwrap();
    assert_eq!(last["overall"], true, "{last:#}");
    let names: Vec<_> = last["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|phase| &phase["name"])
        .collect();
    assert_eq!(names, ["Uploading", "Installing"]);
    let on_the_way = |name: &str| {
        seen.iter().any(|frame| {
            frame["phases"].as_array().unwrap().iter().any(|phase| {
                phase["name"] == name && phase["progress"] != true && !phase["progress"].is_null()
            })
        })
    };
    assert!(on_the_way("Installing"), "{seen:#?}");
    assert!(world.is_installed("syncthing"));
    let again = session
        .upload(tickets["upload"].as_str().unwrap(), Vec::new())
        .unwrap();
    assert_eq!(again.status, 404, "a ticket is good for once");
}

pub(super) fn its_web_interface_knows_its_first_login(world: &mut World) {
    world.server.cli(&["service", "start", "syncthing"]);
    world.healthy("syncthing");
    let shown = world
        .server
        .json(&["action", "run", "syncthing", "show-login"]);
    let value = |name: &str| {
        let members = shown["result"]["value"].as_array().unwrap();
        let member = members
            .iter()
            .find(|member| member["name"] == name)
            .unwrap();
        member["value"].as_str().unwrap().to_owned()
    };
    let user = format!("{}:{}", value("Username"), value("Password"));
    let answer = succeeded(
        "curl",
        &curl(world, NAME, "admin:a-guess", &[], "/rest/system/version"),
    );
    assert!(answer.ends_with("\n403"), "{answer}");
    // It wants to be asked with the token that it gives with its page.
    let page = succeeded("curl", &curl(world, NAME, &user, &[], "/"));
    assert!(page.contains("Syncthing"), "{page}");
    let jar = fs::read_to_string(world.scratch.path(&format!("{NAME}-jar"))).unwrap();
    let token = jar
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .find(|fields| fields.len() == 7 && fields[5].starts_with("CSRF-Token"));
    let token = token
        .map(|fields| format!("X-{}: {}", fields[5], fields[6]))
        .unwrap_or_else(|| panic!("{jar}"));
    let answer = succeeded(
        "curl",
        &curl(world, NAME, &user, &["-H", &token], "/rest/system/version"),
    );
    assert!(
        answer.contains("\"version\"") && answer.ends_with("\n200"),
        "{answer}"
    );
}

/// curl as somebody, with a jar for cookies; the status code comes after the body.
pub(super) fn curl(world: &World, name: &str, user: &str, more: &[&str], path: &str) -> Output {
    let (ca, jar, resolve) = (
        world.ca(),
        world.scratch.path(&format!("{name}-jar")),
        format!("{name}:443:{SERVER}"),
    );
    let (ca, jar, url) = (
        ca.to_str().unwrap(),
        jar.to_str().unwrap(),
        format!("https://{name}{path}"),
    );
    let arguments = [
        "-sS",
        "--max-time",
        "20",
        "--cacert",
        ca,
        "--resolve",
        &resolve,
        "-b",
        jar,
        "-c",
        jar,
        "-u",
        user,
        "-w",
        "\n%{http_code}",
    ];
    neighbour_runs("curl", &[&arguments, more, &[&url]].concat())
}

pub(super) fn its_other_port_is_open_to_other_machines(world: &mut World) {
    let to = format!("{SERVER}:{SYNC}");
    // It speaks TLS with a certificate of its own there, and has no use for ours.
    until("another machine reaches the port", seconds(10), || {
        let said = neighbour_runs(
            "timeout",
            &[
                "5", "openssl", "s_client", "-connect", &to, "-alpn", "bep/1.0",
            ],
        );
        text(&said.stdout).contains("CN = syncthing").then_some(())
    });
    // What it did not declare is not reached from there, though the container listens on it.
    let ui = lan::connect(SocketAddr::from((SERVER, 8384)), seconds(2));
    assert!(
        ui.is_err(),
        "the port of the web interface is open in plain text"
    );
    let entry = world.server.json(&["service", "status", "syncthing"])["entry"].clone();
    assert_eq!(
        entry["hosts"]["sync"]["bindings"][SYNC.to_string()]["net"]["assignedPort"],
        SYNC,
        "{:#}",
        entry["hosts"]["sync"]
    );
}

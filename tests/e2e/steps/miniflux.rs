//! The feed reader with its database: a task before the first start, two daemons, a real login.

use std::process::Output;

use serde_json::json;

use crate::{
    console::succeeded,
    lan::{SERVER, neighbour_runs},
    processes::Process,
    until::{seconds, until},
    world::World,
};

const NAME: &str = "miniflux-coppice.local";
pub(super) const PASSWORD: &str = "a-hornbeam-by-the-river";

pub(super) fn prepare(world: &mut World) {
    world.up();
}

pub(super) fn a_critical_task_keeps_it_from_starting(world: &mut World) {
    world.server.cli(&[
        "package",
        "install",
        World::example("miniflux").to_str().unwrap(),
    ]);
    let service = world.server.service("miniflux").unwrap();
    assert_eq!(service["status"], "needs-task", "{service:#}");
    let tasks = world.server.json(&["task", "list", "miniflux"]);
    let (id, task) = tasks.as_object().unwrap().iter().next().unwrap();
    assert_eq!(
        (&task["task"]["severity"], &task["task"]["actionId"]),
        (&json!("critical"), &json!("set-admin")),
        "{task:#}"
    );
    let said = world.server.refused(&["service", "start", "miniflux"]);
    assert!(
        said.contains("set-admin") && said.contains("run it, then start again"),
        "{said}"
    );
    let said = world.server.refused(&["task", "clear", "miniflux", id]);
    assert!(said.contains("is required"), "{said}");
    let processes = world.server.processes("miniflux");
    assert!(
        processes.iter().all(|process| process.name != "postgres"),
        "{processes:?}"
    );
}

pub(super) fn running_its_action_makes_way(world: &mut World) {
    let bad = json!({ "username": "admin", "password": "short" }).to_string();
    let said = world
        .server
        .refused(&["action", "run", "miniflux", "set-admin", "--input", &bad]);
    assert!(said.contains("Six characters or more"), "{said}");
    let account = json!({ "username": "admin", "password": PASSWORD }).to_string();
    let said = world.server.cli(&[
        "action",
        "run",
        "miniflux",
        "set-admin",
        "--input",
        &account,
    ]);
    assert!(
        !said.contains(PASSWORD),
        "what is masked is not printed: {said}"
    );
    world.wait_status("miniflux", "stopped");
    let tasks = world.server.json(&["task", "list", "miniflux"]);
    assert!(
        tasks
            .as_object()
            .unwrap()
            .values()
            .all(|task| task["active"] != true),
        "{tasks:#}"
    );
}

pub(super) fn both_daemons_become_healthy(world: &mut World) {
    world.server.cli(&["service", "start", "miniflux"]);
    world.healthy("miniflux");
    let status = world.server.json(&["service", "status", "miniflux"]);
    let checks = status["entry"]["statusInfo"]["health"].as_object().unwrap();
    for name in ["Database", "Web UI"] {
        let check = checks
            .values()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("{checks:#?}"));
        assert_eq!(check["result"], "success", "{check:#}");
    }
}

/// curl as a browser: with a jar for cookies.
fn curl(world: &World, more: &[&str]) -> Output {
    let (ca, jar, resolve) = (
        world.ca(),
        world.scratch.path("jar"),
        format!("{NAME}:443:{SERVER}"),
    );
    let (ca, jar) = (ca.to_str().unwrap(), jar.to_str().unwrap());
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
    ];
    neighbour_runs("curl", &[&arguments, more].concat())
}

fn log_in(world: &World, password: &str) -> String {
    let page = succeeded("curl", &curl(world, &[&format!("https://{NAME}/")]));
    let csrf = page
        .split("name=\"csrf\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let csrf = format!(
        "csrf={}",
        csrf.unwrap_or_else(|| panic!("no login form: {page}"))
    );
    let password = format!("password={password}");
    let fields = [
        "--data-urlencode",
        &csrf,
        "--data-urlencode",
        "username=admin",
        "--data-urlencode",
        &password,
    ];
    succeeded(
        "curl",
        &curl(
            world,
            &[&["-L"], &fields[..], &[&format!("https://{NAME}/login")]].concat(),
        ),
    )
}

pub(super) fn its_pages_are_reached_and_its_account_can_log_in(world: &mut World) {
    let page = log_in(world, "a-wrong-password");
    assert!(
        page.contains("name=\"password\""),
        "a wrong password leads back to the form: {page}"
    );
    let page = log_in(world, PASSWORD);
    assert!(page.contains("href=\"/logout\""), "{page}");
    for path in ["/unread", "/feeds", "/settings", "/integrations"] {
        let page = succeeded("curl", &curl(world, &[&format!("https://{NAME}{path}")]));
        assert!(page.contains("href=\"/logout\""), "{path}: {page}");
    }
}

/// The first of a service's processes with that name: of PostgreSQL, the one that started the others.
pub(super) fn first(world: &World, service: &str, name: &str) -> Process {
    let all = world.server.processes(service);
    let first = all
        .iter()
        .filter(|process| process.name == name)
        .min_by_key(|process| process.started);
    first
        .unwrap_or_else(|| panic!("`{service}` has no process `{name}`: {all:?}"))
        .clone()
}

pub(super) fn a_killed_database_comes_back_and_so_does_the_page(world: &mut World) {
    let (database, init) = (
        first(world, "miniflux", "postgres"),
        world.server.init("miniflux"),
    );
    let before = world.server.last_restart("miniflux");
    database.shoot();
    let record = world
        .server
        .new_restart("miniflux", "daemon postgres", &before);
    let sigkill = json!({ "kind": "signal", "signal": 9 });
    assert_eq!(record["cause"], sigkill, "{record:#}");
    until("there is a new database", seconds(30), || {
        let all = world.server.processes("miniflux");
        all.iter()
            .any(|process| process.name == "postgres" && process.started > database.started)
            .then_some(())
    });
    world.healthy("miniflux");
    until("the page answers again", seconds(20), || {
        let page = succeeded("curl", &curl(world, &[&format!("https://{NAME}/unread")]));
        page.contains("href=\"/logout\"").then_some(())
    });
    assert!(init.lives(), "its container stays up");
}

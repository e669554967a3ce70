//! A service that shows what another one publishes: a task there, a volume of its, and life without it.

use serde_json::{Value, json};

use super::{
    removal::uninstall,
    tiddlywiki::{set_login, write_note},
};
use crate::{
    until::{seconds, until},
    world::World,
};

const NAME: &str = "reading-room-coppice.local";

pub(super) fn prepare(world: &mut World) {
    world.running("tiddlywiki");
    set_login(world);
}

/// The page as it is served: its status and its text.
fn page(world: &World) -> (u16, String) {
    let answer = world.client().get(NAME, "/").unwrap();
    (answer.status.as_u16(), answer.text())
}

/// What its check of the wiki says.
fn check(world: &World) -> Value {
    let status = world.server.json(&["service", "status", "reading-room"]);
    status["entry"]["statusInfo"]["health"]["wiki"].clone()
}

fn task(world: &World) -> Value {
    let tasks = world.server.json(&["task", "list", "reading-room"]);
    let mut all = tasks.as_object().unwrap().values();
    let task = all.next().unwrap_or_else(|| panic!("it asks for nothing"));
    assert_eq!(
        (&task["task"]["packageId"], &task["task"]["actionId"]),
        (&json!("tiddlywiki"), &json!("publish")),
        "{task:#}"
    );
    task.clone()
}

pub(super) fn it_asks_for_something_to_show_in_the_other_service(world: &mut World) {
    world.running("reading-room");
    let task = task(world);
    assert_eq!(task["active"], true, "{task:#}");
    assert_eq!(task["task"]["severity"], "important", "{task:#}");
    let (status, text) = page(world);
    assert!(
        status == 404 && text.contains("nothing to read yet"),
        "{status} {text}"
    );
}

pub(super) fn what_is_published_there_is_read_here_without_a_login(world: &mut World) {
    write_note(world, "Garden", "public", "Hazel and hornbeam");
    write_note(world, "Shed", "", "The key is under the oak");
    let input = json!({ "published": true, "tag": "public" }).to_string();
    world
        .server
        .cli(&["action", "run", "tiddlywiki", "publish", "--input", &input]);
    let (status, text) = page(world);
    assert!(
        status == 200 && text.contains("Hazel and hornbeam"),
        "{status} {text}"
    );
    assert!(!text.contains("under the oak"), "{text}");
    until("the task is done", seconds(20), || {
        (task(world)["active"] == false).then_some(())
    });
}

pub(super) fn while_the_other_is_stopped_it_goes_on_and_says_so(world: &mut World) {
    world.server.cli(&["service", "stop", "tiddlywiki"]);
    world.wait_status("tiddlywiki", "stopped");
    until("its check says so", seconds(30), || {
        let check = check(world);
        let is_told = check["result"] == "failure" && check["message"] == "TiddlyWiki does not run";
        is_told.then_some(())
    });
    assert_eq!(page(world).0, 200);
}

pub(super) fn a_start_without_the_other_is_held_until_that_is_well(world: &mut World) {
    world.server.cli(&["service", "restart", "reading-room"]);
    let held = world.wait_status("reading-room", "held");
    let because = "its dependency tiddlywiki is stopped";
    assert!(
        held["detail"].as_str().unwrap().contains(because),
        "{held:#}"
    );
    let why = world.server.cli(&["service", "why", "reading-room"]);
    assert!(why.contains("TiddlyWiki does not run"), "{why}");
    world.server.cli(&["service", "start", "tiddlywiki"]);
    world.healthy("reading-room");
    assert_eq!(page(world).0, 200);
}

pub(super) fn uninstalling_both_leaves_no_trace(world: &mut World) {
    uninstall(world, "reading-room");
    uninstall(world, "tiddlywiki");
}

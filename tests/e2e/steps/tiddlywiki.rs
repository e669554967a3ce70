//! A Node application from npm: a login that an action changes, notes that last.

use serde_json::json;

use super::syncthing::curl;
use crate::{
    console::succeeded,
    until::{seconds, until},
    world::World,
};

const NAME: &str = "tiddlywiki-coppice.local";
pub(super) const LOGIN: &str = "gardener:a-spindle-in-the-hedge";

pub(super) fn prepare(world: &mut World) {
    world.up();
}

/// The status of the wiki's first page, for who shows this login.
fn status(world: &World, login: &str) -> String {
    let answer = succeeded("curl", &curl(world, NAME, login, &[], "/status"));
    answer.rsplit('\n').next().unwrap().to_owned()
}

/// Gives the wiki the login that the steps know.
pub(super) fn set_login(world: &World) {
    let (username, password) = LOGIN.split_once(':').unwrap();
    let input = json!({ "username": username, "password": password }).to_string();
    let said = world.server.cli(&[
        "action",
        "run",
        "tiddlywiki",
        "set-login",
        "--input",
        &input,
    ]);
    assert!(
        !said.contains(password),
        "what is masked is not printed: {said}"
    );
    until("the wiki takes the login", seconds(60), || {
        (status(world, LOGIN) == "200").then_some(())
    });
    world.healthy("tiddlywiki");
}

/// Writes a note, as the wiki's page does.
pub(super) fn write_note(world: &World, title: &str, tags: &str, text: &str) {
    let note = json!({ "title": title, "tags": tags, "text": text }).to_string();
    let more = [
        "-X",
        "PUT",
        "-H",
        "X-Requested-With: TiddlyWiki",
        "-d",
        &note,
    ];
    let path = format!("/recipes/default/tiddlers/{title}");
    let answer = succeeded("curl", &curl(world, NAME, LOGIN, &more, &path));
    assert!(answer.ends_with("\n204"), "{answer}");
}

pub(super) fn nobody_reads_it_without_the_login(world: &mut World) {
    world.running("tiddlywiki");
    assert_eq!(status(world, ":"), "401");
    assert_eq!(status(world, "admin:a-guess"), "401");
    assert_eq!(status(world, LOGIN), "401");
}

pub(super) fn an_action_changes_the_login_and_its_page_answers(world: &mut World) {
    set_login(world);
    assert_eq!(status(world, "admin:a-guess"), "401");
    let page = succeeded("curl", &curl(world, NAME, LOGIN, &[], "/"));
    assert!(
        page.contains("TiddlyWiki") && page.ends_with("\n200"),
        "{page}"
    );
    let bad = json!({ "username": "gardener", "password": "short" }).to_string();
    let said = world
        .server
        .refused(&["action", "run", "tiddlywiki", "set-login", "--input", &bad]);
    assert!(said.contains("Password: Eight characters"), "{said}");
}

pub(super) fn a_note_outlives_a_restart_of_the_wiki(world: &mut World) {
    write_note(world, "Shed", "", "The key is under the oak");
    world.server.cli(&["service", "stop", "tiddlywiki"]);
    world.wait_status("tiddlywiki", "stopped");
    world.server.cli(&["service", "start", "tiddlywiki"]);
    world.healthy("tiddlywiki");
    let path = "/recipes/default/tiddlers/Shed";
    let answer = succeeded("curl", &curl(world, NAME, LOGIN, &[], path));
    assert!(answer.contains("The key is under the oak"), "{answer}");
}

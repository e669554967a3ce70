//! Another program in the place of a running one: it takes over, or everything is as it was.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests do; clippy knows the tests only"
)]

#[path = "support/house.rs"]
mod house;

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use coppice_clock::Mono;

use house::{Heart, House, PATIENCE, connect, free_port, murder, served_by, tcp};

/// A newer program: a copy of the puppet, whose name says how it behaves.
fn newer(house: &House, name: &str) -> PathBuf {
    let path = house.dir.path().join(name);
    fs::copy(env!("CARGO_BIN_EXE_heart-puppet"), &path).unwrap();
    path
}

fn state(house: &House) -> PathBuf {
    house.data().join("state/document")
}

/// A house with a heart at work, a port that is served and a store.
fn at_work() -> (House, Heart, std::net::SocketAddr, i32) {
    let house = House::new();
    let mut heart = house.start();
    fs::create_dir(house.data().join("state")).unwrap();
    fs::write(state(&house), "older").unwrap();
    let port = free_port();
    let edge = heart.publish(1, &[tcp("web", port)]);
    (house, heart, port, edge)
}

/// Asks for an upgrade, under the name of its file, and says how it ended.
fn upgraded(heart: &mut Heart, program: &Path) -> String {
    let name = program.file_name().unwrap().to_str().unwrap();
    loop {
        heart.ask(&format!("upgrade {name} {}", program.display()));
        let said = heart.line(&format!("upgraded {name}:"));
        let said = said[2..].join(" ");
        // One that was undone is over when the old edge is back.
        if !said.starts_with("another upgrade is under way") {
            return said;
        }
    }
}

fn runs(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default()
}

/// Everything goes on as it was, with the store as it was.
fn is_as_before(house: &House, heart: &mut Heart, port: std::net::SocketAddr) {
    assert_eq!(fs::read_to_string(state(house)).unwrap(), "older");
    assert_eq!(
        fs::read_to_string(house.data().join("VERSION")).unwrap(),
        "1\n"
    );
    assert!(!house.data().join("upgrade").exists());
    heart.publish(9, &[tcp("web", port)]);
    let give_up = Mono::now() + PATIENCE;
    loop {
        let (edge, generation) = served_by(connect(port));
        if generation == 9 && runs(edge).ends_with("heart-puppet") {
            break;
        }
        assert!(Mono::now() < give_up, "the old edge does not come back");
    }
    let program = runs(heart.core_pid());
    assert!(program.ends_with("heart-puppet"), "{}", program.display());
}

/// Until the edge before it takes connections no more: it may be about to when it is told to retire.
fn soon_served_by(port: std::net::SocketAddr, edge: (i32, u64)) {
    let give_up = Mono::now() + PATIENCE;
    while served_by(connect(port)) != edge {
        assert!(Mono::now() < give_up, "the old edge goes on serving");
    }
}

#[test]
fn core_edge_and_the_heart_itself_become_the_new_program_and_no_socket_is_closed() {
    let (house, mut heart, port, first) = at_work();
    let core = heart.core_pid();
    let program = newer(&house, "newer");
    heart.ask(&format!("upgrade try {}", program.display()));
    // The same process, as systemd sees it.
    let became = heart.line("heart ");
    assert_eq!(became[1..], [heart.pid().to_string(), "newer".to_owned()]);
    assert_ne!(heart.core_pid(), core);
    let edge = heart.publish(2, &[tcp("web", port)]);
    assert_ne!(edge, first);
    soon_served_by(port, (edge, 2));
    assert!(!house.data().join("upgrade").exists());
    // And it is a heart: what dies is started again, from the new program, with the last table.
    murder(edge);
    let next = heart.edge_with(2);
    soon_served_by(port, (next, 2));
    murder(heart.core_pid());
    assert_eq!(heart.line("core ")[2], "newer");
    // It holds the folder.
    let refusal = house.refusal(&house.data());
    let holder = format!("in use by process {};", heart.pid());
    assert!(refusal.contains(&holder), "{refusal}");
    // Its children end with it.
    murder(heart.pid());
    heart.all_end_within(Duration::from_secs(1));
}

#[test]
fn requests_made_during_an_upgrade_wait_for_the_new_core() {
    let (house, mut heart, _, _) = at_work();
    let program = newer(&house, "core-waits");
    heart.ask(&format!("upgrade try {}", program.display()));
    heart.line("waiting");
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut request = UnixStream::connect(heart.layout().api_socket()).unwrap();
            request.write_all(b"pid\n").unwrap();
            request.set_read_timeout(Some(PATIENCE)).unwrap();
            request
        })
        .collect();
    fs::write(house.data().join("go"), "").unwrap();
    let core = heart.line("core ")[1].clone();
    for mut request in waiting {
        let mut answer = String::new();
        request.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), core);
    }
}

#[test]
fn a_program_that_cannot_be_run_changes_nothing_and_the_reason_is_said() {
    let (house, mut heart, port, edge) = at_work();
    let core = heart.core_pid();
    let text = house.dir.path().join("text");
    fs::write(&text, "no program").unwrap();
    let closed = newer(&house, "closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let open = newer(&house, "text-but-executable");
    fs::write(&open, "no program").unwrap();
    for (program, why) in [
        (house.dir.path().join("nothing"), "No such file"),
        (house.data(), "it is not a file"),
        (text, "it is not executable"),
        (closed, "it is not executable"),
        (open, "it is not a program"),
        ("/bin/true".into(), "its edge exited with code 0 before"),
        (newer(&house, "edge-exits"), "its edge exited with code 6"),
    ] {
        let said = upgraded(&mut heart, &program);
        assert!(said.contains(why), "{}: {said}", program.display());
    }
    assert_eq!(heart.core_pid(), core, "the core was not touched");
    assert_eq!(heart.publish(2, &[tcp("web", port)]), edge, "nor the edge");
    is_as_before(&house, &mut heart, port);
}

#[test]
fn a_core_that_spoils_the_store_and_ends_is_undone() {
    let (house, mut heart, port, _) = at_work();
    let said = upgraded(&mut heart, &newer(&house, "core-spoils-the-store"));
    assert_eq!(said, "its core exited with code 5 before it was ready");
    is_as_before(&house, &mut heart, port);
    // Nothing of it lasts: another try is well.
    assert_eq!(upgraded(&mut heart, &newer(&house, "newer")), "well");
}

#[test]
fn a_core_that_says_why_it_cannot_work_is_quoted() {
    let (house, mut heart, port, _) = at_work();
    let said = upgraded(&mut heart, &newer(&house, "core-complains"));
    assert_eq!(
        said,
        "its core exited with code 7, saying `there is no water`, before it was ready"
    );
    is_as_before(&house, &mut heart, port);
}

/// A heart with little patience for newer programs.
fn impatient() -> (House, Heart, std::net::SocketAddr) {
    let house = House::new();
    let mut heart = house.start_with(&[("PUPPET_READY_WITHIN_MS", "1500")]);
    heart.line("core ");
    fs::create_dir(house.data().join("state")).unwrap();
    fs::write(state(&house), "older").unwrap();
    let port = free_port();
    heart.publish(1, &[tcp("web", port)]);
    (house, heart, port)
}

#[test]
fn a_core_or_edge_that_hangs_is_given_up_on_after_its_time() {
    let (house, mut heart, port) = impatient();
    for (name, why) in [
        ("edge-hangs", "its edge was not ready within"),
        ("core-hangs", "its core was not ready within"),
    ] {
        let said = upgraded(&mut heart, &newer(&house, name));
        assert!(said.starts_with(why), "{said}");
        is_as_before(&house, &mut heart, port);
    }
}

#[test]
fn a_heart_killed_in_the_middle_of_an_upgrade_is_followed_by_one_with_the_old_store() {
    let (house, mut heart, _, _) = at_work();
    let program = newer(&house, "core-hangs");
    heart.ask(&format!("upgrade try {}", program.display()));
    heart.line("hanging ");
    assert!(house.data().join("upgrade").exists());
    fs::write(state(&house), "half newer").unwrap();
    murder(heart.pid());
    heart.all_end_within(Duration::from_secs(1));
    let mut next = house.start_as("ok");
    let said = next.line("upgraded ");
    assert!(said.join(" ").ends_with("ended in the middle of it"));
    assert_eq!(fs::read_to_string(state(&house)).unwrap(), "older");
    assert!(!house.data().join("upgrade").exists());
}

#[test]
fn children_are_of_the_program_that_runs_even_when_its_file_was_replaced() {
    let house = House::new();
    let program = newer(&house, "coppice");
    let mut heart = house.start_program(&program, "ok", &[]);
    heart.line("core ");
    let port = free_port();
    let edge = heart.publish(1, &[tcp("web", port)]);
    // As a package manager does it: another file in its place.
    let other = newer(&house, "core-exits");
    fs::rename(other, &program).unwrap();
    murder(edge);
    heart.edge_with(1);
    murder(heart.core_pid());
    heart.line("core ");
    heart.core_pid();
}

#[test]
fn a_core_that_dies_while_the_new_edge_is_tried_is_started_again() {
    let (house, mut heart, port) = impatient();
    let core = heart.core_pid();
    heart.ask(&format!(
        "upgrade try {}",
        newer(&house, "edge-hangs").display()
    ));
    heart.line("edge-hanging");
    murder(core);
    heart.line("core ");
    heart.line("upgraded try:");
    is_as_before(&house, &mut heart, port);
}

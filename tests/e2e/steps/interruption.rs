//! The core dies in the middle of a job: what was half done is undone or finished by the next one.

use std::{
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use super::bad_packages::folder;
use crate::{
    console::text,
    packages::{ID, Package, noise, squash},
    traces::Traces,
    until::{patiently, seconds, until},
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    super::bad_packages::prepare(world);
}

/// A package that takes a moment to install.
fn large(world: &World) -> PathBuf {
    let (folder, file) = (folder(world), folder(world).join("large"));
    let assets = squash(&folder, &[("large", &noise(64 << 20))], &[]);
    std::fs::write(
        &file,
        Package::good()
            .with("assets.squashfs", assets)
            .pack(&folder),
    )
    .unwrap();
    file
}

/// Starts a verb, and shoots the core as soon as the document says that it is at it.
fn interrupted(world: &World, words: &[&str], state: &str) {
    let mut asking = world
        .server
        .command(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let core = world.server.child("core");
    let at = format!("/public/packageData/{ID}/stateInfo/state");
    let seen = patiently(seconds(20), Duration::from_millis(1), || {
        let is = world.server.json(&["db", "dump", &at])["value"].clone();
        (is == state).then_some(()).or_else(|| ended(&mut asking))
    });
    assert!(seen.is_some(), "it was never `{state}`");
    core.shoot();
    let output = asking.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(
        !output.status.success() && said.contains("try again"),
        "{}: {said}",
        output.status
    );
}

fn ended(asking: &mut Child) -> Option<()> {
    let status = asking.try_wait().unwrap()?;
    panic!("it ended before anybody could be shot: {status}");
}

pub(super) fn an_install_that_the_core_died_in_is_undone(world: &mut World) {
    let (before, file) = (Traces::of(&world.server), large(world));
    interrupted(
        world,
        &["package", "install", file.to_str().unwrap()],
        "installing",
    );
    until("the half-installed package is gone", seconds(30), || {
        (!world.is_installed(ID)).then_some(())
    });
    let clean = patiently(seconds(10), Duration::from_millis(100), || {
        Traces::of(&world.server)
            .since(&before)
            .is_empty()
            .then_some(())
    });
    assert!(
        clean.is_some(),
        "it has left {:#?}",
        Traces::of(&world.server).since(&before)
    );
    // And it can be had after all.
    world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
}

pub(super) fn an_uninstall_that_the_core_died_in_is_finished(world: &mut World) {
    interrupted(world, &["package", "uninstall", ID], "removing");
    until("the half-removed package is gone", seconds(30), || {
        (!world.is_installed(ID)).then_some(())
    });
    let left = Traces::of(&world.server).naming(ID);
    assert!(left.is_empty(), "{left:#?}");
    world.healthy("hello");
}

//! A service that is removed without its data: that data outlives whatever happens to the next install.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use super::bad_packages::folder;
use crate::{
    packages::{ID, Package},
    traces::Traces,
    until::{seconds, until},
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    super::bad_packages::prepare(world);
}

/// A package that notes each kind of `init` in its volume, and treats its data version as the SDK does.
fn noting(then: &str) -> Package {
    Package::good().javascript(&format!(
        "
const fs = require('fs');
const nothing = async () => null;
module.exports = {{
  init: async ({{ effects, kind }}) => {{
    fs.appendFileSync('/media/startos/volumes/main/kinds', kind + '\\n');
    {then}
    await effects.setDataVersion({{ version: '1.0.0:0' }});
  }},
  uninit: async ({{ effects, target }}) => {{
    if (target === null) await effects.setDataVersion({{ version: null }});
  }},
  createBackup: nothing,
  main: async () => ({{ build: async () => ({{ term: nothing }}) }}),
  actions: {{ get: () => undefined }},
}};
"
    ))
}

fn packed(world: &World, name: &str, package: &Package) -> PathBuf {
    let file = folder(world).join(name);
    fs::write(&file, package.pack(&folder(world))).unwrap();
    file
}

fn install(world: &World, file: &Path) {
    world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
}

fn kinds_file(world: &World) -> PathBuf {
    world
        .server
        .data
        .join("services")
        .join(ID)
        .join("volumes/main/kinds")
}

fn kinds(world: &World) -> String {
    fs::read_to_string(kinds_file(world)).unwrap()
}

pub(super) fn a_soft_uninstall_keeps_the_volumes_and_nothing_else(world: &mut World) {
    let before = Traces::of(&world.server);
    install(world, &packed(world, "noting", &noting("")));
    assert_eq!(kinds(world), "install\n");
    world.server.cli(&["package", "uninstall", ID, "--soft"]);
    assert!(!world.is_installed(ID));
    assert_eq!(kinds(world), "install\n");
    let left = Traces::of(&world.server).since(&before);
    let service = format!("services/{ID}");
    let elsewhere: Vec<_> = left.iter().filter(|one| !one.contains(&service)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
}

pub(super) fn a_reinstall_whose_init_fails_leaves_the_kept_data(world: &mut World) {
    let failing = packed(world, "failing", &noting("throw new Error('frost');"));
    let said = world
        .server
        .refused(&["package", "install", failing.to_str().unwrap()]);
    assert!(said.contains("frost"), "{said}");
    assert!(!world.is_installed(ID));
    assert_eq!(kinds(world), "install\nupdate\n");
}

pub(super) fn a_reinstall_that_the_core_died_in_leaves_the_kept_data(world: &mut World) {
    let hanging = packed(world, "hanging", &noting("await new Promise(() => {});"));
    let mut asking = world
        .server
        .command(&["package", "install", hanging.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("its init runs", seconds(20), || {
        (kinds(world) == "install\nupdate\nupdate\n").then_some(())
    });
    world.server.child("core").shoot();
    assert!(!asking.wait().unwrap().success());
    until("the half-installed package is gone", seconds(30), || {
        (!world.is_installed(ID)).then_some(())
    });
    assert_eq!(kinds(world), "install\nupdate\nupdate\n");
}

pub(super) fn a_good_reinstall_finds_the_data_and_a_hard_uninstall_removes_it(world: &mut World) {
    install(world, &packed(world, "noting", &noting("")));
    assert_eq!(kinds(world), "install\nupdate\nupdate\nupdate\n");
    world.server.cli(&["package", "uninstall", ID]);
    assert!(!kinds_file(world).exists());
    let left = Traces::of(&world.server).naming(ID);
    assert!(left.is_empty(), "{left:#?}");
}

pub(super) fn an_uninstall_whose_uninit_fails_puts_the_service_back_as_it_was(world: &mut World) {
    let stubborn = Package::good().javascript(
        "
const nothing = async () => null;
module.exports = {
  init: nothing, createBackup: nothing,
  uninit: async () => { throw new Error('rooted'); },
  main: async () => ({ build: async () => ({ term: nothing }) }),
  actions: { get: () => undefined },
};
",
    );
    install(world, &packed(world, "stubborn", &stubborn));
    world.server.cli(&["service", "start", ID]);
    world.wait_status(ID, "running");
    let said = world.server.refused(&["package", "uninstall", ID]);
    assert!(
        said.contains("rooted") && said.contains("--force"),
        "{said}"
    );
    world.wait_status(ID, "running");
    assert!(
        world.server.cli(&["service", "why", ID]).contains("rooted"),
        "the reason is on record"
    );
    world.server.cli(&["package", "uninstall", ID, "--force"]);
    assert!(!world.is_installed(ID));
}

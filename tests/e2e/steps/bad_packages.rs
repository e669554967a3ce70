//! Packages that are no good: every refusal names the thing and the next step, and leaves nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    console::text,
    packages::{ID, Package, last_byte_of, noise, promise_root_table, unsign},
    traces::Traces,
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
    fs::create_dir_all(folder(world)).unwrap();
}

pub(super) fn folder(world: &World) -> PathBuf {
    world.scratch.path("bad")
}

/// Collects what is wrong with refusals, so that one run tells of all.
pub(super) struct Refusals<'a> {
    world: &'a World,
    before: Traces,
    wrong: Vec<String>,
}

impl<'a> Refusals<'a> {
    pub(super) fn of(world: &'a World) -> Self {
        Self {
            world,
            before: Traces::of(&world.server),
            wrong: Vec::new(),
        }
    }

    /// The file is refused in one line that contains `names` and the `next` step; nothing is left.
    pub(super) fn row(&mut self, what: &str, file: &Path, names: &[&str], next: &str) {
        let server = &self.world.server;
        let output = server.try_cli(&["package", "install", file.to_str().unwrap()]);
        let said = text(&output.stderr);
        let said = said.trim();
        if output.status.code() != Some(1) || said.lines().count() != 1 {
            self.note(what, &format!("{}: {said}", output.status));
        }
        for wanted in names.iter().chain([&next]) {
            if !said.contains(wanted) {
                self.note(what, &format!("`{wanted}` is not in: {said}"));
            }
        }
        let left = Traces::of(server).since(&self.before);
        if !left.is_empty() {
            self.note(what, &format!("has left {left:#?}"));
        }
    }

    fn note(&mut self, what: &str, wrong: &str) {
        self.wrong.push(format!("{what}: {wrong}"));
    }
}

impl Drop for Refusals<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        }
    }
}

fn keep(world: &World, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder(world).join(name);
    fs::write(&file, bytes).unwrap();
    file
}

pub(super) fn truncated_files_are_refused_and_leave_nothing(world: &mut World) {
    let hello = fs::read(World::example("hello")).unwrap();
    let good = Package::good().pack(&folder(world));
    let mut table = Refusals::of(world);
    for (what, bytes, names) in [
        ("nothing", &[][..], "is not a package"),
        (
            "a text",
            b"a tree that was cut and grew back",
            "is not a package",
        ),
        ("its first 100 bytes", &hello[..100], "100 bytes"),
        (
            "its first half",
            &hello[..hello.len() / 2],
            "behind the end of the file",
        ),
        (
            "all but its last byte",
            &good[..good.len() - 1],
            "behind the end of the file",
        ),
    ] {
        table.row(what, &keep(world, "truncated", bytes), &[names], "copied");
    }
    table.row(
        "a folder",
        &folder(world),
        &["is not a file"],
        "give the path of a .s9pk",
    );
    let said = world
        .server
        .refused(&["package", "install", "/nowhere/tree.s9pk"]);
    assert!(said.contains("/nowhere/tree.s9pk"), "{said}");
}

pub(super) fn altered_files_are_refused_and_leave_nothing(world: &mut World) {
    let good = Package::good().pack(&folder(world));
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut unsigned = good.clone();
    unsign(&mut unsigned);
    let mut table = Refusals::of(world);
    for (what, bytes, names) in [
        (
            "a text",
            changed(last_byte_of(&good, b"Water it.")),
            "instructions.md",
        ),
        ("an image", changed(good.len() - 50_000), "main.squashfs"),
        ("a table", changed(170), "table"),
        ("the signature", changed(40), "signature"),
        ("the signer's key", changed(5), "the package's"),
        ("no signature", unsigned, "signature"),
    ] {
        table.row(what, &keep(world, "altered", &bytes), &[names], "again");
    }
}

pub(super) fn oversize_files_are_refused_and_leave_nothing(world: &mut World) {
    let mut oversize = Package::good().pack(&folder(world));
    promise_root_table(&mut oversize, 2 << 20);
    let icon = Package::good().with("icon.svg", vec![b' '; (1 << 20) + 1]);
    let icon = icon.pack(&folder(world));
    let mut table = Refusals::of(world);
    table.row(
        "its table",
        &keep(world, "table", &oversize),
        &["2097152", "1048576"],
        "again",
    );
    table.row(
        "its icon",
        &keep(world, "icon", &icon),
        &["icon.svg", "1048577", "1048576"],
        "again",
    );
}

pub(super) fn packages_that_are_not_for_here_are_refused_and_leave_nothing(world: &mut World) {
    let arch = std::env::consts::ARCH;
    let other = if arch == "aarch64" {
        "x86_64"
    } else {
        "aarch64"
    };
    let good = Package::good;
    let mut table = Refusals::of(world);
    for (what, package, names, next) in [
        (
            "another architecture",
            good().field("/hardwareRequirements/arch", json!([other])),
            &[ID, "is made for", other][..],
            "look for a package for",
        ),
        (
            "a bad version",
            good().field("/version", json!("yesterday")),
            &["manifest.json", "`version`", "yesterday"],
            "packed again",
        ),
        (
            "a bad id",
            good().field("/id", json!("../../etc")),
            &["manifest.json", "`id`"],
            "packed again",
        ),
        (
            "a bad volume",
            good().field("/volumes", json!(["main", "a/b"])),
            &["manifest.json", "`volumes[1]`"],
            "packed again",
        ),
        (
            "a missing field",
            good().without_field("license"),
            &["manifest.json", "license"],
            "packed again",
        ),
        (
            "a missing part of an image",
            good().without(&format!("images/{arch}/main.env")),
            &["main.env", "image `main`"],
            "packed again",
        ),
        (
            "a later system",
            good().member("osVersion", json!("9.0.0")),
            &[ID, "9.0.0"],
            "update Coppice",
        ),
    ] {
        let file = keep(world, "elsewhere", &package.pack(&folder(world)));
        table.row(what, &file, names, next);
    }
}

/// Exports of a package that does nothing, but for its `init`.
const REST: &str = "uninit: async () => null, createBackup: async () => null, \
                    main: async () => null, actions: { get: () => undefined }";

pub(super) fn a_package_that_cannot_be_set_up_is_rolled_back(world: &mut World) {
    let throws = "async () => { throw new Error('no soil here') }";
    let mut table = Refusals::of(world);
    for (what, package, names) in [
        (
            "an init that throws",
            Package::good().javascript(&format!("module.exports = {{ init: {throws}, {REST} }};")),
            &[ID, "no soil here"][..],
        ),
        (
            "code that does not load",
            Package::good().javascript("module.exports = {"),
            &[ID, "index.js", "Unexpected end of input"],
        ),
        (
            "code that exports nothing",
            Package::good().javascript("module.exports = {};"),
            &[ID, "does not export a function `init`"],
        ),
        (
            "an image that is none",
            Package::good().with("assets.squashfs", noise(10_000)),
            &[ID, "could not mount image"],
        ),
    ] {
        let file = keep(world, "init", &package.pack(&folder(world)));
        table.row(what, &file, names, "tried again");
    }
    drop(table);
    // The same without the fault goes in, so nothing of it was in the way.
    let before = Traces::of(&world.server);
    let good = keep(world, "good", &Package::good().pack(&folder(world)));
    world
        .server
        .cli(&["package", "install", good.to_str().unwrap()]);
    assert!(world.is_installed(ID));
    world.server.cli(&["package", "uninstall", ID]);
    let left = Traces::of(&world.server).since(&before);
    assert!(left.is_empty(), "{left:#?}");
}

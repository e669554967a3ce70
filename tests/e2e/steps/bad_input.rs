//! Bad input: every refusal names the thing and the next step, and leaves nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::{
    console::{run, text},
    lan::SERVER,
    packages::{ID, Package, last_byte_of, promise_root_table, unsign},
    server::{Server, start_refused},
    traces::Traces,
    until::{seconds, until},
    world::World,
};

/// A file, what the refusal has to name, and a word of the next step.
struct Bad<'a> {
    what: &'a str,
    file: PathBuf,
    names: &'a [&'a str],
    next: &'a str,
}

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
    fs::create_dir_all(folder(world)).unwrap();
}

fn folder(world: &World) -> PathBuf {
    world.scratch.path("bad")
}

/// Installs each, and looks at what is said and what is left.
fn all_refused(world: &World, bad: &[Bad<'_>]) {
    let before = Traces::of(&world.server);
    let mut wrong = Vec::new();
    for Bad {
        what,
        file,
        names,
        next,
    } in bad
    {
        let output = world
            .server
            .try_cli(&["package", "install", file.to_str().unwrap()]);
        let said = text(&output.stderr);
        let said = said.trim();
        if output.status.code() != Some(1) {
            wrong.push(format!("{what}: {}, {said}", output.status));
        }
        for name in *names {
            if !said.contains(name) {
                wrong.push(format!("{what}: does not name `{name}`: {said}"));
            }
        }
        if !said.contains(next) {
            wrong.push(format!(
                "{what}: does not say `{next}`, the next step: {said}"
            ));
        }
        if said.lines().count() != 1 {
            wrong.push(format!("{what}: is not one line: {said}"));
        }
        let left = Traces::of(&world.server).since(&before);
        if !left.is_empty() {
            wrong.push(format!("{what}: has left {left:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(super) fn files_that_are_no_good_packages_are_refused_and_leave_nothing(world: &mut World) {
    let folder = folder(world);
    let keep = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        fs::write(&file, bytes).unwrap();
        file
    };
    let good = Package::good().pack(&folder);
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut unsigned = good.clone();
    unsign(&mut unsigned);
    let mut oversize = good.clone();
    promise_root_table(&mut oversize, 2 << 20);
    let hello = fs::read(World::example("hello")).unwrap();
    let image = Package::good()
        .with("icon.svg", vec![b' '; (1 << 20) + 1])
        .pack(&folder);
    let arch = std::env::consts::ARCH;
    all_refused(
        world,
        &[
            Bad {
                what: "a text",
                file: keep("text", b"once upon a time there was a tree that grew back"),
                names: &["not a package"],
                next: "copied",
            },
            Bad {
                what: "an empty file",
                file: keep("empty", b""),
                names: &["not a package"],
                next: "copied",
            },
            Bad {
                what: "a folder",
                file: folder.clone(),
                names: &["is not a file", "bad"],
                next: "give the path of a .s9pk",
            },
            Bad {
                what: "truncated in its header",
                file: keep("head", &hello[..100]),
                names: &["100 bytes"],
                next: "copied",
            },
            Bad {
                what: "truncated in its bodies",
                file: keep("half", &hello[..hello.len() / 2]),
                names: &["behind the end of the file"],
                next: "copied",
            },
            Bad {
                what: "a truncated small one",
                file: keep("small", &good[..good.len() - 1]),
                names: &["behind the end of the file"],
                next: "copied",
            },
            Bad {
                what: "an altered text",
                file: keep("altered-text", &changed(last_byte_of(&good, b"Water it."))),
                names: &["instructions.md"],
                next: "again",
            },
            Bad {
                what: "an altered image",
                file: keep("altered-image", &changed(good.len() - 50_000)),
                names: &["main.squashfs"],
                next: "again",
            },
            Bad {
                what: "an altered table",
                file: keep("altered-table", &changed(170)),
                names: &["table"],
                next: "again",
            },
            Bad {
                what: "an altered signature",
                file: keep("altered-signature", &changed(40)),
                names: &["signature"],
                next: "again",
            },
            Bad {
                what: "another signer's key",
                file: keep("other-key", &changed(5)),
                names: &["signature"],
                next: "again",
            },
            Bad {
                what: "an unsigned one",
                file: keep("unsigned", &unsigned),
                names: &["signature"],
                next: "again",
            },
            Bad {
                what: "an oversize table",
                file: keep("oversize", &oversize),
                names: &["2097152", "1048576"],
                next: "again",
            },
            Bad {
                what: "an oversize icon",
                file: keep("icon", &image),
                names: &["icon.svg", "1048577", "1048576"],
                next: "packed again",
            },
            Bad {
                what: "without its JavaScript's image",
                file: keep(
                    "part",
                    &Package::good()
                        .without(&format!("images/{arch}/main.env"))
                        .pack(&folder),
                ),
                names: &["main.env", "main"],
                next: "packed again",
            },
        ],
    );
    let said = world
        .server
        .refused(&["package", "install", "/nowhere/at-all.s9pk"]);
    assert!(said.contains("/nowhere/at-all.s9pk"), "{said}");
}

pub(super) fn packages_that_are_not_for_here_are_refused_and_leave_nothing(world: &mut World) {
    let folder = folder(world);
    let keep = |name: &str, package: Package| {
        let file = folder.join(name);
        fs::write(&file, package.pack(&folder)).unwrap();
        file
    };
    let other = if std::env::consts::ARCH == "aarch64" {
        "x86_64"
    } else {
        "aarch64"
    };
    let only_there = Package::good().field("/hardwareRequirements/arch", json!([other]));
    all_refused(
        world,
        &[
            Bad {
                what: "the wrong architecture",
                file: keep("arch", only_there),
                names: &[ID, "is made for", other],
                next: "look for a package for",
            },
            Bad {
                what: "a bad version",
                file: keep(
                    "version",
                    Package::good().field("/version", json!("yesterday")),
                ),
                names: &["manifest.json", "`version`", "yesterday"],
                next: "packed again",
            },
            Bad {
                what: "a bad id",
                file: keep("id", Package::good().field("/id", json!("../../etc"))),
                names: &["manifest.json", "`id`"],
                next: "packed again",
            },
            Bad {
                what: "a bad volume",
                file: keep(
                    "volume",
                    Package::good().field("/volumes", json!(["main", "a/b"])),
                ),
                names: &["manifest.json", "`volumes[1]`"],
                next: "packed again",
            },
            Bad {
                what: "a missing field",
                file: keep("field", Package::good().without_field("license")),
                names: &["manifest.json", "license"],
                next: "packed again",
            },
            Bad {
                what: "a later system's",
                file: keep("later", Package::good().os_version("9.0.0")),
                names: &[ID, "9.0.0"],
                next: "update Coppice",
            },
        ],
    );
}

pub(super) fn a_package_that_is_installed_already_is_refused(world: &mut World) {
    let (before, init) = (Traces::of(&world.server), world.server.init("hello"));
    let said = world.server.refused(&[
        "package",
        "install",
        World::example("hello").to_str().unwrap(),
    ]);
    assert!(
        said.contains("`hello` is already installed") && said.contains("uninstall it first"),
        "{said}"
    );
    let left = Traces::of(&world.server).since(&before);
    assert!(left.is_empty(), "{left:#?}");
    assert!(init.lives());
    world.healthy("hello");
}

pub(super) fn a_package_whose_init_fails_is_rolled_back(world: &mut World) {
    let folder = folder(world);
    let package = |name: &str, code: &str| {
        let file = folder.join(name);
        fs::write(&file, Package::good().javascript(code).pack(&folder)).unwrap();
        file
    };
    let rest = "uninit: async () => null, createBackup: async () => null, main: async () => null, actions: { get: () => undefined }";
    all_refused(
        world,
        &[
            Bad {
                what: "an init that throws",
                file: package(
                    "throws",
                    &format!(
                        "module.exports = {{ init: async () => {{ throw new Error('no soil here') }}, {rest} }};"
                    ),
                ),
                names: &["no soil here"],
                next: "",
            },
            Bad {
                what: "code that does not load",
                file: package("syntax", "module.exports = {"),
                names: &["index.js"],
                next: "",
            },
            Bad {
                what: "code that exports nothing",
                file: package("nothing", "module.exports = {};"),
                names: &["does not export a function `init`"],
                next: "start-sdk",
            },
        ],
    );
    // The same package without the fault goes in, so nothing of it was in the way.
    let good = package(
        "good",
        "const n = async () => null; module.exports = { init: n, uninit: n, createBackup: n, main: n, actions: { get: () => undefined } };",
    );
    let before = Traces::of(&world.server);
    world
        .server
        .cli(&["package", "install", good.to_str().unwrap()]);
    assert!(world.is_installed(ID));
    world.server.cli(&["package", "uninstall", ID]);
    let left = Traces::of(&world.server).since(&before);
    assert!(left.is_empty(), "{left:#?}");
}

/// Bytes that are free on the file system of a folder.
fn free(folder: &Path) -> u64 {
    let disk = nix::sys::statvfs::statvfs(folder).unwrap();
    disk.blocks_available() * disk.fragment_size()
}

pub(super) fn a_full_disk_is_named_and_leaves_nothing(world: &mut World) {
    const LEFT: u64 = 8 << 20;
    let folder = folder(world);
    let package = folder.join("large");
    let large: Vec<u8> = (0..4 << 20)
        .flat_map(|_| rand::random::<[u8; 4]>())
        .collect();
    fs::write(
        &package,
        Package::good().with("assets.squashfs", large).pack(&folder),
    )
    .unwrap();
    let ballast = world.server.data.parent().unwrap().join("ballast");
    let size = free(&world.server.data) - LEFT;
    run(
        "fallocate",
        &["-l", &size.to_string(), ballast.to_str().unwrap()],
    );
    let refused = crate::report::attempt(|| {
        all_refused(
            world,
            &[Bad {
                what: "a full disk",
                file: package.clone(),
                names: &["the disk is full", "bytes"],
                next: "remove services or data and try again",
            }],
        );
        // What runs goes on, and answers.
        world.healthy("hello");
        super::hello::greet(world, "Little room");
    });
    fs::remove_file(&ballast).unwrap();
    if let crate::report::Verdict::Failed(why) = refused {
        panic!("{why}");
    }
    world
        .server
        .cli(&["package", "install", package.to_str().unwrap()]);
    world.server.cli(&["package", "uninstall", ID]);
}

pub(super) fn a_port_in_use_is_named_by_a_second_server_that_runs_beside(world: &mut World) {
    let mut second = Server::new(&world.scratch, 1, world.scratch.path("second.log"));
    second.start();
    let notices = until("the second server tells of the ports", seconds(10), || {
        let notices = second.json(&["db", "dump", "/public/serverInfo/notices"])["value"].clone();
        notices
            .as_array()
            .is_some_and(|notices| notices.len() >= 2)
            .then_some(notices)
    });
    for port in ["0.0.0.0:443", "0.0.0.0:80"] {
        let notice = notices
            .as_array()
            .unwrap()
            .iter()
            .find(|notice| notice.as_str().unwrap().contains(port));
        let notice = notice
            .unwrap_or_else(|| panic!("{port} is not named: {notices:#}"))
            .as_str()
            .unwrap();
        assert!(
            notice.contains("End that program, or choose another port"),
            "{notice}"
        );
    }
    assert!(
        second.log_from(0).contains("443"),
        "its log says so, too: {}",
        second.log_from(0)
    );
    // Which one is meant has to be said, and then neither disturbs the other.
    let unsaid = Command::new(env!("CARGO_BIN_EXE_coppice"))
        .args(["service", "list"])
        .output()
        .unwrap();
    assert_eq!(unsaid.status.code(), Some(3));
    assert!(
        text(&unsaid.stderr).contains("--data-dir"),
        "{}",
        text(&unsaid.stderr)
    );
    assert_eq!(second.json(&["service", "list"]), json!([]));
    second.cli(&["stop"]);
    assert!(second.ended(seconds(12)).success());
    world.healthy("hello");
    assert_eq!(
        world.client().get(super::hello::NAME, "/").unwrap().status,
        200,
        "{SERVER} serves on"
    );
}

pub(super) fn a_data_folder_in_use_is_refused(world: &mut World) {
    let heart = world.server.heart();
    let said = start_refused(&world.server.data, &world.scratch.path("refused.log"));
    assert!(
        said.contains(&format!("is in use by process {}", heart.pid)),
        "{said}"
    );
    assert!(
        said.contains(world.server.data.to_str().unwrap()) && said.contains("--data-dir"),
        "{said}"
    );
    world.healthy("hello");
}

pub(super) fn a_data_folder_of_somebody_else_is_refused(world: &mut World) {
    let folder = world.scratch.data("documents");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("thesis.odt"), "chapter one").unwrap();
    let said = start_refused(&folder, &world.scratch.path("refused.log"));
    assert!(
        said.contains("thesis.odt") && said.contains(folder.to_str().unwrap()),
        "{said}"
    );
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing was put into it"
    );
    fs::remove_file(folder.join("thesis.odt")).unwrap();
    fs::write(folder.join("VERSION"), "999\n").unwrap();
    let said = start_refused(&folder, &world.scratch.path("refused.log"));
    assert!(
        said.contains("999") && said.contains("install the newer Coppice"),
        "{said}"
    );
}

pub(super) fn a_missing_kernel_feature_is_named(world: &mut World) {
    let coppice = env!("CARGO_BIN_EXE_coppice");
    let doctor = |before: &str| {
        let script = format!(
            "{before} exec {coppice} --data-dir {} doctor \"$@\"",
            world.server.data.display()
        );
        Command::new("unshare")
            .args(["--mount", "sh", "-c", &script, "doctor"])
            .output()
            .unwrap()
    };
    let well = doctor("");
    assert!(well.status.success(), "{}", text(&well.stdout));
    assert!(!text(&well.stdout).contains("MISSING"));
    // A kernel without loop devices looks like this.
    let ill = doctor("mount -t tmpfs none /dev &&");
    let said = text(&ill.stdout);
    assert_eq!(ill.status.code(), Some(1), "{said}");
    let missing = said
        .lines()
        .skip_while(|line| !line.starts_with("MISSING squashfs"))
        .take(2)
        .collect::<Vec<_>>();
    assert!(
        missing.len() == 2 && missing[1].contains("load the kernel modules loop and squashfs"),
        "{said}"
    );
    // And this is somebody who may not.
    let nobody = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            coppice,
            "doctor",
        ])
        .output()
        .unwrap();
    assert!(!nobody.status.success());
    let said = text(&nobody.stdout) + &text(&nobody.stderr);
    assert!(said.contains("root"), "{said}");
}

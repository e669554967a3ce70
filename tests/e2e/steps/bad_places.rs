//! A machine that is no good: full, taken, or without what Coppice needs of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{
    bad_packages::{Refusals, folder},
    hello::{NAME, greet},
};
use crate::{
    client::Frame,
    console::{run, text},
    packages::{ID, Package, noise, squash},
    report::{Verdict, attempt},
    server::{COPPICE, Server, start_refused},
    traces::Traces,
    until::{seconds, until},
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    super::bad_packages::prepare(world);
}

/// Bytes that are free on the file system of a folder.
fn free(folder: &Path) -> u64 {
    let disk = nix::sys::statvfs::statvfs(folder).unwrap();
    disk.blocks_available() * disk.fragment_size()
}

/// Fills a file system until it goes.
pub(super) struct Ballast(PathBuf);

impl Ballast {
    /// Leaves this many bytes free beside a folder.
    pub(super) fn leave(beside: &Path, bytes: u64) -> Self {
        let file = beside.parent().unwrap().join("ballast");
        let size = (free(beside) - bytes).to_string();
        run("fallocate", &["-l", &size, file.to_str().unwrap()]);
        Self(file)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

pub(super) fn a_full_disk_is_named_and_leaves_nothing(world: &mut World) {
    let folder = folder(world);
    let package = folder.join("large");
    let large = squash(&folder, &[("large", &noise(16 << 20))], &[]);
    let large = Package::good().with("assets.squashfs", large).pack(&folder);
    fs::write(&package, large).unwrap();
    let ballast = Ballast::leave(&world.server.data, 8 << 20);
    let verdict = attempt(|| {
        Refusals::of(world).row(
            "a full disk",
            &package,
            &["the disk is full", "bytes"],
            "remove services or data and try again",
        );
        // What runs goes on, and can be told.
        world.healthy("hello");
        greet(world, "Little room");
    });
    drop(ballast);
    if let Verdict::Failed(why) = verdict {
        panic!("{why}");
    }
    world
        .server
        .cli(&["package", "install", package.to_str().unwrap()]);
    world.server.cli(&["package", "uninstall", ID]);
}

pub(super) fn an_upload_to_a_full_disk_says_so_and_leaves_nothing(world: &mut World) {
    let (session, package) = (
        world.session(),
        fs::read(folder(world).join("large")).unwrap(),
    );
    let before = Traces::of(&world.server);
    let _ballast = Ballast::leave(&world.server.data, 4 << 20);
    let tickets = session.call("package.sideload", json!({}));
    let mut progress = session.stream(tickets["progress"].as_str().unwrap());
    let upload = tickets["upload"].as_str().unwrap().to_owned();
    let sending = std::thread::spawn(move || session.upload(&upload, package));
    let reason = until("the progress ends", seconds(20), || {
        match progress.next(seconds(1)) {
            Some(Frame::Closed(1011, reason)) => Some(reason),
            Some(Frame::Closed(code, reason)) => panic!("{code} {reason}"),
            _ => None,
        }
    });
    assert!(reason.contains("No space left"), "{reason}");
    assert!(reason.contains("free some space and try again"), "{reason}");
    // A refusal that comes while the package is still on its way may end the connection unread.
    let answer = sending.join().unwrap();
    assert!(!answer.is_ok_and(|answer| answer.status.is_success()));
    let left = Traces::of(&world.server).since(&before);
    assert!(left.is_empty(), "{left:#?}");
}

pub(super) fn a_port_in_use_is_named_by_a_second_server_that_runs_beside(world: &mut World) {
    let mut second = Server::new(&world.scratch, 1, world.scratch.path("second.log"));
    second.start();
    let at = "/public/serverInfo/notices";
    let notices = until("the second server tells of both ports", seconds(10), || {
        let notices = second.json(&["db", "dump", at])["value"].clone();
        let notices: Vec<String> = serde_json::from_value(notices).unwrap();
        let named = |port: &str| notices.iter().any(|notice| notice.contains(port));
        (named("0.0.0.0:443") && named("0.0.0.0:80")).then_some(notices)
    });
    for notice in notices {
        let next = "End that program, or choose another port";
        assert!(notice.contains(next), "{notice}");
    }
    let log = second.log_from(0);
    assert!(log.contains("0.0.0.0:443"), "its log says so, too: {log}");
    // Which one is meant has to be said, and neither disturbs the other.
    let unsaid = Command::new(COPPICE)
        .args(["service", "list"])
        .output()
        .unwrap();
    assert_eq!(unsaid.status.code(), Some(3));
    assert!(
        text(&unsaid.stderr).contains("say which with --data-dir"),
        "{}",
        text(&unsaid.stderr)
    );
    assert_eq!(second.json(&["service", "list"]), json!([]));
    second.cli(&["stop"]);
    assert!(second.ended(seconds(12)).success());
    world.healthy("hello");
    assert_eq!(world.client().get(NAME, "/").unwrap().status, 200);
}

pub(super) fn a_data_folder_in_use_is_refused(world: &mut World) {
    let heart = world.server.heart();
    let said = start_refused(&world.server.data, &world.scratch.path("refused.log"));
    let holder = format!("is in use by process {}", heart.pid);
    for wanted in [world.server.data.to_str().unwrap(), &holder, "--data-dir"] {
        assert!(said.contains(wanted), "`{wanted}` is not in: {said}");
    }
    world.healthy("hello");
}

pub(super) fn a_data_folder_of_somebody_else_is_refused(world: &mut World) {
    let folder = world.scratch.data("documents");
    let thesis = folder.join("thesis.odt");
    fs::create_dir_all(&folder).unwrap();
    fs::write(&thesis, "chapter one").unwrap();
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
    fs::remove_file(thesis).unwrap();
    fs::write(folder.join("VERSION"), "999\n").unwrap();
    let said = start_refused(&folder, &world.scratch.path("refused.log"));
    assert!(
        said.contains("999") && said.contains("install the newer Coppice"),
        "{said}"
    );
}

pub(super) fn a_missing_kernel_feature_is_named(world: &mut World) {
    let data = world.server.data.display();
    let doctor = |before: &str| {
        let script = format!("{before} exec {COPPICE} --data-dir {data} doctor");
        let mut shell = Command::new("unshare");
        shell
            .args(["--mount", "sh", "-c", &script])
            .output()
            .unwrap()
    };
    let well = doctor("");
    assert!(well.status.success(), "{}", text(&well.stdout));
    assert!(
        !text(&well.stdout).contains("MISSING"),
        "{}",
        text(&well.stdout)
    );
    // A kernel without loop devices looks like this.
    let ill = doctor("mount -t tmpfs none /dev &&");
    let said = text(&ill.stdout);
    assert_eq!(ill.status.code(), Some(1), "{said}");
    let mut lines = said
        .lines()
        .skip_while(|line| !line.starts_with("MISSING squashfs"));
    let next = lines.nth(1).unwrap_or_default();
    assert!(
        next.contains("load the kernel modules loop and squashfs"),
        "{said}"
    );
    // And this is somebody who may not.
    let nobody = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        COPPICE,
        "doctor",
    ];
    let nobody = Command::new("setpriv").args(nobody).output().unwrap();
    assert!(!nobody.status.success());
    let said = text(&nobody.stdout) + &text(&nobody.stderr);
    assert!(said.contains("root"), "{said}");
}

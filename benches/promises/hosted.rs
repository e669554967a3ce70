//! A daemon that Coppice keeps running is killed: from its death to its new process, against `runsv`
//! (Debian's runit), which is given the same program and killed in turn.
//!
//! Both are patient with what dies young: `runsv` waits a second when its program ran for less than one,
//! Coppice starts waiting when a daemon did not run for five, and gives up after ten deaths in a minute. So
//! there are several of each, killed in turn, and each lives long enough to be started again at once.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use serde_json::json;

use crate::{
    api::Api,
    now,
    packages::Package,
    pass,
    processes::{Process, cgroups_named, in_cgroup},
    samples::{Samples, load, millis, ratio, tell, verdict},
    scratch::Scratch,
    server::Server,
    until::{seconds, until},
};

/// How many there are of each.
const PAIRS: usize = 8;
/// How long each lives between two deaths; ten of these are more than a minute.
const LIFE: Duration = Duration::from_millis(6200);
/// How often the processes of a cgroup are looked at.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// What becomes of the program, as the kernel calls it.
const PROGRAM: &str = "sleep";
const SCRIPT: &str = "#!/bin/sh\nexec /bin/sleep 100000\n";

/// Something that keeps [`PROGRAM`] running, in a cgroup.
struct Kept {
    group: PathBuf,
}

impl Kept {
    fn process(&self) -> Option<Process> {
        let all = in_cgroup(&self.group).into_iter().filter_map(Process::of);
        all.into_iter().find(|process| process.name == PROGRAM)
    }

    /// Kills the process, and waits for the next.
    fn kill(&self) -> Duration {
        let old = until("the program runs", seconds(20), || self.process());
        let began = now();
        old.shoot();
        loop {
            if self.process().is_some_and(|new| new.pid != old.pid) {
                return now().duration_since(began);
            }
            assert!(began.elapsed() < seconds(30), "it does not come back");
            #[expect(
                clippy::disallowed_methods,
                reason = "the kernel tells nobody of a new process in a cgroup of version 1"
            )]
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// A `runsv`, ended with this.
struct Runsv {
    kept: Kept,
    child: Child,
}

impl Drop for Runsv {
    fn drop(&mut self) {
        // SIGTERM is `runsv`'s word for: end the program, then yourself. What is left goes with the run.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

pub(crate) fn measure(server: &Server, scratch: &Scratch, kills: usize) {
    println!(
        "\ndeath of a daemon to its successor, {kills} kills in turn with runsv; load {}",
        load()
    );
    let api = Api::of(server);
    let ours: Vec<Kept> = (0..PAIRS)
        .map(|n| kept_by_coppice(server, scratch, &api, n))
        .collect();
    let theirs: Vec<Runsv> = (0..PAIRS)
        .map(|n| kept_by_runsv(server, scratch, n))
        .collect();
    let (mut coppice, mut runsv) = (Samples::default(), Samples::default());
    pass(LIFE);
    for turn in 0..kills {
        let began = now();
        let (one, other) = (&ours[turn % PAIRS], &theirs[turn % PAIRS].kept);
        coppice.push(one.kill());
        runsv.push(other.kill());
        pass((LIFE / PAIRS as u32).saturating_sub(began.elapsed()));
    }
    for (name, samples) in [("Coppice", &coppice), ("runsv", &runsv)] {
        let percentiles = [50, 90, 99].map(|percent| millis(samples.percentile(percent)));
        tell(
            &format!("{name}: p50, p90, p99"),
            &format!("{} ms", percentiles.join(" ms, ")),
        );
    }
    for percent in [50, 99] {
        let times = ratio(coppice.percentile(percent), runsv.percentile(percent));
        verdict(&format!("p{percent} against runsv's"), times, 1.0, "x");
    }
    tell("load after", &load());
}

fn kept_by_coppice(server: &Server, scratch: &Scratch, api: &Api, number: usize) -> Kept {
    let id = format!("kept-{number}");
    let run = "/media/startos/volumes/main/run";
    let package = Package::good()
        .field("/id", json!(id))
        .declaring(&json!([{ "id": "main", "command": [run] }]));
    let folder = scratch.path("kept");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{id}.s9pk"));
    fs::write(&file, package.pack(&folder)).unwrap();
    server.cli(&["package", "install", file.to_str().unwrap()]);
    let volume = server.data.join("services").join(&id).join("volumes/main");
    write_program(&volume.join("run"));
    api.call("package.start", json!({ "id": id }));
    let kept = Kept {
        group: own_cgroup(server).join(&id).join("ns/d-main-host"),
    };
    until("the daemon runs", seconds(30), || kept.process());
    kept
}

fn kept_by_runsv(server: &Server, scratch: &Scratch, number: usize) -> Runsv {
    let folder = scratch.path(&format!("runsv-{number}"));
    fs::create_dir_all(&folder).unwrap();
    write_program(&folder.join("run"));
    let child = Command::new("runsv").arg(&folder).spawn();
    let child = child.expect("runsv is there; setup/packages-test names runit");
    // Below our own, so that it goes with the run.
    let group = own_cgroup(server).join(format!("runsv-{number}"));
    fs::create_dir_all(&group).unwrap();
    fs::write(group.join("cgroup.procs"), child.id().to_string()).unwrap();
    let runsv = Runsv {
        kept: Kept { group },
        child,
    };
    // The first was started before its parent was moved.
    let first = format!("/proc/{0}/task/{0}/children", runsv.child.id());
    until("runsv has started its program", seconds(10), || {
        let text = fs::read_to_string(&first).ok()?;
        let pid = text.split_whitespace().next()?;
        fs::write(runsv.kept.group.join("cgroup.procs"), pid).ok()
    });
    runsv
}

fn write_program(at: &Path) {
    fs::write(at, SCRIPT).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The cgroup of all services of this server, in the first hierarchy.
fn own_cgroup(server: &Server) -> PathBuf {
    let groups = cgroups_named(|name| name == format!("coppice-{}", server.short));
    groups.into_iter().next().expect("services are counted")
}

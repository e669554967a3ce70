//! What systemd is told, by a socket as systemd's.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests do; clippy knows the tests only"
)]

#[path = "support/house.rs"]
mod house;

use std::{fs, os::unix::net::UnixDatagram, path::Path, process::Command};

use house::{Heart, House, PATIENCE, free_port, murder, tcp};
use nix::sys::signal::Signal;

/// Where systemd would listen.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn of(house: &House) -> (Self, Heart) {
        let path = house.dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let heart = house.start_with(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
        (Self { socket }, heart)
    }

    fn hears(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// What is said until `begin`, with it.
    fn hears_until(&self, begin: &str) -> Vec<String> {
        let mut all = vec![self.hears()];
        while !all.last().unwrap().starts_with(begin) {
            all.push(self.hears());
        }
        all
    }
}

#[test]
fn systemd_hears_how_it_stands_and_that_the_core_lives_from_the_core_alone() {
    let house = House::new();
    let (manager, mut heart) = Manager::of(&house);
    assert_eq!(manager.hears(), "STATUS=The core comes up");
    let ready = "READY=1\nSTATUS=Core and edge are at work";
    assert_eq!(manager.hears(), ready);
    // A sign of life for each of the core's, and none without.
    for _ in 0..3 {
        heart.ask("alive");
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    let core = heart.core_pid();
    let environment = fs::read(format!("/proc/{core}/environ")).unwrap();
    assert!(
        !String::from_utf8_lossy(&environment).contains("NOTIFY_SOCKET"),
        "the children do not speak to systemd"
    );
    murder(core);
    let died = manager.hears();
    let begin = format!("STATUS=the core (process {core}) was killed by SIGKILL; starting it");
    assert!(died.starts_with(&begin), "{died}");
    assert_eq!(manager.hears(), ready);
    heart.line("core ");
    heart.signal(Signal::SIGTERM);
    let stopping = "STOPPING=1\nSTATUS=Coppice ends; the services go on running";
    assert_eq!(manager.hears(), stopping);
    assert!(heart.ended().success());
}

#[test]
fn systemd_sees_an_upgrade_as_a_reload_of_the_same_process() {
    let house = House::new();
    let (manager, mut heart) = Manager::of(&house);
    heart.line("core ");
    heart.publish(1, &[tcp("web", free_port())]);
    manager.hears_until("READY=1");
    for (name, ends) in [("edge-exits", "was not done"), ("newer", "Upgraded to")] {
        let program = house.dir.path().join(name);
        fs::copy(env!("CARGO_BIN_EXE_heart-puppet"), &program).unwrap();
        heart.ask(&format!("upgrade {name} {}", program.display()));
        let said = manager.hears();
        assert!(
            said.starts_with("RELOADING=1\nSTATUS=Upgrading to"),
            "{said}"
        );
        let said = manager.hears_until("READY=1");
        assert!(said.last().unwrap().contains(ends), "{said:?}");
    }
    // The new program of the same process speaks to the same manager.
    manager.hears_until("READY=1\nSTATUS=Core and edge are at work");
    assert_eq!(heart.line("heart ")[2], "newer");
    heart.ask("alive");
    manager.hears_until("WATCHDOG=1");
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = Path::new("../../image/systemd/coppice.service");
    let unit = fs::read_to_string(unit).unwrap();
    // The heart is the main process and speaks for itself.
    for line in ["Type=notify", "NotifyAccess=main", "WatchdogSec=90"] {
        assert!(unit.lines().any(|one| one == line), "{line}");
    }
    // Where the program will be is not where this one is.
    let here = unit.replace("/usr/local/bin/coppice", env!("CARGO_BIN_EXE_heart-puppet"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coppice.service");
    fs::write(&file, here).unwrap();
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

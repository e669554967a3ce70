//! Names: our own name server, mDNS, and what has no name.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::{
    console::{run, succeeded, text},
    lan::{SERVER, at_neighbours, neighbour_runs},
    report::ignore,
    until::{seconds, until},
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

/// The addresses that our name server gives for a name.
pub(crate) fn dig(name: &str, more: &[&str]) -> String {
    let server = format!("@{SERVER}");
    let arguments = ["+short", "+time=3", "+tries=1", &server, name];
    succeeded("dig", &neighbour_runs("dig", &[&arguments, more].concat()))
        .trim()
        .to_owned()
}

pub(super) fn the_servers_own_name_server_knows_the_services(world: &mut World) {
    for name in ["coppice.local", "hello-coppice.local"] {
        for way in ["+notcp", "+tcp"] {
            assert_eq!(dig(name, &[way]), SERVER.to_string(), "{name} {way}");
        }
    }
    assert_eq!(dig("nobody-coppice.local", &[]), "");
    // Inside a container, services are called `<package>.startos`.
    let pid = world.server.init("hello").pid.to_string();
    let inside = |program: &[&str]| run("nsenter", &[&["-t", &pid, "-n"], program].concat());
    let own = world.server.address("hello");
    let route = inside(&["ip", "-4", "route", "show", "default"]);
    let bridge = route.split_whitespace().nth(2).unwrap().to_owned();
    let server = format!("@{bridge}");
    let ask = |name: &str| {
        inside(&["dig", "+short", "+time=3", "+tries=1", &server, name])
            .trim()
            .to_owned()
    };
    assert_eq!(ask("hello.startos"), own);
    assert_eq!(ask("startos"), bridge);
}

/// Avahi on the neighbour's machine, with a bus of its own. `/run` is our own.
struct Avahi {
    bus: Child,
    daemon: Child,
}

const BUS: &str = "unix:path=/run/e2e-bus";

impl Avahi {
    fn start() -> Self {
        fs::create_dir_all("/run/avahi-daemon").unwrap();
        let policy = r#"<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/></policy>"#;
        fs::write(
            "/run/e2e-bus.conf",
            format!("<busconfig><listen>{BUS}</listen>{policy}</busconfig>"),
        )
        .unwrap();
        fs::write(
            "/run/e2e-avahi.conf",
            "[server]\nallow-interfaces=lan0\nuse-ipv6=no\n[wide-area]\nenable-wide-area=no\n",
        )
        .unwrap();
        let mut bus = Command::new("dbus-daemon")
            .args([
                "--config-file=/run/e2e-bus.conf",
                "--nofork",
                "--print-address",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It prints its address when it listens.
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut String::new())
            .unwrap();
        let daemon = at_neighbours(|| {
            Command::new("avahi-daemon")
                .args([
                    "-f",
                    "/run/e2e-avahi.conf",
                    "--no-chroot",
                    "--no-drop-root",
                    "--no-rlimits",
                ])
                .env("DBUS_SYSTEM_BUS_ADDRESS", BUS)
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        });
        Self { bus, daemon }
    }

    fn resolve(name: &str) -> String {
        let output = at_neighbours(|| {
            // Without a daemon to ask it would wait for one for ever.
            Command::new("timeout")
                .args(["5", "avahi-resolve", "-4", "-n", name])
                .env("DBUS_SYSTEM_BUS_ADDRESS", BUS)
                .output()
                .unwrap()
        });
        text(&output.stdout)
    }
}

impl Drop for Avahi {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.bus] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(super) fn avahi_on_another_machine_finds_the_services(_: &mut World) {
    let there = |program: &str| {
        Command::new("which")
            .arg(program)
            .output()
            .is_ok_and(|which| which.status.success())
    };
    if !["avahi-daemon", "avahi-resolve", "dbus-daemon"]
        .iter()
        .all(|program| there(program))
    {
        ignore("avahi-daemon, avahi-utils and dbus are not installed");
    }
    let _avahi = Avahi::start();
    for name in ["coppice.local", "hello-coppice.local"] {
        let mut heard = String::new();
        until(&format!("avahi hears of {name}"), seconds(20), || {
            heard = Avahi::resolve(name);
            heard.contains(&SERVER.to_string()).then_some(())
        });
        assert_eq!(
            heard.split_whitespace().collect::<Vec<_>>(),
            [name, &SERVER.to_string()]
        );
    }
}

pub(super) fn an_unknown_name_gets_no_page_and_no_certificate(world: &mut World) {
    let ca = world.ca();
    let resolve = format!("nobody-coppice.local:443:{SERVER}");
    let secure = neighbour_runs(
        "curl",
        &[
            "-sS",
            "--cacert",
            ca.to_str().unwrap(),
            "--resolve",
            &resolve,
            "https://nobody-coppice.local/",
        ],
    );
    assert!(!secure.status.success(), "{}", text(&secure.stdout));
    let plain = neighbour_runs(
        "curl",
        &[
            "-sS",
            "-H",
            "Host: nobody-coppice.local",
            &format!("http://{SERVER}/"),
        ],
    );
    assert_eq!(succeeded("curl", &plain), "Nothing here has that name.\n");
}

//! A package whose root tries to get out of its container, in every way we know of. What it must not reach is
//! said in `docs/isolation.md`; the attempts are in `tests/e2e/intruder/`.

mod network;
mod paths;
mod shared;

use std::{
    fs,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    path::PathBuf,
};

use serde_json::json;

pub(super) use self::{network::*, paths::*, shared::*};
use crate::{
    intruder::{self, INSIDE_IMAGE, Told},
    lan::SERVER,
    probe::{Probe, answers, ask},
    processes::Process,
    traces::Traces,
    world::World,
};

/// Whose root attacks.
const INTRUDER: &str = "intruder";
/// Another service, which has nothing to do with it.
const NEIGHBOUR: &str = "intruder-neighbour";

/// What stands in a file of the host.
const WORD: &str = "only the host may read this";
const VOLUME: &str = "/media/startos/volumes/main";
/// A port of the neighbour's.
const THEIR_PORT: u16 = 8000;
/// Those of the host that are for others.
const API: u16 = 443;
const KEY: &str = "coppice-e2e-key";

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
    fs::write(canary(world), WORD).unwrap();
    if world.is_installed(NEIGHBOUR) {
        return;
    }
    Probe::called(NEIGHBOUR)
        .init(
            "require('fs').writeFileSync('/media/startos/volumes/main/secret', 'theirs');
             seen.heard = [];
             seen.tcp = require('net').createServer(socket => socket.on('error', () => {}).end('theirs')).listen(8000, '::');
             seen.udp = require('dgram').createSocket('udp4').on('message', text => seen.heard.push(`${text}`)).bind(8000);",
        )
        .install(world);
    let program = fs::read(intruder::compiled(&world.scratch)).unwrap();
    let disk = intruder::disk_of(&world.server.data);
    Probe::called(INTRUDER)
        .programs(&["/bin/sh", "/bin/sleep"])
        .package(|package| {
            package
                .program(INSIDE_IMAGE, program)
                .node("disk", 'b', disk)
                .node("memory", 'c', (1, 1))
        })
        .install(world);
}

fn canary(world: &World) -> PathBuf {
    world.scratch.path("canary")
}

/// What an attack is not to change.
#[derive(Debug, PartialEq)]
struct Machine {
    processes: Vec<Process>,
    traces: Traces,
    canary: String,
    secret: String,
    hostname: String,
}

impl Machine {
    fn of(world: &World) -> Self {
        let server = &world.server;
        let theirs = server.data.join("services").join(NEIGHBOUR);
        let own = ["core", "edge"].map(|role| server.child(role));
        let mut processes = server.processes("hello");
        processes.extend(server.processes(NEIGHBOUR));
        processes.extend(own);
        processes.push(server.heart());
        let mut traces = Traces::of(server);
        // What it writes in folders of its own is its own matter.
        let own = format!("/{INTRUDER}/");
        traces.0.retain(|line| !line.contains(&own));
        Self {
            processes,
            traces,
            canary: fs::read_to_string(canary(world)).unwrap(),
            secret: fs::read_to_string(theirs.join("volumes/main/secret")).unwrap(),
            hostname: fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        }
    }
}

/// Has the package do something; the machine and its other services are as before.
fn unharmed<T>(world: &World, attack: impl FnOnce() -> T) -> T {
    let before = Machine::of(world);
    let told = attack();
    let after = Machine::of(world);
    assert_eq!(before, after);
    answers(world, NEIGHBOUR);
    world.healthy("hello");
    told
}

/// Sockets of the host that are for nobody in a container.
struct Bait {
    everywhere: TcpListener,
    loopback: TcpListener,
    _named: UnixListener,
    name: String,
}

impl Bait {
    fn lay(world: &World) -> Self {
        let name = world.scratch.name();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self {
            everywhere: TcpListener::bind("[::]:0").unwrap(),
            loopback: TcpListener::bind("127.0.0.1:0").unwrap(),
            _named: UnixListener::bind_addr(&address).unwrap(),
            name,
        }
    }

    /// Where they could be had, and the neighbour's port.
    fn ports(&self, world: &World) -> String {
        let gateway = gateway(world);
        let [everywhere, loopback] =
            [&self.everywhere, &self.loopback].map(|one| one.local_addr().unwrap().port());
        let theirs = world.server.address(NEIGHBOUR);
        [
            format!("{gateway}:{everywhere}"),
            format!("{SERVER}:{everywhere}"),
            format!("{gateway}:{loopback}"),
            format!("127.0.0.1:{loopback}"),
            format!("{SERVER}:{API}"),
            format!("{theirs}:{THEIR_PORT}"),
        ]
        .join(",")
    }
}

/// The bridge's address, which is where a service finds its server.
fn gateway(world: &World) -> String {
    let told = ask(world, INTRUDER, "return effects.getOsIp()");
    told.as_str().unwrap().to_owned()
}

/// What all attempts are told: where the host has what they look for.
fn targets(world: &World, bait: &Bait) -> Vec<String> {
    let disk = intruder::disk_of(&world.server.data);
    let server = &world.server;
    let processes = [
        server.child("core"),
        server.heart(),
        server.init(NEIGHBOUR),
        server.monitor(INTRUDER),
    ];
    let pids: Vec<String> = processes.iter().map(|one| one.pid.to_string()).collect();
    vec![
        format!("file={}", canary(world).display()),
        format!("word={WORD}"),
        format!("disk={}:{}", disk.0, disk.1),
        format!("pids={}", pids.join(",")),
        format!("key={KEY}"),
        // Heart, core and edge have it in their command lines.
        format!("called={}", server.data.display()),
        format!("neighbour={NEIGHBOUR}"),
        format!("ports={}", bait.ports(world)),
        format!("abstract={}", bait.name),
    ]
}

fn attempts<'a>(place: &'a str, targets: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let words = ["attempts", place].into_iter();
    words
        .chain(targets.iter().map(String::as_str))
        .chain(more.iter().copied())
        .collect()
}

/// Every attempt that a host's root may make gets through there: what refuses it to a package is isolation.
pub(super) fn the_hosts_own_root_gets_through_with_every_attempt(world: &mut World) {
    let bait = Bait::lay(world);
    let folder = world.scratch.data("attack");
    fs::create_dir_all(folder.join("readonly")).unwrap();
    let (major, minor) = intruder::disk_of(&folder);
    let node = folder.join("node");
    let _ = fs::remove_file(&node);
    nix::sys::stat::mknod(
        &node,
        nix::sys::stat::SFlag::S_IFBLK,
        nix::sys::stat::Mode::S_IRUSR,
        nix::sys::stat::makedev(major, minor),
    )
    .unwrap();
    let targets = targets(world, &bait);
    let planted = intruder::on_the_host(&world.scratch, &["plant-key", KEY]);
    assert_eq!(planted.trim(), "planted");
    let here = [
        format!("folder={}", folder.display()),
        format!("readonly={}", folder.join("readonly").display()),
        format!("nodes={}", node.display()),
        "control=yes".to_owned(),
    ];
    let more = here.each_ref().map(String::as_str);
    let words = attempts("control", &targets, &more);
    let told = intruder::told(&intruder::on_the_host(&world.scratch, &words));
    let failed: Vec<&Told> = told.iter().filter(|one| one.outcome != "through").collect();
    for one in told.iter().filter(|one| one.outcome == "absent") {
        println!("     {}: {}", one.name, one.text);
    }
    assert!(
        failed.iter().all(|one| one.outcome == "absent"),
        "{failed:#?}"
    );
}

fn assert_nothing_got_through(told: &[Told]) {
    let through: Vec<&Told> = told.iter().filter(|one| one.outcome == "through").collect();
    assert!(through.is_empty(), "{through:#?}");
    println!("     {} attempts", told.len());
}

pub(super) fn the_packages_root_gets_through_with_none_in_its_container(world: &mut World) {
    let bait = Bait::lay(world);
    let targets = targets(world, &bait);
    let more = [
        "folder=/media/startos/volumes/main",
        "readonly=/media/startos/images/main,/usr/lib/startos/package,/media/startos/rpc",
        "nodes=/media/startos/images/main/disk,/media/startos/images/main/memory",
        "sockets=/media/startos/rpc/host.sock,/run/coppice/agent.sock",
    ];
    let program = format!("/media/startos/images/main/{INSIDE_IMAGE}");
    let code = intruder::running(&[&program], &attempts("inside", &targets, &more));
    let said = unharmed(world, || ask(world, INTRUDER, &code));
    assert_nothing_got_through(&intruder::told(said.as_str().unwrap()));
}

/// JavaScript that makes a subcontainer with a leader; `root` is its root.
const SUBCONTAINER: &str = "
const fs = require('fs');
const [root, guid] = await effects.subcontainer.createFs({ imageId: 'main', name: null });
require('child_process').spawn('start-container', ['subcontainer', 'launch', root], { env: {} });
for (let tries = 0; !fs.existsSync(`${root}/proc/1`); tries += 1) {
  if (tries > 4000) throw new Error('no leader');
  await new Promise(resolve => setTimeout(resolve, 5));
}
";

pub(super) fn the_packages_root_gets_through_with_none_in_a_subcontainer(world: &mut World) {
    let bait = Bait::lay(world);
    let targets = targets(world, &bait);
    let made = ask(
        world,
        INTRUDER,
        &format!(
            "{SUBCONTAINER}
             fs.mkdirSync(`${{root}}/volume`);
             await effects.mount({{ location: `${{root}}/volume`, target: {{ type: 'pointer', packageId: '{INTRUDER}',
               volumeId: 'main', subpath: null, readonly: false, idmap: [] }} }});
             return {{ root, guid }}"
        ),
    );
    let root = made["root"].as_str().unwrap();
    let program = format!("/{INSIDE_IMAGE}");
    let at = [
        "/usr/bin/start-container",
        "subcontainer",
        "exec",
        root,
        &program,
    ];
    let more = ["folder=/volume", "nodes=/disk,/memory"];
    let code = intruder::running(&at, &attempts("inside", &targets, &more));
    let said = unharmed(world, || ask(world, INTRUDER, &code));
    assert_nothing_got_through(&intruder::told(said.as_str().unwrap()));
    let guid = json!(made["guid"]);
    let code = format!("await effects.subcontainer.destroyFs({{ guid: {guid} }})");
    ask(world, INTRUDER, &code);
}

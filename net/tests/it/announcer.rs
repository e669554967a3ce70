//! Names on the local network, as Avahi on another machine hears them.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    netns::ip,
    world::{World, in_a_world, record},
};

/// Of at most two seconds each; on an idle machine the second one succeeds.
const TRIES: u32 = 10;

/// A machine `far` on a cable, with an Avahi of its own.
struct Far {
    bus: Child,
    avahi: Child,
    address: String,
}

impl Far {
    fn new() -> Self {
        ip("netns add far");
        ip("link add lan0 type veth peer name lan0 netns far");
        ip("addr add 192.168.77.1/24 dev lan0");
        ip("link set lan0 up");
        ip("-n far addr add 192.168.77.2/24 dev lan0");
        ip("-n far link set lo up");
        ip("-n far link set lan0 up");
        // Everything below /run is this test's own.
        fs::create_dir_all("/run/avahi-daemon").unwrap();
        let address = "unix:path=/run/bus".to_owned();
        fs::write(
            "/run/bus.conf",
            "<busconfig><listen>unix:path=/run/bus</listen><policy context=\"default\">\
             <allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow user=\"*\"/>\
             </policy></busconfig>",
        )
        .unwrap();
        fs::write(
            "/run/avahi.conf",
            "[server]\nallow-interfaces=lan0\nuse-ipv6=no\n[wide-area]\nenable-wide-area=no\n",
        )
        .unwrap();
        let mut bus = Command::new("dbus-daemon")
            .args(["--config-file=/run/bus.conf", "--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let avahi = Command::new("ip")
            .args([
                "netns",
                "exec",
                "far",
                "avahi-daemon",
                "-f",
                "/run/avahi.conf",
            ])
            .args(["--no-chroot", "--no-drop-root", "--no-rlimits"])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &address)
            .stderr(fs::File::create("/run/avahi.log").unwrap())
            .spawn()
            .unwrap();
        Self {
            bus,
            avahi,
            address,
        }
    }

    fn ask(&self, program: &str, args: &[&str]) -> String {
        // Without a daemon to ask these would wait for one for ever.
        let output = Command::new("timeout")
            .args(["2", "ip", "netns", "exec", "far", program])
            .args(args)
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Asks until the answer fits; both sides take their time to probe and announce.
    async fn hears(&self, program: &str, args: &[&str], fits: impl Fn(&str) -> bool) {
        let mut heard = String::new();
        for _ in 0..TRIES {
            heard = self.ask(program, args);
            if fits(&heard) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = fs::read_to_string("/run/avahi.log").unwrap();
        panic!("{program} {args:?} hears {heard:?}\n{log}");
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        for child in [&mut self.avahi, &mut self.bus] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn names_are_heard_on_the_network_follow_the_table_and_are_taken_back() {
    in_a_world(|| async {
        let far = Far::new();
        let mut world = World::unpublished();
        world.announce("willow.local", &["192.168.77.1"]);
        world.announce("hello-willow.local", &["192.168.77.1"]);
        world.publish().await;
        for name in ["willow.local", "hello-willow.local"] {
            let args = ["-4", "-n", name];
            far.hears("avahi-resolve", &args, |heard| {
                heard.contains("192.168.77.1")
            })
            .await;
        }
        let browse = ["-rtp", "_https._tcp"];
        far.hears("avahi-browse", &browse, |heard| {
            heard.contains(";hello-willow.local;192.168.77.1;443;")
        })
        .await;
        // One goes, one comes: the first is taken back, not left to run out.
        world
            .table
            .mdns
            .retain(|record| record.name != "hello-willow.local");
        world
            .table
            .mdns
            .push(record("new-willow.local", &["192.168.77.1"]));
        world.publish().await;
        far.hears("avahi-browse", &browse, |heard| {
            heard.contains(";new-willow.local;192.168.77.1;443;") && !heard.contains("hello")
        })
        .await;
    });
}

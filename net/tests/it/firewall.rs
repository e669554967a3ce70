//! Two containers, a host and a world, with and without `br_netfilter` between the containers.

use std::net::{IpAddr, UdpSocket};

use coppice_net::{
    bridge,
    firewall::{self, Allow, Firewall, Forward, Port, PortRange, Proto, Scope},
    subnet::Subnet,
};

use crate::{
    frames::{self, Cable},
    netns::{
        alone, call, call_here, dropped, ip, refused, run, runtime, serve, serve_here, within,
    },
};

const BRIDGE: &str = "coptest";
const PREFIX: &str = "ctestv";
/// Host and world as they know each other.
const HOST: &str = "198.51.100.1";
const WORLD: &str = "198.51.100.2";

fn subnet() -> Subnet {
    Subnet::choose("test", &[]).unwrap()
}

fn container(n: u32) -> String {
    subnet().seat(n).unwrap().v4.to_string()
}

fn gateway() -> String {
    subnet().gateway_v4().to_string()
}

fn rules() -> Firewall {
    let subnet = subnet();
    Firewall {
        table: "coppice_test".into(),
        bridge: BRIDGE.into(),
        subnet,
        port_prefix: PREFIX.into(),
        ports: (0..2)
            .map(|n| Port {
                interface: format!("{PREFIX}{n}"),
                seat: subnet.seat(n).unwrap(),
            })
            .collect(),
        masquerade: true,
        forwards: vec![],
        allow: vec![],
        host_ports: vec![(Proto::Tcp, PortRange::one(443))],
    }
}

fn forward(ports: PortRange, to_port: u16, scope: Scope) -> Forward {
    Forward {
        proto: Proto::Tcp,
        ports,
        to: IpAddr::V4(subnet().seat(0).unwrap().v4),
        to_port,
        scope,
    }
}

fn allow(consumer: u32, provider: u32, ports: Vec<(Proto, PortRange)>) -> Allow {
    Allow {
        consumer: subnet().seat(consumer).unwrap().v4,
        provider: subnet().seat(provider).unwrap().v4,
        ports,
    }
}

fn apply(rules: &Firewall) {
    runtime().block_on(firewall::apply(rules)).unwrap();
}

#[test]
fn a_listing_has_what_somebody_added_until_the_rules_are_made_anew() {
    alone(|| {
        let nft = |words: &str| run("nft", &words.split(' ').collect::<Vec<_>>());
        let list = || {
            let listed = runtime().block_on(firewall::listing("coppice_test"));
            listed.unwrap()
        };
        assert!(list().is_empty(), "no table, no rules: {:?}", list());
        apply(&rules());
        let clean = list();
        assert!(clean.contains("chain published"), "{clean:?}");
        nft("add rule inet coppice_test published tcp dport 4711 drop");
        nft("add chain bridge coppice_test stray");
        nft("add table inet coppice_other");
        nft("add chain inet coppice_other theirs");
        let added: Vec<String> = list().difference(&clean).cloned().collect();
        assert_eq!(
            added,
            ["chain published: tcp dport 4711 drop", "chain stray"]
        );
        apply(&rules());
        assert_eq!(list(), clean);
    });
}

/// Containers `c0` and `c1`, the world `world`, each serving on port 80; the rules of [`rules`].
fn machine(br_netfilter: bool) {
    let value = if br_netfilter { "1" } else { "0" };
    for family in ["ip", "ip6"] {
        let key = format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables");
        // Where the module is not loaded there is nothing to turn off.
        if std::path::Path::new(&key).exists() {
            std::fs::write(key, value).unwrap();
        }
    }
    runtime().block_on(async {
        bridge::ensure(BRIDGE, &subnet()).await.unwrap();
        bridge::ensure(BRIDGE, &subnet()).await.unwrap();
    });
    for n in 0..2 {
        let seat = subnet().seat(n).unwrap();
        let mac: Vec<String> = seat.mac.iter().map(|b| format!("{b:02x}")).collect();
        ip(&format!("netns add c{n}"));
        ip(&format!(
            "link add {PREFIX}{n} type veth peer name eth0 address {} netns c{n}",
            mac.join(":")
        ));
        ip(&format!("link set {PREFIX}{n} master {BRIDGE} up"));
        ip(&format!("-n c{n} addr add {}/20 dev eth0", seat.v4));
        ip(&format!("-n c{n} addr add {}/64 dev eth0 nodad", seat.v6));
        ip(&format!("-n c{n} link set eth0 up"));
        ip(&format!("-n c{n} link set lo up"));
        ip(&format!("-n c{n} route add default via {}", gateway()));
        runtime()
            .block_on(bridge::tune_port(&format!("{PREFIX}{n}"), seat.mac))
            .unwrap();
        serve(&format!("c{n}"), "0.0.0.0:80");
    }
    ip("netns add world");
    ip("link add up0 type veth peer name eth0 netns world");
    ip(&format!("addr add {HOST}/24 dev up0"));
    ip("link set up0 up");
    ip(&format!("-n world addr add {WORLD}/24 dev eth0"));
    ip("-n world link set eth0 up");
    ip(&format!("-n world route add 10.0.0.0/8 via {HOST}"));
    serve("world", "0.0.0.0:80");
    apply(&rules());
}

fn on_both_kinds_of_machine(body: fn()) {
    for br_netfilter in [true, false] {
        alone(move || {
            machine(br_netfilter);
            body();
        });
    }
}

#[test]
fn neighbours_do_not_meet_unless_one_is_allowed_to() {
    on_both_kinds_of_machine(|| {
        let (one, other) = (container(0) + ":80", container(1) + ":80");
        assert!(dropped(call("c0", &other)));
        let mut rules = rules();
        rules.allow = vec![allow(0, 1, vec![(Proto::Tcp, PortRange::one(80))])];
        apply(&rules);
        assert_eq!(call("c0", &other).unwrap(), container(0));
        assert!(dropped(call("c0", &(container(1) + ":81"))));
        assert!(dropped(call("c1", &one)));
        rules.allow = vec![allow(1, 0, vec![])];
        apply(&rules);
        assert_eq!(call("c1", &one).unwrap(), container(1));
        assert!(dropped(call("c0", &other)));
    });
}

#[test]
fn a_container_that_knows_its_neighbours_hardware_address_reaches_it_no_better() {
    on_both_kinds_of_machine(|| {
        let mac = ip("-n c1 link show eth0");
        let mac = mac.split("link/ether ").nth(1).unwrap();
        let mac = mac.split(' ').next().unwrap();
        ip(&format!(
            "-n c0 neigh replace {} lladdr {mac} dev eth0",
            container(1)
        ));
        assert!(dropped(call("c0", &(container(1) + ":80"))));
    });
}

#[test]
fn a_container_that_takes_another_address_is_heard_by_nobody() {
    on_both_kinds_of_machine(|| {
        serve_here(&(gateway() + ":53"));
        assert_eq!(call("c0", &(gateway() + ":53")).unwrap(), container(0));
        let liar = subnet().seat(7).unwrap().v4;
        ip("-n c0 addr flush dev eth0");
        ip(&format!("-n c0 addr add {liar}/20 dev eth0"));
        assert!(call("c0", &(gateway() + ":53")).is_err());
    });
}

/// The text of a container's hardware address.
fn shown(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// What the bridge believes about where a container is.
fn port_of(n: u32) -> String {
    let known = run("bridge", &["fdb", "show", "br", BRIDGE]);
    let mac = shown(subnet().seat(n).unwrap().mac);
    let mut lines = known.lines().filter(|line| line.starts_with(&mac));
    let line = lines.next().unwrap_or_default();
    line.split(' ').nth(2).unwrap_or_default().to_owned()
}

fn without_rules() {
    runtime()
        .block_on(firewall::remove("coppice_test"))
        .unwrap();
}

#[test]
fn a_container_hears_no_frame_that_is_for_another() {
    on_both_kinds_of_machine(|| {
        assert!(!the_other_hears());
        without_rules();
        assert!(the_other_hears(), "without the rules it does");
    });
}

/// Whether `c1` hears what the host sends to `c0` when the bridge does not know where `c0` is.
fn the_other_hears() -> bool {
    let seats = [0, 1].map(|n| subnet().seat(n).unwrap());
    for seat in seats {
        let mac = shown(seat.mac);
        ip(&format!(
            "neigh replace {} lladdr {mac} dev {BRIDGE}",
            seat.v4
        ));
    }
    let cable = within("c1", || Cable::of("eth0").unwrap());
    let host = UdpSocket::bind("0.0.0.0:0").unwrap();
    // As when a container was silent for longer than the bridge remembers.
    let port = format!("{PREFIX}0");
    if port_of(0) == port {
        let mac = shown(seats[0].mac);
        run("bridge", &["fdb", "del", &mac, "dev", &port, "master"]);
    }
    host.send_to(b"for the other", (seats[0].v4, 9)).unwrap();
    host.send_to(b"for this one", (seats[1].v4, 9)).unwrap();
    let frames = cable.hear_until(b"for this one").unwrap();
    let theirs = |frame: &Vec<u8>| frames::has(frame, b"for the other");
    frames.iter().any(theirs)
}

#[test]
fn a_container_cannot_make_the_bridge_take_it_for_another() {
    on_both_kinds_of_machine(|| {
        assert_eq!(port_after_a_lie(), format!("{PREFIX}0"));
        // As a bridge is by itself.
        let (port, mac) = (format!("{PREFIX}0"), shown(subnet().seat(0).unwrap().mac));
        run(
            "bridge",
            &[
                "link",
                "set",
                "dev",
                &format!("{PREFIX}1"),
                "learning",
                "on",
            ],
        );
        run("bridge", &["fdb", "del", &mac, "dev", &port, "master"]);
        run(
            "bridge",
            &["fdb", "add", &mac, "dev", &port, "master", "dynamic"],
        );
        assert_eq!(port_after_a_lie(), format!("{PREFIX}1"), "otherwise it can");
    });
}

/// Where the bridge believes `c0` to be when `c1` has sent it a frame in its name.
fn port_after_a_lie() -> String {
    let lie = frames::for_the_bridge(subnet().seat(0).unwrap().mac);
    within("c1", move || Cable::of("eth0").unwrap().send(&lie).unwrap());
    port_of(0)
}

#[test]
fn a_container_cannot_tell_the_host_that_anothers_address_is_its_own() {
    on_both_kinds_of_machine(|| {
        let [victim, thief] = [0, 1].map(|n| subnet().seat(n).unwrap().v6);
        serve("c0", &format!("[{victim}]:81"));
        // Each is found by asking, so what they say of themselves passes.
        call_here(&format!("[{victim}]:81")).unwrap();
        assert!(refused(call_here(&format!("[{thief}]:81"))));
        assert!(!the_host_believes_a_lie());
        without_rules();
        assert!(the_host_believes_a_lie(), "without the rules it does");
    });
}

/// Whether the host sends to `c1` what is for `c0` when `c1` has told it to.
fn the_host_believes_a_lie() -> bool {
    let [victim, thief] = [0, 1].map(|n| subnet().seat(n).unwrap());
    let host = (subnet().gateway_mac(), subnet().gateway_v6());
    let lie = frames::advertisement(host, (thief.mac, thief.v6), victim.v6);
    within("c1", move || Cable::of("eth0").unwrap().send(&lie).unwrap());
    let known = ip(&format!("-6 neigh show {} dev {BRIDGE}", victim.v6));
    known.contains(&shown(thief.mac))
}

#[test]
fn a_container_reaches_the_hosts_name_server_and_edge_and_nothing_else_of_it() {
    on_both_kinds_of_machine(|| {
        for port in [53, 443, 22] {
            serve_here(&format!("0.0.0.0:{port}"));
        }
        assert_eq!(call("c0", &(gateway() + ":53")).unwrap(), container(0));
        assert_eq!(call("c0", &(gateway() + ":443")).unwrap(), container(0));
        assert!(refused(call("c0", &(gateway() + ":22"))));
        assert!(dropped(call("c0", &format!("{HOST}:443"))));
        let six = format!("[{}]", subnet().gateway_v6());
        serve_here(&format!("{six}:53"));
        assert_eq!(
            call("c0", &format!("{six}:53")).unwrap(),
            subnet().seat(0).unwrap().v6.to_string()
        );
    });
}

#[test]
fn the_world_sees_the_hosts_address_and_cannot_come_in_uninvited() {
    on_both_kinds_of_machine(|| {
        assert_eq!(call("c0", &format!("{WORLD}:80")).unwrap(), HOST);
        assert!(dropped(call("world", &(container(0) + ":80"))));
        let mut rules = rules();
        rules.masquerade = false;
        apply(&rules);
        assert_eq!(call("c0", &format!("{WORLD}:80")).unwrap(), container(0));
    });
}

#[test]
fn a_published_port_leads_in_from_everywhere_with_the_callers_address() {
    on_both_kinds_of_machine(|| {
        let mut rules = rules();
        rules.forwards = vec![forward(PortRange::one(8080), 80, Scope::Everywhere)];
        apply(&rules);
        assert_eq!(call("world", &format!("{HOST}:8080")).unwrap(), WORLD);
        assert_eq!(call_here(&format!("{HOST}:8080")).unwrap(), HOST);
        assert_eq!(call_here(&(gateway() + ":8080")).unwrap(), gateway());
        assert!(dropped(call("c1", &(gateway() + ":8080"))));
    });
}

#[test]
fn an_internal_port_is_for_the_host_its_owner_and_those_who_depend_on_it() {
    on_both_kinds_of_machine(|| {
        let mut rules = rules();
        rules.forwards = vec![forward(PortRange::one(8080), 80, Scope::Internal)];
        apply(&rules);
        let published = gateway() + ":8080";
        assert!(refused(call("world", &format!("{HOST}:8080"))));
        assert_eq!(call_here(&published).unwrap(), gateway());
        assert_eq!(call("c0", &published).unwrap(), gateway(), "its owner");
        assert!(dropped(call("c1", &published)));
        rules.allow = vec![allow(1, 0, vec![(Proto::Tcp, PortRange::one(80))])];
        apply(&rules);
        assert_eq!(call("c1", &published).unwrap(), gateway(), "a dependent");
    });
}

#[test]
fn a_range_of_ports_keeps_its_order() {
    on_both_kinds_of_machine(|| {
        let mut rules = rules();
        let range = PortRange::new(8000, 3).unwrap();
        rules.forwards = vec![forward(range, 79, Scope::Everywhere)];
        apply(&rules);
        assert_eq!(call("world", &format!("{HOST}:8001")).unwrap(), WORLD);
        assert!(refused(call("world", &format!("{HOST}:8000"))));
        assert!(refused(call("world", &format!("{HOST}:8002"))));
    });
}

#[test]
fn removing_leaves_other_peoples_rules_and_may_be_repeated() {
    alone(|| {
        machine(true);
        run("nft", &["add", "table", "inet", "theirs"]);
        runtime().block_on(async {
            firewall::remove("coppice_test").await.unwrap();
            firewall::remove("coppice_test").await.unwrap();
            bridge::remove(BRIDGE).await.unwrap();
            bridge::remove(BRIDGE).await.unwrap();
        });
        assert_eq!(run("nft", &["list", "tables"]), "table inet theirs\n");
        assert!(!ip("link").contains(BRIDGE));
    });
}

#[test]
fn refused_rules_leave_the_old_ones_in_place() {
    alone(|| {
        machine(true);
        let before = run("nft", &["list", "ruleset"]);
        let mut rules = rules();
        // A name the kernel's interface names have no room for.
        rules.bridge = "a-bridge-of-far-too-many-letters".into();
        assert!(runtime().block_on(firewall::apply(&rules)).is_err());
        assert_eq!(run("nft", &["list", "ruleset"]), before);
    });
}

#[test]
fn a_server_sees_the_ports_of_the_others_and_not_its_own() {
    alone(|| {
        let server = |table: &str, forwards| Firewall {
            table: table.into(),
            ports: vec![],
            forwards,
            ..rules()
        };
        let seen = |own: &str| {
            let mut seen = firewall::ports_elsewhere(own).unwrap();
            seen.sort_by_key(|range| range.first());
            seen.dedup();
            seen
        };
        assert_eq!(seen("coppice_a"), []);
        let published = vec![
            forward(PortRange::one(22000), 22000, Scope::Everywhere),
            forward(PortRange::one(8081), 80, Scope::Internal),
            forward(PortRange::new(30000, 5).unwrap(), 30000, Scope::Everywhere),
        ];
        apply(&server("coppice_a", published));
        apply(&server("coppice_b", vec![]));
        run("nft", &["add", "table", "inet", "other"]);
        run("nft", &["add", "chain", "inet", "other", "c"]);
        run(
            "nft",
            &[
                "add", "rule", "inet", "other", "c", "tcp", "dport", "9999", "accept",
            ],
        );
        assert_eq!(
            seen("coppice_b"),
            [
                PortRange::one(53),
                PortRange::one(443),
                PortRange::one(8081),
                PortRange::one(22000),
                PortRange::new(30000, 5).unwrap(),
            ]
        );
        // The empty one listens, and nothing else.
        assert_eq!(seen("coppice_a"), [PortRange::one(53), PortRange::one(443)]);
    });
}

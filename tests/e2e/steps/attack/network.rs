//! Packets that are not what they say, and a bridge that is lied to.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use serde_json::json;

use super::{INTRUDER, NEIGHBOUR, THEIR_PORT, gateway, unharmed};
use crate::{
    console::run,
    intruder::{self, INSIDE_IMAGE},
    lan::at_neighbours,
    probe::ask,
    until::{seconds, until},
    world::World,
};

/// Another machine on the server's network.
const WORLD: &str = "192.168.77.2";

/// The hardware address that goes with an address of the containers' network.
fn card(ip: &str) -> String {
    let [a, b, c, d] = ip.parse::<Ipv4Addr>().unwrap().octets();
    format!("02:c0:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// What has arrived; the sockets wait for nothing.
fn heard(socket: &UdpSocket) -> Vec<String> {
    socket.set_nonblocking(true).unwrap();
    let mut found = Vec::new();
    let mut packet = [0; 1500];
    while let Ok((length, _)) = socket.recv_from(&mut packet) {
        found.push(String::from_utf8_lossy(&packet[..length]).into_owned());
    }
    found
}

pub(crate) fn packets_with_others_addresses_arrive_nowhere(world: &mut World) {
    let (own, theirs) = (
        world.server.address(INTRUDER),
        world.server.address(NEIGHBOUR),
    );
    let gateway = gateway(world);
    let outside = at_neighbours(|| UdpSocket::bind((WORLD, THEIR_PORT)).unwrap());
    let host = UdpSocket::bind(("0.0.0.0", THEIR_PORT)).unwrap();
    let seat = |key: &str, ip: &str| format!("{key}={}@{ip}", card(ip));
    let targets = [
        seat("own", &own),
        seat("gateway", &gateway),
        seat("neighbour", &theirs),
        format!("world={WORLD}"),
        format!("port={THEIR_PORT}"),
    ];
    let program = format!("/media/startos/images/main/{INSIDE_IMAGE}");
    let words = ["frames"]
        .into_iter()
        .chain(targets.iter().map(String::as_str));
    let code = intruder::running(&[&program], &words.collect::<Vec<_>>());
    let told = unharmed(world, || ask(world, INTRUDER, &code));
    assert_eq!(told, "sent\n");
    // The honest one shows that what is sent so can arrive, and is the last to be waited for: all were sent
    // before this program's answer.
    outside
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut packet = [0; 1500];
    let (length, from) = outside.recv_from(&mut packet).unwrap();
    assert_eq!(&packet[..length], b"honest to the world");
    assert_eq!(from.ip().to_string(), crate::lan::SERVER.to_string());
    let to = UdpSocket::bind("0.0.0.0:0").unwrap();
    let neighbour = until("the neighbour hears the host", seconds(10), || {
        to.send_to(b"from the host", (theirs.as_str(), THEIR_PORT))
            .unwrap();
        let told = ask(world, NEIGHBOUR, "return [...new Set(seen.heard)]");
        (told.as_array().unwrap().contains(&json!("from the host"))).then_some(told)
    });
    assert_eq!(neighbour, json!(["from the host"]));
    assert_eq!(heard(&outside), [] as [String; 0]);
    assert_eq!(heard(&host), [] as [String; 0]);
}

pub(crate) fn the_bridge_learns_nothing_from_a_service(world: &mut World) {
    let bridge = format!("cop{}", world.server.short);
    let ports = run("bridge", &["-d", "link", "show"]);
    // A line for each port, and one with what is set for it.
    let lines: Vec<&str> = ports.lines().collect();
    let ours = lines
        .windows(2)
        .filter(|pair| pair[0].contains(&format!("master {bridge}")));
    let ours: Vec<_> = ours.collect();
    assert!(ours.len() >= 3, "{ports}");
    for pair in ours {
        assert!(pair[1].contains("learning off"), "{pair:?}");
    }
    let known = run("bridge", &["-d", "fdb", "show", "br", &bridge]);
    for id in ["hello", INTRUDER, NEIGHBOUR] {
        let card = card(&world.server.address(id));
        let mut lines = known.lines().filter(|line| line.starts_with(&card));
        let line = lines.next().unwrap_or_default();
        let is_kept = ["sticky", "static"].iter().all(|word| line.contains(word));
        assert!(is_kept, "{id}: {known}");
        assert_eq!(lines.next(), None, "{known}");
    }
}

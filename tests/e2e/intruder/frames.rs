//! Packets with addresses that are not the service's own, past its own kernel's rules.

use std::{fs, net::Ipv4Addr, os::raw::c_int};

use crate::{
    sys::{self, last},
    targets::Targets,
};

const AF_PACKET: c_int = 17;
const SOCK_RAW: c_int = 3;
const IPV4: [u8; 2] = [8, 0];

/// Who is who; each with its hardware address.
struct Seat {
    mac: [u8; 6],
    ip: Ipv4Addr,
}

impl Seat {
    fn of(text: &str) -> Self {
        let (mac, ip) = text.split_once('@').expect("MAC@IP");
        let bytes: Vec<u8> = mac
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
            .collect();
        Self {
            mac: bytes.try_into().expect("six bytes"),
            ip: ip.parse().expect("an address"),
        }
    }
}

/// Sends one frame of each kind to the port; its name is the packet's text. `own`, `gateway` and `neighbour`
/// are `MAC@IP`, `world` an address beyond the gateway.
pub fn send_all(targets: &Targets) -> String {
    let [own, gateway, neighbour] =
        ["own", "gateway", "neighbour"].map(|key| Seat::of(targets.get(key)));
    let world: Ipv4Addr = targets.get("world").parse().expect("an address");
    let port: u16 = targets.get("port").parse().expect("a port");
    let loopback = Ipv4Addr::LOCALHOST;
    let everyone = [0xff; 6];
    let packet =
        |to_mac, from_mac, from, to, text| frame(to_mac, from_mac, &[], &udp(from, to, port, text));
    let tagged = |text| {
        frame(
            neighbour.mac,
            own.mac,
            &[0x81, 0, 0, 0],
            &udp(own.ip, neighbour.ip, port, text),
        )
    };
    let frames = [
        packet(gateway.mac, own.mac, own.ip, world, "honest to the world"),
        packet(
            gateway.mac,
            own.mac,
            neighbour.ip,
            world,
            "as the neighbour to the world",
        ),
        packet(
            gateway.mac,
            neighbour.mac,
            neighbour.ip,
            world,
            "as the neighbour with its card to the world",
        ),
        packet(
            gateway.mac,
            own.mac,
            world,
            world,
            "as the world to the world",
        ),
        packet(
            gateway.mac,
            own.mac,
            own.ip,
            neighbour.ip,
            "to the neighbour by the gateway",
        ),
        packet(
            neighbour.mac,
            own.mac,
            own.ip,
            neighbour.ip,
            "to the neighbour's card",
        ),
        packet(everyone, own.mac, own.ip, neighbour.ip, "to everyone"),
        packet(
            neighbour.mac,
            gateway.mac,
            gateway.ip,
            neighbour.ip,
            "as the gateway to the neighbour",
        ),
        packet(
            neighbour.mac,
            own.mac,
            gateway.ip,
            neighbour.ip,
            "as the gateway's address to the neighbour",
        ),
        tagged("with a tag to the neighbour"),
        packet(
            gateway.mac,
            own.mac,
            own.ip,
            loopback,
            "to the host's loopback",
        ),
        packet(
            gateway.mac,
            own.mac,
            loopback,
            loopback,
            "as the host's loopback",
        ),
        packet(gateway.mac, own.mac, own.ip, gateway.ip, "to the gateway"),
        packet(
            gateway.mac,
            own.mac,
            gateway.ip,
            gateway.ip,
            "as the gateway to itself",
        ),
    ];
    match send(&frames) {
        Ok(()) => "sent".to_owned(),
        Err(why) => why,
    }
}

fn send(frames: &[Vec<u8>]) -> Result<(), String> {
    let index =
        fs::read_to_string("/sys/class/net/eth0/ifindex").map_err(|error| error.to_string())?;
    let index: u32 = index.trim().parse().map_err(|_| "no number")?;
    // `struct sockaddr_ll`: family and protocol, the interface, and nothing else.
    let mut address = [0_u32; 5];
    address[0] = AF_PACKET as u32;
    address[1] = index;
    // SAFETY: integers.
    let socket = unsafe { sys::socket(AF_PACKET, SOCK_RAW, 0) };
    if socket < 0 {
        return Err(last());
    }
    for frame in frames {
        // SAFETY: bytes and an address of the lengths that are passed with them.
        let sent = unsafe {
            sys::sendto(
                socket,
                frame.as_ptr(),
                frame.len(),
                0,
                address.as_ptr().cast(),
                20,
            )
        };
        if sent < 0 {
            return Err(last());
        }
    }
    Ok(())
}

fn frame(to: [u8; 6], from: [u8; 6], tag: &[u8], packet: &[u8]) -> Vec<u8> {
    [&to[..], &from, tag, &IPV4, packet].concat()
}

fn udp(from: Ipv4Addr, to: Ipv4Addr, port: u16, text: &str) -> Vec<u8> {
    let size = 28 + text.len() as u16;
    let mut head = vec![0x45, 0];
    head.extend(size.to_be_bytes());
    head.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    head.extend(from.octets());
    head.extend(to.octets());
    let sum: u32 = head
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    head[10..12].copy_from_slice(&sum.to_be_bytes());
    head.extend(port.to_be_bytes());
    head.extend(port.to_be_bytes());
    // Without a checksum of its own, which IPv4 allows.
    head.extend((size - 20).to_be_bytes());
    head.extend([0, 0]);
    head.extend(text.as_bytes());
    head
}

//! The machine's own addresses towards other machines.

use std::{collections::BTreeMap, net::IpAddr};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};

use crate::hosts::Gateway;

/// Links that are up, by name, without loopback, our bridge, and what hangs on other bridges.
pub(super) fn read(bridge: &str) -> Vec<Gateway> {
    let Ok(addresses) = getifaddrs() else {
        return Vec::new();
    };
    let mut links: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for one in addresses {
        let up = one.flags.contains(InterfaceFlags::IFF_UP);
        let loopback = one.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        let name = one.interface_name.as_str();
        if !up || loopback || name == bridge || is_container_side(name) {
            continue;
        }
        let Some(storage) = one.address else { continue };
        if let Some(v4) = storage.as_sockaddr_in() {
            links
                .entry(name.to_owned())
                .or_default()
                .push(IpAddr::V4(v4.ip()));
        }
    }
    links
        .into_iter()
        .map(|(id, addresses)| Gateway {
            id,
            addresses,
            secure: false,
            mdns: true,
        })
        .collect()
}

/// Bridges and veths of container engines, Coppice's other servers included: addresses there lead
/// to no person.
fn is_container_side(name: &str) -> bool {
    [
        "veth", "cop", "docker", "br-", "lxcbr", "virbr", "cni", "podman",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

//! The bridge the containers hang on.
//!
//! Invariant: [`ensure`] may be repeated at any time and leaves a bridge that carries traffic as it
//! is; it adds what is missing and takes nothing away. Ports come and go with their containers
//! (liblxc makes the veth pairs); [`tune_port`] is told of each.

mod netlink;
mod sysctl;

use std::{net::IpAddr, time::Duration};

use rtnetlink::{
    LinkBridge, LinkBridgePort, LinkUnspec,
    packet_route::{
        link::{BridgeStpState, InfoBridgePort},
        neighbour::{NeighbourFlags, NeighbourState},
    },
};

use crate::subnet::Subnet;

pub use netlink::{Netlink, NetlinkError};
pub use sysctl::SysctlError;

/// The longest name the kernel takes.
const NAME_MAX: usize = 15;

/// Why the bridge is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// A name the kernel would refuse.
    #[error("`{name}` cannot name a network interface: 1 to 15 letters, digits or `-`")]
    Name {
        /// The name.
        name: String,
    },
    /// Something else has that name.
    #[error(
        "the interface `{name}` exists and is not a bridge; remove it or choose another data folder"
    )]
    NotABridge {
        /// The name.
        name: String,
    },
    /// The kernel refused.
    #[error("could not set up the network of the containers")]
    Netlink(#[from] NetlinkError),
    /// A kernel setting could not be written.
    #[error("could not set up the network of the containers")]
    Sysctl(#[from] SysctlError),
}

/// Makes the bridge `name` with the gateway addresses of `subnet`, brings it up, and turns on
/// forwarding. What is there already stays.
///
/// # Errors
/// [`BridgeError`], naming the interface and the step that failed.
pub async fn ensure(name: &str, subnet: &Subnet) -> Result<(), BridgeError> {
    check_name(name)?;
    let netlink = Netlink::open()?;
    let index = match netlink.find(name).await? {
        Some(link) if link.is_bridge => link.index,
        Some(_) => {
            return Err(BridgeError::NotABridge {
                name: name.to_owned(),
            });
        }
        None => create(&netlink, name, subnet).await?,
    };
    sysctl::prepare(name)?;
    let addresses = [
        (IpAddr::V4(subnet.gateway_v4()), subnet.v4().prefix_len()),
        (IpAddr::V6(subnet.gateway_v6()), subnet.v6().prefix_len()),
    ];
    for (address, prefix) in addresses {
        netlink.add_address(index, name, address, prefix).await?;
    }
    let up = LinkUnspec::new_with_index(index).up().build();
    netlink
        .handle()
        .link()
        .set(up)
        .execute()
        .await
        .map_err(NetlinkError::because("bring up", name))?;
    sysctl::forward(name)?;
    Ok(())
}

/// Removes the bridge. Its ports lose their master and nothing else. A bridge that is not there is
/// removed already.
///
/// # Errors
/// When the kernel refuses, or the name is not a bridge's.
pub async fn remove(name: &str) -> Result<(), BridgeError> {
    let netlink = Netlink::open()?;
    match netlink.find(name).await? {
        None => Ok(()),
        Some(link) if link.is_bridge => Ok(netlink.delete(link.index, name).await?),
        Some(_) => Err(BridgeError::NotABridge {
            name: name.to_owned(),
        }),
    }
}

/// Tells the bridge who sits at a port, and lets a container reach a port it publishes itself through the
/// bridge's address.
///
/// A bridge believes who sends: a container could take its neighbour's place by one frame of a kind
/// (LLDP) that no rule of the firewall ever sees. So nothing is learnt here, and what is said here stays.
///
/// A packet to a published port of one's own leaves by the port it came from, which a bridge does only in
/// hairpin mode. Where `br_netfilter` is off the host routes it and this changes nothing.
///
/// Call it when the container has started; the settings go with the veth.
///
/// # Errors
/// When there is no such interface, or it is no bridge's port.
pub async fn tune_port(port: &str, mac: [u8; 6]) -> Result<(), BridgeError> {
    let netlink = Netlink::open()?;
    let Some(link) = netlink.find(port).await? else {
        return Err(NetlinkError::missing("change", port).into());
    };
    let message = LinkBridgePort::new(link.index)
        .append_info_data(InfoBridgePort::HairpinMode(true))
        .append_info_data(InfoBridgePort::Learning(false))
        .build();
    netlink
        .handle()
        .link()
        .set_port(message)
        .execute()
        .await
        .map_err(NetlinkError::because("set the mode of", port))?;
    netlink
        .handle()
        .neighbours()
        .add_bridge(link.index, &mac)
        // For the bridge this is an entry that does not age; `Permanent` would be an address of its own.
        .state(NeighbourState::Noarp)
        .flags(NeighbourFlags::Controller | NeighbourFlags::Sticky)
        .replace()
        .execute()
        .await
        .map_err(NetlinkError::because("tell the bridge who sits at", port))?;
    Ok(())
}

async fn create(netlink: &Netlink, name: &str, subnet: &Subnet) -> Result<u32, BridgeError> {
    let message = LinkBridge::new(name)
        // There is one bridge and no loop: a port carries traffic at once, not after 15 s.
        .stp_state(BridgeStpState::Disabled)
        .forward_delay(hundredths(Duration::ZERO))
        .address(subnet.gateway_mac().to_vec())
        .build();
    netlink
        .handle()
        .link()
        .add(message)
        .execute()
        .await
        .map_err(NetlinkError::because("create the bridge", name))?;
    match netlink.find(name).await? {
        Some(link) => Ok(link.index),
        None => Err(NetlinkError::missing("find the new bridge", name).into()),
    }
}

/// The unit of bridge times.
fn hundredths(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / 10).unwrap_or(u32::MAX)
}

fn check_name(name: &str) -> Result<(), BridgeError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(BridgeError::Name {
            name: name.to_owned(),
        })
    }
}

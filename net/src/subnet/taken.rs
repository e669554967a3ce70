//! Which networks this machine already knows.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::{
        address::AddressAttribute,
        route::{RouteAddress, RouteAttribute},
    },
};

use crate::bridge::{Netlink, NetlinkError};

/// Every IPv4 network that an interface of this network namespace has an address in, or that a
/// route leads to, in any routing table. The default route is not a network.
///
/// # Errors
/// When the kernel refuses to list them.
pub async fn taken() -> Result<Vec<IpNet>, NetlinkError> {
    let netlink = Netlink::open()?;
    let mut taken = Vec::new();
    let mut addresses = netlink.handle().address().get().execute();
    while let Some(message) = addresses.try_next().await.map_err(NetlinkError::because(
        "list the addresses of",
        "this machine",
    ))? {
        for attribute in &message.attributes {
            if let AddressAttribute::Address(address @ IpAddr::V4(_)) = attribute {
                taken.extend(network(*address, message.header.prefix_len));
            }
        }
    }
    let request = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut routes = netlink.handle().route().get(request).execute();
    while let Some(message) = routes
        .try_next()
        .await
        .map_err(NetlinkError::because("list the routes of", "this machine"))?
    {
        for attribute in &message.attributes {
            if let RouteAttribute::Destination(RouteAddress::Inet(address)) = attribute {
                taken.extend(network(
                    IpAddr::V4(*address),
                    message.header.destination_prefix_length,
                ));
            }
        }
    }
    taken.sort_unstable();
    taken.dedup();
    Ok(taken)
}

fn network(address: IpAddr, prefix: u8) -> Option<IpNet> {
    IpNet::new(address, prefix).ok().map(|net| net.trunc())
}

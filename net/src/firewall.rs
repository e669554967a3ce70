//! What may pass between containers, host and world.
//!
//! Invariant: a [`Firewall`] is the whole truth; [`apply`] replaces everything we ever put into the
//! kernel by it in one transaction, so there is no moment without rules and nothing to remember
//! between two calls. What it does not mention is not allowed.
//!
//! ```text
//!   container → container   dropped, except what `allow` lists; never frame by frame, always
//!                           through the host, which answers ARP for the neighbours
//!   container → host        DNS on the bridge address, and `host_ports`
//!   container → world       passes; its address becomes the host's when `masquerade` is set
//!   world, host → container only what a `Forward` publishes (the host itself may connect anywhere)
//! ```
//!
//! A container may publish a port and reach it, or be reached by a permitted neighbour, through the
//! bridge's address (hairpin): that is how packages find each other.

mod apply;
mod elsewhere;
mod render;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use crate::subnet::{Seat, Subnet};

pub use apply::{FirewallError, apply, listing, remove};
pub use elsewhere::ports_elsewhere;

/// Everything the kernel is told for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// Name of our nft tables (one of family `inet`, one of family `bridge`): letters, digits, `_`.
    pub table: String,
    /// Name of the bridge.
    pub bridge: String,
    /// The network on it.
    pub subnet: Subnet,
    /// Every host side of a container's veth pair is named this, then something of its own
    /// (`cabc234v` for `cabc234v7`). A port that is on the bridge and not in `ports` passes nothing.
    pub port_prefix: String,
    /// The containers' ports and what belongs to each.
    pub ports: Vec<Port>,
    /// Whether the containers' traffic to the world leaves under the host's address.
    pub masquerade: bool,
    /// Published ports.
    pub forwards: Vec<Forward>,
    /// Which container may reach which.
    pub allow: Vec<Allow>,
    /// Host ports that every container may reach on the bridge's address, besides DNS: the edge's.
    pub host_ports: Vec<(Proto, PortRange)>,
}

/// A container's end of the bridge. It may send from its own addresses only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name of the host side of its veth pair.
    pub interface: String,
    /// Its addresses.
    pub seat: Seat,
}

/// A port of the host that leads into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// TCP or UDP.
    pub proto: Proto,
    /// The ports on the host.
    pub ports: PortRange,
    /// The container.
    pub to: IpAddr,
    /// Where the first of `ports` leads; the others follow in order.
    pub to_port: u16,
    /// From where it can be used.
    pub scope: Scope,
}

/// From where a published port can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// On every address of the host. Containers need an [`Allow`] for it, as for any other way.
    Everywhere,
    /// On the bridge's address only: by the host, and by containers with an [`Allow`].
    Internal,
}

/// One container may reach another. Whoever publishes a port may always reach it itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// Who connects.
    pub consumer: Ipv4Addr,
    /// Who is connected to.
    pub provider: Ipv4Addr,
    /// On which of the provider's own ports; empty means all.
    pub ports: Vec<(Proto, PortRange)>,
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One or more consecutive ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// One port.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// `count` ports from `first` on; `None` when there are none or they pass 65535.
    #[must_use]
    pub fn new(first: u16, count: u16) -> Option<Self> {
        let last = first.checked_add(count.checked_sub(1)?)?;
        Some(Self { first, last })
    }

    /// Whether `port` is one of them.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// The lowest port.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }
}

//! Room for the containers' network.
//!
//! Invariant: a subnet is chosen once, at first start, and kept; every address in it follows from
//! the subnet and the index of a service, so a service keeps its address over restarts and two
//! services never share one. [`Subnet::choose`] is pure; [`taken`] is the one look at the machine.

mod taken;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use taken::taken;

/// Length of the IPv4 prefix: 4096 addresses, 4093 of them for services.
pub const PREFIX: u8 = 20;

/// How many /20 fit in 10.0.0.0/8.
const CANDIDATES: u32 = 1 << (PREFIX - 8);

/// The first service's address is this far into the subnet: 0 is the network, 1 the bridge.
const FIRST: u32 = 2;

/// Left alone even where nothing uses it yet: home routers and Debian's own `lxcbr0` (10.0.3.0/24)
/// live here, and either may appear after our choice was made.
const CROWDED: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 16);

/// The network the containers of one server live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    v4: Ipv4Net,
    v6: Ipv6Net,
}

/// No room for another network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no free /20 is left in 10.0.0.0/8 on this machine; remove a network or a route there")]
pub struct NoFreeSubnet;

/// What belongs to one service, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its IPv4 address; the prefix is [`PREFIX`].
    pub v4: Ipv4Addr,
    /// Its IPv6 address; the prefix is 64.
    pub v6: Ipv6Addr,
    /// Its hardware address: locally administered, unicast.
    pub mac: [u8; 6],
}

impl Subnet {
    /// Chooses a free /20 of 10.0.0.0/8 and an IPv6 prefix of our own (ULA, RFC 4193).
    ///
    /// The same seed and the same neighbours give the same subnet; another seed starts looking
    /// elsewhere, so two servers on one machine, or joined by a VPN, seldom meet.
    ///
    /// # Errors
    /// [`NoFreeSubnet`] when every candidate overlaps something in `taken`.
    pub fn choose(seed: &str, taken: &[IpNet]) -> Result<Self, NoFreeSubnet> {
        let hash: [u8; 32] = Sha256::digest(seed.as_bytes()).into();
        let start = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        let v4 = (0..CANDIDATES)
            .map(|step| candidate(start.wrapping_add(step) % CANDIDATES))
            .find(|net| !overlaps(net, &CROWDED) && !taken.iter().any(|t| clashes(net, t)))
            .ok_or(NoFreeSubnet)?;
        // fd, 40 random bits, subnet 0: what RFC 4193 asks for, except that our randomness is the
        // seed. 2^-40 is small enough to take without looking at what is there.
        let mut octets = [0; 16];
        octets[0] = 0xfd;
        octets[1..6].copy_from_slice(&hash[4..9]);
        Ok(Self {
            v4,
            v6: Ipv6Net::new_assert(Ipv6Addr::from(octets), 64),
        })
    }

    /// The IPv4 network.
    #[must_use]
    pub fn v4(&self) -> Ipv4Net {
        self.v4
    }

    /// The IPv6 network.
    #[must_use]
    pub fn v6(&self) -> Ipv6Net {
        self.v6
    }

    /// The bridge's IPv4 address: gateway, name server and host of published ports.
    #[must_use]
    pub fn gateway_v4(&self) -> Ipv4Addr {
        self.nth_v4(1)
    }

    /// The bridge's IPv6 address.
    #[must_use]
    pub fn gateway_v6(&self) -> Ipv6Addr {
        self.nth_v6(1)
    }

    /// The bridge's hardware address. Fixed, because a bridge that is given none takes its lowest
    /// port's, and would change it under its neighbours as containers come and go.
    #[must_use]
    pub fn gateway_mac(&self) -> [u8; 6] {
        self.mac(1)
    }

    /// What belongs to the service with this index; `None` past the 4093rd.
    #[must_use]
    pub fn seat(&self, index: u32) -> Option<Seat> {
        let nth = FIRST.checked_add(index)?;
        // The last address is the broadcast address.
        (nth < (1 << (32 - PREFIX)) - 1).then(|| Seat {
            v4: self.nth_v4(nth),
            v6: self.nth_v6(nth),
            mac: self.mac(nth),
        })
    }

    fn nth_v4(&self, nth: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.v4.network()) + nth)
    }

    fn nth_v6(&self, nth: u32) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(self.v6.network()) + u128::from(nth))
    }

    fn mac(&self, nth: u32) -> [u8; 6] {
        let [a, b, c, d] = self.nth_v4(nth).octets();
        [0x02, 0xc0, a, b, c, d]
    }
}

fn candidate(number: u32) -> Ipv4Net {
    let base = u32::from(Ipv4Addr::new(10, 0, 0, 0)) + (number << (32 - PREFIX));
    Ipv4Net::new_assert(Ipv4Addr::from(base), PREFIX)
}

fn overlaps(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

/// A route as wide as 10.0.0.0/8 is a VPN's claim to everything, not a neighbour: our /20 is more
/// specific and wins, and treating it as taken would leave no room at all.
fn clashes(net: &Ipv4Net, taken: &IpNet) -> bool {
    match taken {
        IpNet::V4(taken) => taken.prefix_len() > 8 && overlaps(net, taken),
        IpNet::V6(_) => false,
    }
}

//! Names, addresses and ways: what the document says of hosts, turned into a routing table, a
//! firewall and certificates.
//!
//! ```text
//! network  one_for_one
//! ├─ edge       builds the routing table and hands it to the heart   edge.rs
//! └─ forwards   builds the firewall and applies it                   forwards.rs
//! ```
//!
//! Invariants: both are functions of the document and of the server's own addresses. They may be
//! computed again at any time, and the last one wins. What a package declares can cost that package
//! its names or ports, said in a notice, and never anybody else's.

mod edge;
mod forwards;
mod leaves;
mod links;
mod notices;
mod outbound;
mod table;

pub use edge::{EdgeActor, Publish};
pub use forwards::ForwardsActor;
pub use leaves::{Asked, Leaves, Wanted};
pub use notices::{Notices, Watch};
pub use table::Listening;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{PoisonError, RwLock},
};

use coppice_containers::{Address, Network as ContainerLink};
use coppice_net::{subnet::Subnet, table::is_host_name};
use tokio::sync::watch;

use crate::{
    hosts::{BRIDGE_GATEWAY, Gateway, Surroundings},
    model::Allocation,
    problem::{Kind, Problem},
};

/// The server's place in the network, and the bell that says something changed.
#[derive(Debug)]
pub struct Network {
    /// The services' network.
    pub subnet: Subnet,
    /// Name of our bridge.
    pub bridge: String,
    /// First label of the server's name.
    pub hostname: String,
    /// What the edge listens on.
    pub listening: Listening,
    /// What needs somebody's attention.
    pub notices: Notices,
    changed: watch::Sender<u64>,
    links: RwLock<Vec<Gateway>>,
    outbound: RwLock<Option<String>>,
}

impl Network {
    /// A server in `subnet`, called `hostname`.
    #[must_use]
    pub fn new(subnet: Subnet, bridge: String, hostname: String, listening: Listening) -> Self {
        let links = links::read(&bridge);
        Self {
            subnet,
            bridge,
            hostname,
            listening,
            notices: Notices::default(),
            changed: watch::Sender::new(0),
            links: RwLock::new(links),
            outbound: RwLock::new(outbound::read()),
        }
    }

    /// Rings the bell: hosts, services or addresses changed.
    pub fn changed(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Hears the bell.
    #[must_use]
    pub fn hear(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads the machine's addresses again; `true` when they changed.
    pub fn refresh_links(&self) -> bool {
        let found = links::read(&self.bridge);
        let mut known = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *known != found;
        *known = found;
        changed
    }

    /// The interface by which this machine reaches the rest of the world; `None` without a default route.
    #[must_use]
    pub fn outbound(&self) -> Option<String> {
        outbound::read()
    }

    /// Looks at the default route again; `true` when it has changed since the last look.
    pub fn refresh_outbound(&self) -> bool {
        let found = outbound::read();
        let mut known = self
            .outbound
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = *known != found;
        *known = found;
        changed
    }

    /// The links that lead to other machines.
    #[must_use]
    pub fn lan(&self) -> Vec<Gateway> {
        self.links
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The addresses at which other machines reach this one.
    #[must_use]
    pub fn lan_addresses(&self) -> Vec<IpAddr> {
        self.lan()
            .into_iter()
            .flat_map(|gateway| gateway.addresses)
            .collect()
    }

    /// The server on the services' bridge.
    #[must_use]
    pub fn bridge_address(&self) -> Ipv4Addr {
        self.subnet.gateway_v4()
    }

    /// The address of a service's container.
    #[must_use]
    pub fn container_address(&self, given: Allocation) -> Ipv4Addr {
        self.subnet
            .seat(given.host_number)
            .map_or(Ipv4Addr::UNSPECIFIED, |seat| seat.v4)
    }

    /// The link of a service's container.
    ///
    /// # Errors
    /// When more services exist than the subnet has addresses.
    pub fn container_link(&self, given: Allocation) -> Result<ContainerLink, Problem> {
        let seat = self.subnet.seat(given.host_number).ok_or_else(|| {
            Problem::new(
                Kind::Network,
                "the services' network has no address left; uninstall a service",
            )
        })?;
        Ok(ContainerLink {
            bridge: self.bridge.clone(),
            mac: seat.mac,
            ipv4: Some(Address {
                address: seat.v4,
                prefix: coppice_net::subnet::PREFIX,
                gateway: self.subnet.gateway_v4(),
            }),
            ipv6: Some(Address {
                address: seat.v6,
                prefix: 64,
                gateway: self.subnet.gateway_v6(),
            }),
        })
    }

    /// `<hostname>.local`.
    #[must_use]
    pub fn server_name(&self) -> String {
        format!("{}.local", self.hostname)
    }

    /// The name of a service: two labels, since minimal mDNS resolvers refuse more.
    #[must_use]
    pub fn service_name(&self, service: &str) -> String {
        service_name(service, &self.hostname)
    }

    /// What the addresses of a service depend on.
    #[must_use]
    pub fn surroundings(&self, service: &str) -> Surroundings {
        let own = |id: &str, address: Ipv4Addr| Gateway {
            id: id.to_owned(),
            addresses: vec![IpAddr::V4(address)],
            secure: true,
            mdns: false,
        };
        let mut gateways = vec![
            own("lo", Ipv4Addr::LOCALHOST),
            own(BRIDGE_GATEWAY, self.bridge_address()),
        ];
        gateways.extend(self.lan());
        Surroundings {
            gateways,
            server_name: self.server_name(),
            service_name: self.service_name(service),
            https_port: self.listening.https,
        }
    }
}

/// `<service>-<hostname>.local`, the name of a service on a server of that name.
fn service_name(service: &str, hostname: &str) -> String {
    format!("{service}-{hostname}.local")
}

/// Whether a service can be given a name on a server called `hostname`: labels end at 63 characters.
///
/// # Errors
/// When they are too long together, saying what would fit.
pub fn check_service_name(service: &str, hostname: &str) -> Result<(), Problem> {
    if is_host_name(&service_name(service, hostname)) {
        return Ok(());
    }
    let room = 62_usize.saturating_sub(hostname.len());
    Err(Problem::new(
        Kind::InvalidId,
        format!(
            "the id `{service}` is too long for this server: with its name, `{hostname}`, {room} \
             characters fit; start Coppice with a shorter --hostname"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_refused_only_when_no_name_could_be_made_of_it() {
        let hostname = "coppice";
        assert!(check_service_name("hello-world", hostname).is_ok());
        assert!(check_service_name(&"a".repeat(55), hostname).is_ok());
        let problem = check_service_name(&"a".repeat(56), hostname).unwrap_err();
        assert!(
            problem.to_string().contains("55 characters fit"),
            "{problem}"
        );
    }
}

//! Ports and addresses of a service's bindings: `service-abi.md` §8.2 and §8.3 as pure functions.
//!
//! Invariants: a port once assigned to a binding stays with it until the binding's need for it ends
//! or the service is uninstalled; a port that anybody else on this machine uses is never assigned
//! (decision 0015). Nothing here reads the network, except [`bind`], which asks [`machine`] about
//! ports it is about to give.

mod held;
mod machine;
pub mod plugged;
mod ranges;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use crate::{
    host::nft_table,
    model::{
        Addresses, BindInfo, BindNet, BindOptions, Host, HostnameInfo, HostnameMetadata,
        InterfaceType, Secure,
    },
};
use machine::Machine;

pub use held::{free_unused, with_ports};
pub use ranges::{Range, RangeRefused, bind_range_where};

/// The id of the services' bridge in addresses. The SDK compares this very string.
pub const BRIDGE_GATEWAY: &str = "lxcbr0";

/// Ports that no service is ever given: mDNS, LLMNR, PostgreSQL, Tor.
const RESERVED_PORTS: [u16; 6] = [5353, 5355, 5432, 6010, 9050, 9051];

/// Where ports come from when the wanted one cannot be had.
const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_534;

/// A way by which this server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Interface name; [`BRIDGE_GATEWAY`] for our bridge.
    pub id: String,
    /// The server's own addresses on it.
    pub addresses: Vec<IpAddr>,
    /// Whether plain protocols may be offered on it: loopback and the bridge.
    pub secure: bool,
    /// Whether `.local` names are published on it.
    pub mdns: bool,
}

/// Which external ports are taken, and by which service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortPool {
    /// Services by port.
    pub taken: BTreeMap<u16, String>,
    /// Name of the server: two servers on one machine look for ports in different places.
    pub server: String,
}

/// No port is left to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every port from 49152 to 65534 is taken; uninstall a service that binds many ports")]
pub struct PortsExhausted;

/// What a port is for, and so which of its sockets must be nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// The kernel leads it into a container, TCP and UDP alike.
    Anything,
    /// Our edge listens on it, on TCP.
    Tls,
}

/// Who has a port already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody may have it: it is below 1025, or known for something else.
    Convention,
    /// One of our services.
    Service(String),
    /// A program that has bound it; Coppice itself, too.
    Program,
    /// Another Coppice server on this machine publishes it.
    Server,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Convention => f.write_str("such ports are given to no service"),
            Self::Service(id) => write!(f, "the service `{id}` has it"),
            Self::Program => f.write_str("a program on this machine uses it"),
            Self::Server => f.write_str("another Coppice server on this machine publishes it"),
        }
    }
}

/// Asks who besides our own services uses a port.
pub type Ask<'a> = dyn FnMut(u16, Serves) -> Option<Holder> + 'a;

/// A port that was given, and why it is not the wanted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The port.
    pub port: u16,
    /// The wanted one with who has it, when that is another.
    pub instead_of: Option<(u16, Holder)>,
}

impl PortPool {
    /// Gives `wanted` when it is above 1024 and nobody has it, else the first free dynamic port from
    /// a place that depends on server and owner.
    ///
    /// # Errors
    /// [`PortsExhausted`] when no dynamic port is left.
    pub fn take(
        &mut self,
        wanted: u16,
        serves: Serves,
        owner: &str,
        elsewhere: &mut Ask<'_>,
    ) -> Result<Given, PortsExhausted> {
        let mut holder = |port: u16| self.holder(port).or_else(|| elsewhere(port, serves));
        let (port, instead_of) = match holder(wanted) {
            None => (wanted, None),
            Some(why) => {
                let span = usize::from(DYNAMIC_PORTS.end() - DYNAMIC_PORTS.start()) + 1;
                let seed = blake3::hash(format!("{}:{owner}:{wanted}", self.server).as_bytes());
                let [high, low, ..] = *seed.as_bytes();
                let first = usize::from(u16::from_be_bytes([high, low]));
                let port = DYNAMIC_PORTS
                    .cycle_from(first % span)
                    .find(|port| holder(*port).is_none())
                    .ok_or(PortsExhausted)?;
                (port, Some((wanted, why)))
            }
        };
        self.taken.insert(port, owner.to_owned());
        Ok(Given { port, instead_of })
    }

    fn holder(&self, port: u16) -> Option<Holder> {
        if port <= 1024 || RESERVED_PORTS.contains(&port) {
            return Some(Holder::Convention);
        }
        self.taken.get(&port).cloned().map(Holder::Service)
    }

    /// Gives back one port.
    pub fn free(&mut self, port: u16) {
        self.taken.remove(&port);
    }
}

/// A range walked once round from an offset.
trait CycleFrom {
    fn cycle_from(self, offset: usize) -> impl Iterator<Item = u16>;
}

impl CycleFrom for std::ops::RangeInclusive<u16> {
    fn cycle_from(self, offset: usize) -> impl Iterator<Item = u16> {
        self.clone().skip(offset).chain(self.take(offset))
    }
}

/// Which kinds of port a binding needs: `(plain, tls)`.
#[must_use]
pub const fn ports_needed(options: &BindOptions) -> (bool, bool) {
    let passthrough_only =
        matches!(options.secure, Some(Secure { ssl: true })) && options.add_ssl.is_some();
    (!passthrough_only, options.add_ssl.is_some())
}

/// Declares a binding on this machine: see [`bind_where`]. Says in the log which wanted port was
/// not to be had, and why.
///
/// # Errors
/// [`PortsExhausted`]; the host is unchanged then.
pub fn bind(
    host: &mut Host,
    owner: &str,
    internal_port: u16,
    options: BindOptions,
    pool: &mut PortPool,
) -> Result<(), PortsExhausted> {
    let mut machine = Machine::around(nft_table(&pool.server));
    let mut elsewhere = |port, serves| machine.holder(port, serves);
    let given = bind_where(host, owner, internal_port, options, pool, &mut elsewhere)?;
    for Given { port, instead_of } in given {
        match instead_of {
            // Every web page wants 443 or 80, and its name leads there whatever its port.
            None | Some((_, Holder::Convention)) => {
                tracing::debug!(service = owner, port, "a port was given");
            }
            Some((wanted, why)) => tracing::warn!(
                service = owner,
                wanted,
                given = port,
                "the wanted port is not free: {why}"
            ),
        }
    }
    Ok(())
}

/// Declares a range of ports on this machine: see [`bind_range_where`].
///
/// # Errors
/// [`RangeRefused`]; host and pool are unchanged then.
pub fn bind_range(
    host: &mut Host,
    owner: &str,
    range: Range,
    pool: &mut PortPool,
) -> Result<(), RangeRefused> {
    let mut machine = Machine::around(nft_table(&pool.server));
    let mut elsewhere = |port, serves| machine.holder(port, serves);
    bind_range_where(host, owner, range, pool, &mut elsewhere)
}

/// Declares a binding: enabled, options replaced, ports kept or given, the rest untouched. Ports
/// that it has are not asked about again. Returns those that were given now.
///
/// # Errors
/// [`PortsExhausted`]; host and pool are unchanged then.
pub fn bind_where(
    host: &mut Host,
    owner: &str,
    internal_port: u16,
    options: BindOptions,
    pool: &mut PortPool,
    elsewhere: &mut Ask<'_>,
) -> Result<Vec<Given>, PortsExhausted> {
    let mut net = host
        .bindings
        .get(&internal_port)
        .map_or_else(BindNet::default, |bound| bound.net);
    let (plain, tls) = ports_needed(&options);
    let wanted_tls = options
        .add_ssl
        .as_ref()
        .map_or(443, |ssl| ssl.preferred_external_port);
    let mut updated = pool.clone();
    let mut given = Vec::new();
    for (held, needed, wanted, serves) in [
        (
            &mut net.assigned_port,
            plain,
            options.preferred_external_port,
            Serves::Anything,
        ),
        (&mut net.assigned_ssl_port, tls, wanted_tls, Serves::Tls),
    ] {
        match (*held, needed) {
            (Some(_), true) | (None, false) => {}
            (None, true) => {
                let one = updated.take(wanted, serves, owner, elsewhere)?;
                *held = Some(one.port);
                given.push(one);
            }
            (Some(port), false) => {
                updated.free(port);
                *held = None;
            }
        }
    }
    *pool = updated;

    let bound = host
        .bindings
        .entry(internal_port)
        .or_insert_with(|| BindInfo {
            enabled: true,
            options: options.clone(),
            net,
            addresses: Addresses::default(),
            interfaces: BTreeMap::new(),
        });
    bound.enabled = true;
    bound.options = options;
    bound.net = net;
    Ok(given)
}

/// What the addresses of a service depend on besides its own bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The ways by which this server is reached.
    pub gateways: Vec<Gateway>,
    /// `<hostname>.local`.
    pub server_name: String,
    /// `<instance>-<hostname>.local`: the service's own name.
    pub service_name: String,
    /// The port that serves names over HTTPS.
    pub https_port: u16,
}

/// Recomputes every binding's list of addresses; plugin entries stay as they are.
pub fn refresh_addresses(hosts: &mut BTreeMap<String, Host>, around: &Surroundings) {
    let named = named_binding(hosts);
    for (host_id, host) in hosts {
        for (port, bound) in &mut host.bindings {
            let mut available = if bound.enabled {
                available(bound, around)
            } else {
                Vec::new()
            };
            if bound.enabled && named.as_ref() == Some(&(host_id.clone(), *port)) {
                available.insert(
                    0,
                    mdns(&around.service_name, around.https_port, true, around),
                );
            }
            let plugins = bound.addresses.available.iter();
            available.extend(
                plugins
                    .filter(|entry| matches!(entry.metadata, HostnameMetadata::Plugin { .. }))
                    .cloned(),
            );
            bound.addresses.available = available;
        }
        for range in host.binding_ranges.values_mut() {
            range.addresses.available = match range.enabled {
                true => available_range(range.external_start_port, around),
                false => Vec::new(),
            };
        }
    }
}

/// The binding that the service's own name leads to: the first `ui` interface behind our TLS.
#[must_use]
pub fn named_binding(hosts: &BTreeMap<String, Host>) -> Option<(String, u16)> {
    hosts.iter().find_map(|(host_id, host)| {
        let (port, _) = host.bindings.iter().find(|(_, bound)| {
            bound.enabled
                && bound.net.assigned_ssl_port.is_some()
                && bound
                    .interfaces
                    .values()
                    .any(|one| one.kind == InterfaceType::Ui)
        })?;
        Some((host_id.clone(), *port))
    })
}

fn available(bound: &BindInfo, around: &Surroundings) -> Vec<HostnameInfo> {
    let secure = bound.options.secure;
    let mut list = Vec::new();
    for gateway in &around.gateways {
        for address in &gateway.addresses {
            if let Some(port) = bound.net.assigned_port
                && (secure.is_some() || gateway.secure)
            {
                list.push(at(
                    *address,
                    gateway,
                    port,
                    secure.is_some_and(|own| own.ssl),
                ));
            }
            if let Some(port) = bound.net.assigned_ssl_port {
                list.push(at(*address, gateway, port, true));
            }
        }
    }
    if around.gateways.iter().any(|gateway| gateway.mdns) {
        if let (Some(port), Some(own)) = (bound.net.assigned_port, secure) {
            list.push(mdns(&around.server_name, port, own.ssl, around));
        }
        if let Some(port) = bound.net.assigned_ssl_port {
            list.push(mdns(&around.server_name, port, true, around));
        }
    }
    list
}

/// Where a range can be reached: it speaks for itself, so nothing is said of TLS.
fn available_range(port: u16, around: &Surroundings) -> Vec<HostnameInfo> {
    let gateways = around.gateways.iter();
    let mut list: Vec<HostnameInfo> = gateways
        .flat_map(|gateway| {
            let addresses = gateway.addresses.iter();
            addresses.map(move |address| at(*address, gateway, port, false))
        })
        .collect();
    if around.gateways.iter().any(|gateway| gateway.mdns) {
        list.push(mdns(&around.server_name, port, false, around));
    }
    list
}

fn at(address: IpAddr, gateway: &Gateway, port: u16, ssl: bool) -> HostnameInfo {
    let metadata = match address {
        IpAddr::V4(_) => HostnameMetadata::Ipv4 {
            gateway: gateway.id.clone(),
        },
        IpAddr::V6(_) => HostnameMetadata::Ipv6 {
            gateway: gateway.id.clone(),
            scope_id: 0,
        },
    };
    HostnameInfo {
        ssl,
        public: false,
        hostname: address.to_string(),
        port: Some(port),
        metadata,
    }
}

fn mdns(name: &str, port: u16, ssl: bool, around: &Surroundings) -> HostnameInfo {
    let published = around.gateways.iter().filter(|gateway| gateway.mdns);
    HostnameInfo {
        ssl,
        public: false,
        hostname: name.to_owned(),
        port: Some(port),
        metadata: HostnameMetadata::Mdns {
            gateways: published.map(|gateway| gateway.id.clone()).collect(),
        },
    }
}

#[cfg(test)]
mod tests;

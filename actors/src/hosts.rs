//! Ports and addresses of a service's bindings: `service-abi.md` §8.2 and §8.3 as pure functions.
//!
//! Invariant: a port once assigned to a binding stays with it until the binding's need for it ends
//! or the service is uninstalled. Nothing here reads the network: the caller passes what it found.

use std::{collections::BTreeMap, net::IpAddr};

use crate::model::{
    Addresses, BindInfo, BindNet, BindOptions, Host, HostnameInfo, HostnameMetadata, InterfaceType,
    Secure,
};

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

impl PortPool {
    /// Gives `wanted` when it is free and above 1024, else the first free dynamic port from a
    /// place that depends on server and owner.
    ///
    /// # Errors
    /// [`PortsExhausted`] when no dynamic port is left.
    pub fn take(&mut self, wanted: u16, owner: &str) -> Result<u16, PortsExhausted> {
        let free = |port: u16| !self.taken.contains_key(&port) && !RESERVED_PORTS.contains(&port);
        let port = if wanted > 1024 && free(wanted) {
            wanted
        } else {
            let span = usize::from(DYNAMIC_PORTS.end() - DYNAMIC_PORTS.start()) + 1;
            let seed = blake3::hash(format!("{}:{owner}:{wanted}", self.server).as_bytes());
            let first = usize::from(u16::from_be_bytes([seed.as_bytes()[0], seed.as_bytes()[1]]));
            DYNAMIC_PORTS
                .cycle_from(first % span)
                .find(|port| free(*port))
                .ok_or(PortsExhausted)?
        };
        self.taken.insert(port, owner.to_owned());
        Ok(port)
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

/// Declares a binding: enabled, options replaced, ports kept or given, the rest untouched.
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
    let mut net = host
        .bindings
        .get(&internal_port)
        .map_or_else(BindNet::default, |bound| bound.net);
    let (plain, tls) = ports_needed(&options);
    let mut updated = pool.clone();
    net.assigned_port = settle(
        net.assigned_port,
        plain,
        options.preferred_external_port,
        owner,
        &mut updated,
    )?;
    let wanted_tls = options
        .add_ssl
        .as_ref()
        .map_or(443, |ssl| ssl.preferred_external_port);
    net.assigned_ssl_port = settle(net.assigned_ssl_port, tls, wanted_tls, owner, &mut updated)?;
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
    Ok(())
}

fn settle(
    held: Option<u16>,
    needed: bool,
    wanted: u16,
    owner: &str,
    pool: &mut PortPool,
) -> Result<Option<u16>, PortsExhausted> {
    match (held, needed) {
        (Some(port), true) => Ok(Some(port)),
        (None, true) => pool.take(wanted, owner).map(Some),
        (Some(port), false) => {
            pool.free(port);
            Ok(None)
        }
        (None, false) => Ok(None),
    }
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

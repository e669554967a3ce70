//! The routing table and the listening sockets, from what the document says. Pure.
//!
//! Invariant: what is built passes [`RoutingTable::check`], whatever packages declare. A name or a
//! port of a service that cannot be served is left out, and said to be.

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use coppice_heart::{Listener, Proto};
use coppice_net::table::{
    Certificate, Dns, ListenerRole, ProxyMode, Record, Role, Route, RoutingTable, Target,
    is_host_name,
};

use super::Network;
use crate::{
    hosts::named_binding,
    model::{BindInfo, PackageEntry},
};

/// What the edge listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address of all listeners but those on the bridge.
    pub address: IpAddr,
    /// Port of plain HTTP.
    pub http: u16,
    /// Port of HTTPS.
    pub https: u16,
    /// Port of our name server; on the services' bridge it is always 53.
    pub dns: u16,
}

/// One service as the table sees it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) address: Ipv4Addr,
    pub(super) entry: PackageEntry,
}

/// What was made of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Built {
    pub(super) listeners: Vec<Listener>,
    pub(super) table: RoutingTable,
    /// What could not be served, one sentence each.
    pub(super) left_out: Vec<String>,
}

impl Listening {
    /// The ports that are Coppice's own.
    pub(super) fn ports(&self) -> [u16; 3] {
        [self.http, self.https, self.dns]
    }
}

impl Service {
    /// Its names on the bridge that can stand in DNS.
    fn bridge_names(&self) -> impl Iterator<Item = String> {
        let names = ZONES.map(|zone| format!("{}.{zone}", self.id));
        names.into_iter().filter(|name| is_host_name(name))
    }

    /// The name other machines know it by, when it can have one.
    fn lan_name(&self, network: &Network) -> Option<String> {
        Some(network.service_name(&self.id)).filter(|name| is_host_name(name))
    }
}

/// The zones in which packages find each other.
const ZONES: [&str; 2] = ["startos", "embassy"];

/// The certificates that a table needs: for each key, the names and addresses in it.
pub(super) fn wanted_leaves(
    network: &Network,
    services: &[Service],
) -> BTreeMap<String, (Vec<String>, Vec<IpAddr>)> {
    let mut own = vec![
        network.server_name(),
        network.hostname.clone(),
        "localhost".to_owned(),
        "startos".to_owned(),
    ];
    own.dedup();
    let mut addresses = vec![
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(network.bridge_address()),
    ];
    addresses.extend(network.lan_addresses());
    let mut wanted = BTreeMap::from([("server".to_owned(), (own, addresses))]);
    for service in services {
        let mut names = Vec::from_iter(service.lan_name(network));
        names.extend(service.bridge_names().take(1));
        if !names.is_empty() {
            wanted.insert(format!("service {}", service.id), (names, Vec::new()));
        }
    }
    wanted
}

/// Listeners and table.
pub(super) fn build(
    network: &Network,
    services: &[Service],
    certificates: Vec<Certificate>,
    upstreams: Vec<SocketAddr>,
    ca_pem: &str,
    generation: u64,
) -> Built {
    let listening = &network.listening;
    let mut sockets = Sockets::default();
    sockets.add(
        Proto::Tcp,
        SocketAddr::new(listening.address, listening.http),
        Role::Http,
    );
    sockets.add(
        Proto::Tcp,
        SocketAddr::new(listening.address, listening.https),
        Role::Https,
    );
    let bridge = IpAddr::V4(network.bridge_address());
    for addr in [
        SocketAddr::new(listening.address, listening.dns),
        SocketAddr::new(bridge, 53),
    ] {
        // A name server on every address at port 53 answers on the bridge too.
        let covered =
            addr.ip() == bridge && listening.dns == 53 && listening.address.is_unspecified();
        if !covered {
            sockets.add(Proto::Udp, addr, Role::Dns);
            sockets.add(Proto::Tcp, addr, Role::Dns);
        }
    }
    let dashboard_names = vec![
        network.server_name(),
        network.hostname.clone(),
        "localhost".to_owned(),
    ];
    let mut dashboard_route = dashboard_names.clone();
    dashboard_route.push(bridge.to_string());
    dashboard_route.extend(network.lan_addresses().iter().map(IpAddr::to_string));
    dashboard_route.push(Ipv4Addr::LOCALHOST.to_string());
    let mut routes = vec![Route {
        names: dashboard_route,
        listener: None,
        target: Target::Dashboard,
    }];
    let mut left_out = Vec::new();
    for service in services {
        routes.extend(service_routes(
            network,
            service,
            &mut sockets,
            &mut left_out,
        ));
    }
    keep_what_is_certified(&mut routes, &certificates, &mut left_out);
    let table = RoutingTable {
        generation,
        hostname: network.hostname.clone(),
        dashboard_names,
        listeners: sockets.roles,
        certificates,
        routes,
        dns: dns(network, services, upstreams),
        mdns: mdns(network, services),
        ca_pem: ca_pem.to_owned(),
    };
    Built {
        listeners: sockets.listeners,
        table,
        left_out,
    }
}

/// Leaves out names without a certificate, and those that lead somewhere already.
fn keep_what_is_certified(
    routes: &mut Vec<Route>,
    certificates: &[Certificate],
    left_out: &mut Vec<String>,
) {
    let names = certificates.iter().flat_map(|one| &one.names);
    let certified: HashSet<&str> = names.map(String::as_str).collect();
    let mut seen = HashSet::new();
    for route in &mut *routes {
        route.names.retain(|name| {
            let is_certified = certified.contains(name.as_str());
            if !is_certified {
                left_out.push(format!(
                    "{name} is not served: there is no certificate for it. The log says why."
                ));
            }
            is_certified && seen.insert(name.clone())
        });
    }
    routes.retain(|route| !route.names.is_empty());
}

#[derive(Default)]
struct Sockets {
    listeners: Vec<Listener>,
    roles: Vec<ListenerRole>,
}

impl Sockets {
    /// Whether one of the sockets has this port, on whatever address.
    fn have(&self, proto: Proto, port: u16) -> bool {
        let mut all = self.listeners.iter();
        all.any(|one| one.proto == proto && one.addr.port() == port)
    }

    fn add(&mut self, proto: Proto, addr: SocketAddr, role: Role) {
        let name = match proto {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
        };
        let id = format!("{name} {addr}");
        self.listeners.push(Listener {
            id: id.clone(),
            proto,
            addr,
        });
        self.roles.push(ListenerRole { id, role });
    }
}

fn service_routes(
    network: &Network,
    service: &Service,
    sockets: &mut Sockets,
    left_out: &mut Vec<String>,
) -> Vec<Route> {
    let mut routes = Vec::new();
    let named = named_binding(&service.entry.hosts);
    for (host_id, host) in &service.entry.hosts {
        for (port, bound) in host.bindings.iter().filter(|(_, bound)| bound.enabled) {
            if let Some(protection) = protection_that_is_missing(bound) {
                left_out.push(format!(
                    "Port {port} of `{}` is not served over TLS: its package asks for {protection}, which this \
                     version of Coppice does not do.",
                    service.id
                ));
                continue;
            }
            let target = target(service, *port, bound);
            // Without an interface a port is for other packages only, and those take the bridge.
            if let (Some(external), false) =
                (bound.net.assigned_ssl_port, bound.interfaces.is_empty())
            {
                let addr = SocketAddr::new(network.listening.address, external);
                let role = Role::Tls {
                    port_route: target.clone(),
                };
                if sockets.have(Proto::Tcp, external) {
                    left_out.push(own_port_taken(&service.id, external));
                } else {
                    sockets.add(Proto::Tcp, addr, role);
                }
            }
            if named.as_ref() == Some(&(host_id.clone(), *port)) {
                match service.lan_name(network) {
                    Some(name) => routes.push(Route {
                        names: vec![name],
                        listener: None,
                        target,
                    }),
                    None => left_out.push(format!(
                        "`{}` has no name on the network: {} is longer than names may be. Start \
                         Coppice with a shorter --hostname.",
                        service.id,
                        network.service_name(&service.id)
                    )),
                }
            }
        }
    }
    routes
}

/// What a binding asks Coppice to do in front of it and Coppice cannot. Its port stays closed: without
/// the lock that was asked for, or with nobody who understands it, it is better so.
fn protection_that_is_missing(bound: &BindInfo) -> Option<&'static str> {
    let tls = bound.options.add_ssl.as_ref()?;
    if tls.auth.is_some() {
        return Some("credentials in front of it (`addSsl.auth`)");
    }
    let speaks_tls = bound.options.secure.is_some_and(|own| own.ssl);
    speaks_tls.then_some("TLS in front of its own TLS (`addSsl` with `secure.ssl`)")
}

/// The notice of a service whose port Coppice itself listens on, since it was told to later.
pub(super) fn own_port_taken(service: &str, port: u16) -> String {
    format!(
        "Port {port} of `{service}` is not served: Coppice itself listens on it. Start Coppice with \
         other ports, or reinstall the service."
    )
}

fn target(service: &Service, port: u16, bound: &BindInfo) -> Target {
    let tls = bound.options.add_ssl.as_ref();
    let schemes = bound
        .interfaces
        .values()
        .filter_map(|one| one.address_info.scheme.as_deref());
    let speaks_http = schemes
        .into_iter()
        .any(|scheme| matches!(scheme, "http" | "ws"));
    let forwarded = tls.is_some_and(|tls| tls.add_x_forwarded_headers);
    Target::Proxy {
        addr: SocketAddr::new(IpAddr::V4(service.address), port),
        mode: if speaks_http || forwarded {
            ProxyMode::Http {
                forwarded_headers: forwarded,
            }
        } else {
            ProxyMode::Raw
        },
    }
}

fn dns(network: &Network, services: &[Service], upstreams: Vec<SocketAddr>) -> Dns {
    let bridge = IpAddr::V4(network.bridge_address());
    let mut records = vec![
        Record {
            name: "startos".into(),
            addresses: vec![bridge],
        },
        Record {
            name: "embassy".into(),
            addresses: vec![bridge],
        },
    ];
    records.extend(mdns(network, services));
    for service in services {
        let address = vec![IpAddr::V4(service.address)];
        for name in service.bridge_names() {
            records.push(Record {
                name,
                addresses: address.clone(),
            });
        }
    }
    let clients = [
        "127.0.0.0/8".to_owned(),
        network.subnet.v4().to_string(),
        network.subnet.v6().to_string(),
    ];
    Dns {
        records,
        zones: ZONES.map(str::to_owned).to_vec(),
        upstreams,
        clients: clients.iter().filter_map(|net| net.parse().ok()).collect(),
    }
}

/// The names that other machines use, and where they lead; on a machine without a network, to
/// itself.
fn mdns(network: &Network, services: &[Service]) -> Vec<Record> {
    let mut addresses = network.lan_addresses();
    if addresses.is_empty() {
        addresses.push(network.listening.address);
    }
    addresses.retain(|address| !address.is_unspecified());
    if addresses.is_empty() {
        addresses.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let mut names = vec![network.server_name()];
    let with_interface = services
        .iter()
        .filter(|service| named_binding(&service.entry.hosts).is_some());
    names.extend(with_interface.filter_map(|service| service.lan_name(network)));
    names
        .into_iter()
        .map(|name| Record {
            name,
            addresses: addresses.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;

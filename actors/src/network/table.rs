//! The routing table and the listening sockets, from what the document says. Pure.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use coppice_heart::{Listener, Proto};
use coppice_net::table::{
    Certificate, Dns, ListenerRole, ProxyMode, Record, Role, Route, RoutingTable, Target,
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
        let names = vec![
            network.service_name(&service.id),
            format!("{}.startos", service.id),
        ];
        wanted.insert(format!("service {}", service.id), (names, Vec::new()));
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
) -> (Vec<Listener>, RoutingTable) {
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
    for service in services {
        routes.extend(service_routes(network, service, &mut sockets));
    }
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
    (sockets.listeners, table)
}

#[derive(Default)]
struct Sockets {
    listeners: Vec<Listener>,
    roles: Vec<ListenerRole>,
}

impl Sockets {
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

fn service_routes(network: &Network, service: &Service, sockets: &mut Sockets) -> Vec<Route> {
    let mut routes = Vec::new();
    let named = named_binding(&service.entry.hosts);
    for (host_id, host) in &service.entry.hosts {
        for (port, bound) in host.bindings.iter().filter(|(_, bound)| bound.enabled) {
            let target = target(service, *port, bound);
            // Without an interface a port is for other packages only, and those take the bridge.
            if let (Some(external), false) =
                (bound.net.assigned_ssl_port, bound.interfaces.is_empty())
            {
                let addr = SocketAddr::new(network.listening.address, external);
                sockets.add(
                    Proto::Tcp,
                    addr,
                    Role::Tls {
                        port_route: target.clone(),
                    },
                );
            }
            if named.as_ref() == Some(&(host_id.clone(), *port)) {
                routes.push(Route {
                    names: vec![network.service_name(&service.id)],
                    listener: None,
                    target,
                });
            }
        }
    }
    routes
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
        for zone in ["startos", "embassy"] {
            let name = format!("{}.{zone}", service.id);
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
        zones: vec!["startos".into(), "embassy".into()],
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
    names.extend(with_interface.map(|service| network.service_name(&service.id)));
    names
        .into_iter()
        .map(|name| Record {
            name,
            addresses: addresses.clone(),
        })
        .collect()
}

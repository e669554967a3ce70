//! The actor that keeps the firewall true.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use coppice_containers::{Finding, Leftover};
use coppice_net::firewall::{
    self, Allow, Firewall, FirewallError, Forward, Port, PortRange, Proto, Scope,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{Watch, table::own_port_taken};
use crate::{
    host::Host,
    model::{HostnameMetadata, PackageEntry, ReceiptOf},
    relay::relay,
};

/// As for the table: one firewall for a burst of changes.
const GATHER: Duration = Duration::from_millis(30);

/// Messages of the firewall's actor.
#[derive(Debug)]
pub enum ForwardsMsg {
    /// Something changed.
    Changed,
    /// The burst is over: build and apply.
    Apply,
}

/// Keeps the firewall true; see the module.
#[derive(Debug)]
pub struct ForwardsActor;

/// What the firewall's actor keeps.
#[derive(Debug)]
pub struct ForwardsState {
    host: Arc<Host>,
    gathering: bool,
    applied: Option<Firewall>,
    /// How often in a row the rules could not be put in place.
    failures: u32,
}

impl Actor for ForwardsActor {
    type Msg = ForwardsMsg;
    type State = ForwardsState;
    type Arguments = Arc<Host>;

    async fn pre_start(
        &self,
        myself: ActorRef<ForwardsMsg>,
        host: Arc<Host>,
    ) -> Result<ForwardsState, ActorProcessingErr> {
        relay(host.network.hear(), &myself, || ForwardsMsg::Changed);
        myself.send_message(ForwardsMsg::Apply)?;
        Ok(ForwardsState {
            host,
            gathering: false,
            applied: None,
            failures: 0,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ForwardsMsg>,
        message: ForwardsMsg,
        state: &mut ForwardsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ForwardsMsg::Changed if state.gathering => {}
            ForwardsMsg::Changed => {
                state.gathering = true;
                myself.send_after(GATHER, || ForwardsMsg::Apply);
            }
            ForwardsMsg::Apply => {
                state.gathering = false;
                if let Some(again) = state.apply().await {
                    myself.send_after(again, || ForwardsMsg::Apply);
                }
            }
        }
        Ok(())
    }
}

impl ForwardsState {
    /// Makes the kernel's rules what the document asks for; when to try again, if that failed.
    ///
    /// A failure is a notice and not one of this actor: it is `nft`'s or the kernel's, so a successor would fail as
    /// well, and a core that ends for it would take along what works. The rules from before stay in force, and under
    /// them a container that is new passes nothing.
    async fn apply(&mut self) -> Option<Duration> {
        let host = Arc::clone(&self.host);
        let (wanted, mut notices) = build(&host);
        let mut again = None;
        if self.applied.as_ref() != Some(&wanted) {
            match self.put_in_place(&wanted).await {
                Ok(()) => {
                    self.applied = Some(wanted);
                    self.failures = 0;
                }
                Err(error) => {
                    again = Some(next_try(self.failures));
                    self.failures = self.failures.saturating_add(1);
                    notices.push(format!(
                        "Ports and rules between services are as they were before the last changes: {error}. It is \
                         tried again by itself."
                    ));
                }
            }
        }
        let list = &host.network.notices;
        list.show(&host.document, Watch::Firewall, notices).await;
        again
    }

    async fn put_in_place(&self, wanted: &Firewall) -> Result<(), FirewallError> {
        if self.applied.is_some() {
            return firewall::apply(wanted).await;
        }
        // The first time in this process: what is replaced may be what nobody wanted.
        let before = firewall::listing(&wanted.table).await?;
        firewall::apply(wanted).await?;
        let after = firewall::listing(&wanted.table).await?;
        let found: Vec<Finding> = before
            .into_iter()
            .filter(|rule| !after.contains(rule))
            .map(|what| Finding {
                kind: Leftover::FirewallRule,
                what,
                failure: None,
            })
            .collect();
        if !found.is_empty() {
            let receipt = ReceiptOf::Firewall { found };
            if let Err(problem) = self.host.document.add_receipt(receipt).await {
                tracing::warn!(%problem, "no receipt of the firewall was kept");
            }
        }
        Ok(())
    }
}

/// How long after so many failures in a row the next try is: 1 s, doubled up to a minute.
fn next_try(failures: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60);
    Duration::from_secs(1)
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST)
}

/// The firewall that the document asks for, and what of it cannot be.
fn build(host: &Host) -> (Firewall, Vec<String>) {
    let network = &host.network;
    let packages = host.document.packages();
    let mut ports = Vec::new();
    let mut forwards = Vec::new();
    let mut allow = Vec::new();
    let mut left_out = Vec::new();
    for (id, entry) in &packages {
        let Some(given) = host.document.allocation(id) else {
            continue;
        };
        let (Some(seat), Ok(instance)) = (
            network.subnet.seat(given.host_number),
            coppice_containers::Segment::new(id.as_str()),
        ) else {
            continue;
        };
        ports.push(Port {
            interface: host.layout.veth(&instance),
            seat,
        });
        let wanted = forwards_of(entry, IpAddr::V4(seat.v4));
        let (possible, own) = without_own(wanted, &network.listening.ports());
        forwards.extend(possible);
        left_out.extend(own.into_iter().map(|port| own_port_taken(id, port)));
        allow.extend(
            plugged_into(entry)
                .into_iter()
                .filter_map(|(plugin, ports)| {
                    let given = host.document.allocation(plugin)?;
                    Some(Allow {
                        consumer: network.container_address(given),
                        provider: seat.v4,
                        ports,
                    })
                }),
        );
        for dependency in entry.current_dependencies.keys() {
            let provider = host.document.allocation(dependency);
            allow.extend(provider.map(|given| Allow {
                consumer: seat.v4,
                provider: network.container_address(given),
                ports: Vec::new(),
            }));
        }
    }
    let tls = packages.values().flat_map(tls_ports);
    let host_ports = [network.listening.https, network.listening.http]
        .into_iter()
        .chain(tls);
    let firewall = Firewall {
        table: host.nft_table(),
        bridge: network.bridge.clone(),
        subnet: network.subnet,
        port_prefix: host.layout.veth_prefix(),
        ports,
        masquerade: true,
        forwards,
        allow,
        host_ports: host_ports
            .map(|port| (Proto::Tcp, PortRange::one(port)))
            .collect(),
    };
    (firewall, left_out)
}

/// Ports that the kernel leads into a container. What has no TLS of its own stays on the bridge.
fn forwards_of(entry: &PackageEntry, to: IpAddr) -> Vec<Forward> {
    let mut forwards = Vec::new();
    for host in entry.hosts.values() {
        let ranges = host.binding_ranges.iter().filter(|(_, one)| one.enabled);
        for (to_port, range) in ranges {
            let ports = PortRange::new(range.external_start_port, range.number_of_ports);
            forwards.extend(ports.into_iter().flat_map(|ports| {
                [Proto::Tcp, Proto::Udp].map(|proto| Forward {
                    proto,
                    ports,
                    to,
                    to_port: *to_port,
                    scope: scope(range.interface.is_some()),
                })
            }));
        }
        for (port, bound) in host.bindings.iter().filter(|(_, bound)| bound.enabled) {
            let Some(external) = bound.net.assigned_port else {
                continue;
            };
            let public = bound.options.secure.is_some() && !bound.interfaces.is_empty();
            for proto in [Proto::Tcp, Proto::Udp] {
                forwards.push(Forward {
                    proto,
                    ports: PortRange::one(external),
                    to,
                    to_port: *port,
                    scope: scope(public),
                });
            }
        }
    }
    forwards
}

const fn scope(public: bool) -> Scope {
    if public {
        Scope::Everywhere
    } else {
        Scope::Internal
    }
}

/// The packages that gave this one addresses, with the ports they lead to: a plugin does not depend on
/// what it serves.
fn plugged_into(entry: &PackageEntry) -> BTreeMap<&str, Vec<(Proto, PortRange)>> {
    let mut plugins: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let bindings = entry.hosts.values().flat_map(|host| &host.bindings);
    for (port, bound) in bindings.filter(|(_, bound)| bound.enabled) {
        let ours = bound
            .addresses
            .available
            .iter()
            .filter_map(|address| match &address.metadata {
                HostnameMetadata::Plugin { package_id, .. } => Some(package_id.as_str()),
                _ => None,
            });
        for plugin in ours.collect::<BTreeSet<_>>() {
            let ports = plugins.entry(plugin).or_default();
            ports.push((Proto::Tcp, PortRange::one(*port)));
        }
    }
    plugins
}

/// The forwards without those of ports that Coppice itself listens on, and these ports.
fn without_own(wanted: Vec<Forward>, own: &[u16]) -> (Vec<Forward>, BTreeSet<u16>) {
    let mut left_out = BTreeSet::new();
    let mut possible = wanted;
    possible.retain(|forward| {
        let mut ours = own.iter().filter(|port| forward.ports.contains(**port));
        let is_own = ours.next().copied();
        left_out.extend(is_own);
        is_own.is_none()
    });
    (possible, left_out)
}

fn tls_ports(entry: &PackageEntry) -> Vec<u16> {
    let bindings = entry.hosts.values().flat_map(|host| host.bindings.values());
    bindings
        .filter(|bound| bound.enabled)
        .filter_map(|bound| bound.net.assigned_ssl_port)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_the_kernel_refuses_are_tried_again_after_a_second_and_once_a_minute_in_the_end() {
        let waits: Vec<_> = (0..8).map(|n| next_try(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(next_try(u32::MAX).as_secs(), 60);
    }

    #[test]
    fn a_port_that_coppice_was_told_to_listen_on_later_is_not_led_into_a_container() {
        let forward = |port, proto| Forward {
            proto,
            ports: PortRange::one(port),
            to: IpAddr::from([10, 0, 16, 2]),
            to_port: 80,
            scope: Scope::Everywhere,
        };
        let both = |port| [forward(port, Proto::Tcp), forward(port, Proto::Udp)];
        let wanted = [both(8443), both(22000)].concat();
        let (possible, left_out) = without_own(wanted, &[80, 8443, 53]);
        assert_eq!(possible, both(22000));
        assert_eq!(left_out, BTreeSet::from([8443]));
        let mut range = forward(8400, Proto::Udp);
        range.ports = PortRange::new(8400, 100).unwrap();
        let (possible, left_out) = without_own(vec![range], &[8443]);
        assert_eq!((possible, left_out), (vec![], BTreeSet::from([8443])));
    }

    fn bound(value: serde_json::Value) -> PackageEntry {
        let mut entry = PackageEntry::bare(crate::model::StateInfo::Installed {
            manifest: serde_json::Value::Null,
        });
        let host = serde_json::from_value(value).unwrap();
        entry.hosts.insert("main".into(), host);
        entry
    }

    #[test]
    fn a_range_is_led_to_its_container_and_to_other_machines_only_with_an_interface() {
        let host = |interface: serde_json::Value| {
            serde_json::json!({
                "bindings": {}, "publicDomains": {}, "privateDomains": {}, "portForwards": [],
                "bindingRanges": { "3000": {
                    "enabled": true, "externalStartPort": 50000, "numberOfPorts": 10,
                    "addresses": { "enabled": [], "disabled": [], "guaWan": [], "available": [] },
                    "interface": interface,
                } },
            })
        };
        let to = IpAddr::from([10, 0, 16, 2]);
        let inside = forwards_of(&bound(host(serde_json::Value::Null)), to);
        let found: Vec<_> = inside.iter().map(|one| (one.proto, one.to_port)).collect();
        assert_eq!(found, [(Proto::Tcp, 3000), (Proto::Udp, 3000)]);
        assert!(inside.iter().all(|one| one.scope == Scope::Internal
            && (one.ports.first(), one.ports.last()) == (50_000, 50_009)));
        let named =
            serde_json::json!({ "id": "turn", "name": "TURN", "description": "", "scheme": null });
        let outside = forwards_of(&bound(host(named)), to);
        assert!(outside.iter().all(|one| one.scope == Scope::Everywhere));
    }

    #[test]
    fn a_plugin_reaches_the_ports_it_gave_addresses_to() {
        let address = |plugin: &str| {
            serde_json::json!({ "ssl": false, "public": true, "hostname": "a.onion", "port": 80, "metadata": {
                "kind": "plugin", "packageId": plugin, "removeAction": null, "overflowActions": [], "info": null,
            } })
        };
        let binding = |available: Vec<serde_json::Value>| {
            serde_json::json!({
                "enabled": true, "interfaces": {},
                "options": { "preferredExternalPort": 80, "addSsl": null, "secure": null },
                "net": { "assignedPort": null, "assignedSslPort": null },
                "addresses": { "enabled": [], "disabled": [], "guaWan": [], "available": available },
            })
        };
        let entry = bound(serde_json::json!({
            "bindings": {
                "80": binding(vec![address("tor"), address("tor"), address("i2p")]),
                "81": binding(vec![address("tor")]),
                "82": binding(vec![]),
            },
            "bindingRanges": {}, "publicDomains": {}, "privateDomains": {}, "portForwards": [],
        }));
        let tcp = |port| (Proto::Tcp, PortRange::one(port));
        let wanted = BTreeMap::from([("tor", vec![tcp(80), tcp(81)]), ("i2p", vec![tcp(80)])]);
        assert_eq!(plugged_into(&entry), wanted);
    }
}

//! The actor that keeps the firewall true.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use coppice_net::firewall::{self, Allow, Firewall, Forward, Port, PortRange, Proto, Scope};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{Watch, table::own_port_taken};
use crate::{host::Host, model::PackageEntry, relay::relay};

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
                let (wanted, left_out) = build(&state.host);
                let host = &state.host;
                let notices = &host.network.notices;
                notices
                    .show(&host.document, Watch::Firewall, left_out)
                    .await;
                if state.applied.as_ref() != Some(&wanted) {
                    firewall::apply(&wanted).await?;
                    state.applied = Some(wanted);
                }
            }
        }
        Ok(())
    }
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
                    scope: if public {
                        Scope::Everywhere
                    } else {
                        Scope::Internal
                    },
                });
            }
        }
    }
    forwards
}

/// The forwards without those of ports that Coppice itself listens on, and these ports.
fn without_own(wanted: Vec<Forward>, own: &[u16]) -> (Vec<Forward>, BTreeSet<u16>) {
    let mut left_out = BTreeSet::new();
    let mut possible = wanted;
    possible.retain(|forward| {
        let port = forward.ports.first();
        let is_own = own.contains(&port);
        if is_own {
            left_out.insert(port);
        }
        !is_own
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
    }
}

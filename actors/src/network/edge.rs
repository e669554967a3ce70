//! The actor that keeps the edge's routing table true.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use coppice_clock::Wall;
use coppice_heart::Listener;
use coppice_net::table::RoutingTable;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{
    Wanted, Watch,
    table::{self, Built, Service},
};
use crate::{
    host::Host,
    relay::relay,
    service::{Changed, Watched},
};

/// Changes that come in a burst (a package declares its ports one by one) make one table.
const GATHER: Duration = Duration::from_millis(30);
/// How often the machine's addresses are read and the leaves' ages looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Hands listeners and table to the heart.
pub type Publish = Arc<dyn Fn(Vec<Listener>, RoutingTable) + Send + Sync>;

/// Messages of the edge's actor.
#[derive(Debug)]
pub enum EdgeMsg {
    /// Something changed.
    Changed,
    /// The burst is over: build and publish.
    Publish,
    /// Addresses and ages may have changed.
    LookAgain,
}

/// Keeps the routing table true; see the module.
pub struct EdgeActor;

/// What the edge's actor keeps.
pub struct EdgeState {
    host: Arc<Host>,
    publish: Publish,
    gathering: bool,
    generation: u64,
    published: Option<(Vec<Listener>, RoutingTable)>,
}

impl Actor for EdgeActor {
    type Msg = EdgeMsg;
    type State = EdgeState;
    type Arguments = (Arc<Host>, Publish);

    async fn pre_start(
        &self,
        myself: ActorRef<EdgeMsg>,
        (host, publish): Self::Arguments,
    ) -> Result<EdgeState, ActorProcessingErr> {
        relay(host.network.hear(), &myself, || EdgeMsg::Changed);
        myself.send_interval(LOOK_AGAIN, || EdgeMsg::LookAgain);
        myself.send_message(EdgeMsg::Publish)?;
        Ok(EdgeState {
            host,
            publish,
            gathering: false,
            generation: 0,
            published: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<EdgeMsg>,
        message: EdgeMsg,
        state: &mut EdgeState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EdgeMsg::Changed if state.gathering => {}
            EdgeMsg::Changed => {
                state.gathering = true;
                myself.send_after(GATHER, || EdgeMsg::Publish);
            }
            EdgeMsg::LookAgain => {
                if state.host.network.refresh_links() {
                    state.host.refresh_all_addresses().await;
                }
                tell_what_is_due(&state.host);
                state.build().await;
            }
            EdgeMsg::Publish => {
                state.gathering = false;
                state.build().await;
            }
        }
        Ok(())
    }
}

impl EdgeState {
    /// Publishes the table when it is another than before.
    ///
    /// A table that cannot be published is a notice and no failure of this actor: it comes from what
    /// the document says, so a successor would fail as well, and the one before is still served. It
    /// is tried again at the next look.
    async fn build(&mut self) {
        let host = Arc::clone(&self.host);
        let services: Vec<Service> = host
            .document
            .packages()
            .into_iter()
            .filter_map(|(id, entry)| {
                let given = host.document.allocation(&id)?;
                Some(Service {
                    address: host.network.container_address(given),
                    id,
                    entry,
                })
            })
            .collect();
        let now = Wall::now();
        let mut certificates = Vec::new();
        for (key, (names, addresses)) in table::wanted_leaves(&host.network, &services) {
            match host.leaves.certificate(&key, &names, &addresses, now) {
                Ok(certificate) => certificates.push(certificate),
                Err(problem) => {
                    tracing::warn!(leaf = key, %problem, "there is no certificate for these names");
                }
            }
        }
        let Built {
            listeners,
            mut table,
            mut left_out,
        } = table::build(
            &host.network,
            &services,
            certificates,
            upstreams(&host.network.bridge_address().to_string()),
            host.leaves.root_pem(),
            self.generation,
        );
        if self.published.as_ref() != Some(&(listeners.clone(), table.clone())) {
            match table.check() {
                Ok(()) => {
                    self.generation += 1;
                    table.generation = self.generation;
                    (self.publish)(listeners.clone(), table.clone());
                    self.published = Some((listeners, table));
                }
                Err(error) => left_out.push(format!(
                    "Changes of names and ports are not served: {error}. What was served before still is."
                )),
            }
        }
        let notices = &host.network.notices;
        notices.show(&host.document, Watch::Table, left_out).await;
    }
}

/// Tells packages of what changes without the document: the way out, and certificates that grow old.
fn tell_what_is_due(host: &Host) {
    let way_out_changed = host.network.refresh_outbound();
    let now = Wall::now();
    for service in host.services() {
        let mut changed = Vec::new();
        if way_out_changed {
            changed.push(Changed::One(Watched::OutboundGateway(service.id.clone())));
        }
        let watched = service.watched_certificates();
        // A store that cannot be read says nothing of a certificate's age; the next look asks again.
        let due = |one: &Wanted| host.leaves.is_due(one, now).unwrap_or(false);
        let due = watched.into_iter().filter(due);
        changed.extend(due.map(|one| Changed::One(Watched::Certificate(one))));
        service.fire(&changed);
    }
}

/// The name servers this machine uses, without ourselves.
fn upstreams(own: &str) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .map(str::trim)
        .filter(|address| *address != own)
        .filter_map(|address| Some(SocketAddr::new(address.parse().ok()?, 53)))
        .take(3)
        .collect()
}

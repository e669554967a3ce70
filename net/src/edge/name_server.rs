//! Our name server.
//!
//! Invariant: what is ours is answered to everyone and from the table alone; the rest of the world
//! is asked about only for clients the table lists, so we are no amplifier for strangers.
//!
//! ```text
//!  question ─┬─ a name of the table, or below one of our zones ─► A, AAAA, "no such type",
//!            │                                                    "no such name"
//!            ├─ from a listed client ─► upstream servers, remembered for as long as they say
//!            └─ else ─► refused
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use hickory_server::{
    Server,
    net::runtime::Time,
    proto::rr::{
        LowerName, Name, RData, Record as DnsRecord,
        rdata::{A, AAAA, NS, SOA},
    },
    resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverOpts},
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    store::{
        forwarder::{ForwardConfig, ForwardZoneHandler},
        in_memory::InMemoryZoneHandler,
    },
    zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType},
};
use ipnet::IpNet;
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::watch,
    task::JoinHandle,
};

use crate::table::Dns;

use super::limits::DNS_TCP_IDLE;

/// How long others may remember our answers, in seconds. Addresses in a home change when the
/// router says so, and a service's when it is installed again; half a minute is soon enough to
/// forget and long enough to keep browsers from asking for every picture.
const TTL: u32 = 30;

/// Answers of a connection waiting to be sent.
const TCP_QUEUE: usize = 64;

/// The name server: one set of answers, any number of sockets.
#[derive(Clone)]
pub(super) struct NameServer {
    answers: watch::Sender<Arc<Answers>>,
}

/// What is answered right now.
#[derive(Default)]
struct Answers {
    table: Dns,
    ours: Catalog,
    world: Option<Arc<Catalog>>,
}

impl Default for NameServer {
    fn default() -> Self {
        Self {
            answers: watch::Sender::new(Arc::default()),
        }
    }
}

impl NameServer {
    /// Answers from `table` from now on. What was learnt from upstream servers is kept while the
    /// servers stay the same.
    pub(super) fn obey(&self, table: &Dns) {
        let previous = Arc::clone(&self.answers.borrow());
        if previous.table == *table {
            return;
        }
        let world = if previous.table.upstreams == table.upstreams {
            previous.world.clone()
        } else {
            world(table).map(Arc::new)
        };
        self.answers.send_replace(Arc::new(Answers {
            table: table.clone(),
            ours: ours(table),
            world,
        }));
    }

    /// Answers on a UDP socket until the task is aborted.
    pub(super) fn serve_udp(&self, socket: UdpSocket) -> JoinHandle<()> {
        let mut server = Server::new(self.handler());
        server.register_socket(socket);
        tokio::spawn(run(server))
    }

    /// Answers on a TCP socket until the task is aborted.
    pub(super) fn serve_tcp(&self, socket: TcpListener) -> JoinHandle<()> {
        let mut server = Server::new(self.handler());
        server.register_listener(socket, DNS_TCP_IDLE, TCP_QUEUE);
        tokio::spawn(run(server))
    }

    fn handler(&self) -> Handler {
        Handler {
            answers: self.answers.subscribe(),
        }
    }
}

async fn run(mut server: Server<Handler>) {
    if let Err(error) = server.block_until_done().await {
        tracing::error!(%error, "a DNS socket is lost");
    }
}

struct Handler {
    answers: watch::Receiver<Arc<Answers>>,
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        let answers = Arc::clone(&self.answers.borrow());
        let is_ours = request
            .request_info()
            .is_ok_and(|info| answers.ours.find(info.query.name()).is_some());
        let catalog = match &answers.world {
            Some(world) if !is_ours && is_listed(&answers.table.clients, request.src().ip()) => {
                world
            }
            // Refuses what is not ours.
            _ => &answers.ours,
        };
        catalog.handle_request::<R, T>(request, response).await
    }
}

fn is_listed(clients: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    clients.iter().any(|net| net.contains(&client))
}

/// The zones of the table with their records; a record outside of them is a zone of its own.
fn ours(table: &Dns) -> Catalog {
    let mut zones: BTreeMap<Name, BTreeSet<(Name, IpAddr)>> = BTreeMap::new();
    for zone in table.zones.iter().filter_map(|zone| name(zone)) {
        zones.entry(zone).or_default();
    }
    for record in &table.records {
        let Some(name) = name(&record.name) else {
            continue;
        };
        let zone = std::iter::successors(Some(name.clone()), |name| {
            (!name.is_root()).then(|| name.base_name())
        })
        .find(|zone| zones.contains_key(zone))
        .unwrap_or_else(|| name.clone());
        zones.entry(zone).or_default().extend(
            record
                .addresses
                .iter()
                .map(|address| (name.clone(), *address)),
        );
    }
    let mut catalog = Catalog::new();
    for (origin, records) in zones {
        let lower = LowerName::new(&origin);
        let handler: Arc<dyn ZoneHandler> = Arc::new(zone(&origin, &records));
        catalog.upsert(lower, vec![handler]);
    }
    catalog
}

fn zone(origin: &Name, records: &BTreeSet<(Name, IpAddr)>) -> InMemoryZoneHandler {
    let serial = 1;
    let mut zone = InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
    let ttl = i32::try_from(TTL).unwrap_or(i32::MAX);
    // There is no secondary; the times only have to be there. The last one says how long "no such
    // name" may be remembered.
    let soa = SOA::new(origin.clone(), origin.clone(), serial, ttl, ttl, ttl, TTL);
    zone.upsert_mut(
        DnsRecord::from_rdata(origin.clone(), TTL, RData::SOA(soa)),
        serial,
    );
    zone.upsert_mut(
        DnsRecord::from_rdata(origin.clone(), TTL, RData::NS(NS(origin.clone()))),
        serial,
    );
    for (name, address) in records {
        let data = match address {
            IpAddr::V4(v4) => RData::A(A(*v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA(*v6)),
        };
        zone.upsert_mut(DnsRecord::from_rdata(name.clone(), TTL, data), serial);
    }
    zone
}

/// Everything else, by way of the upstream servers.
fn world(table: &Dns) -> Option<Catalog> {
    if table.upstreams.is_empty() {
        return None;
    }
    let name_servers = table
        .upstreams
        .iter()
        .map(|upstream| {
            let at_port = |mut connection: ConnectionConfig| {
                connection.port = upstream.port();
                connection
            };
            NameServerConfig::new(
                upstream.ip(),
                true,
                vec![
                    at_port(ConnectionConfig::udp()),
                    at_port(ConnectionConfig::tcp()),
                ],
            )
        })
        .collect();
    let mut options = ResolverOpts::default();
    // The edge can open no file; what the host's own file says is not for its clients anyway.
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    let forwarder = ForwardZoneHandler::builder_tokio(ForwardConfig {
        name_servers,
        options: Some(options),
    })
    .with_origin(Name::root())
    .build();
    match forwarder {
        Ok(forwarder) => {
            let forwarder: Arc<dyn ZoneHandler> = Arc::new(forwarder);
            let mut catalog = Catalog::new();
            catalog.upsert(LowerName::new(&Name::root()), vec![forwarder]);
            Some(catalog)
        }
        Err(error) => {
            tracing::error!(error, "the upstream name servers cannot be used");
            None
        }
    }
}

/// A name of the table; those that are no names did not pass the check.
fn name(text: &str) -> Option<Name> {
    Name::from_ascii(format!("{text}.")).ok()
}

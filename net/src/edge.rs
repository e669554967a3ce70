//! The edge: everything that reads bytes from a network.
//!
//! Invariant: the edge knows the world as the last [`RoutingTable`] it was handed. A table changes
//! where *new* requests and connections go; what is established goes on until one of its ends
//! stops, and traffic to a service never involves the core. The edge opens no file, holds leaf
//! keys only, and listens on nothing but sockets it was handed.
//!
//! ```text
//!  source ──(table, sockets)──► run ──► Live (watch) ──► every request
//!                                ├────► Listeners      one accept loop per socket
//!                                ├────► NameServer     one server per DNS socket
//!                                └────► Announcer      mDNS
//!
//!  TCP ─► first byte ─► TLS ─► by name ─┬─ dashboard ─┬─ files of the web interface
//!              │                        │             └─ /rpc /ws /rest ─► core (Unix socket)
//!              │                        ├─ service, HTTP ─► its address, request by request
//!              └─► plain HTTP:          └─ service, raw ──► its address, bytes
//!                  how to trust us
//! ```
//!
//! Deadlines and limits are in [`limits`]; each says why it has its value.

mod announcer;
mod assets;
mod body;
mod certificates;
mod core_link;
mod dashboard;
mod headers;
pub mod limits;
mod listeners;
mod live;
mod name_server;
mod pages;
mod plain;
pub mod sandbox;
mod serve;
mod splice;
mod tls;
mod trust;
mod upstream;

use std::{
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::table::RoutingTable;

pub use assets::{Asset, NONCE_PLACEHOLDER};

use announcer::Announcer;
use assets::Assets;
use core_link::CoreLink;
use limits::Limits;
use listeners::Listeners;
use live::Live;
use name_server::NameServer;
use upstream::Upstream;

/// What the edge needs to run.
pub struct EdgeConfig {
    /// The Unix socket where the core takes API requests.
    pub api_socket: PathBuf,
    /// Where tables and sockets come from. When it ends, another edge serves: this one takes nothing new, and ends when
    /// all that is open has ended.
    pub source: mpsc::Receiver<Published>,
    /// Told once, when the first table is obeyed.
    pub ready: Option<oneshot::Sender<()>>,
    /// The web interface.
    pub assets: &'static [Asset],
}

/// A table with the whole set of sockets it is for.
#[derive(Debug)]
pub struct Published {
    /// What to serve.
    pub table: RoutingTable,
    /// Every listening socket by its id, bound and, for TCP, listening. An id the edge has already
    /// keeps its socket, and the new descriptor is closed; an id that is missing is closed.
    pub listeners: Vec<(String, OwnedFd)>,
}

/// What every connection needs; one per process.
struct Edge {
    live: watch::Receiver<Arc<Live>>,
    assets: Assets,
    core: CoreLink,
    upstream: Upstream,
    limits: Limits,
    /// What is open, services' switched connections included.
    open: TaskTracker,
    /// Cancelled when nothing new is to be begun on what is open.
    retired: CancellationToken,
    /// Follows from the sockets, not from the table, so it is beside `live`.
    https_port: AtomicU16,
}

impl Edge {
    /// An edge that knows nothing yet, and the way to tell it.
    fn new(api_socket: PathBuf, assets: &'static [Asset]) -> (Arc<Self>, watch::Sender<Arc<Live>>) {
        let (publish, live) = watch::channel(Arc::new(Live::nothing()));
        let open = TaskTracker::new();
        let edge = Arc::new(Self {
            live,
            assets: Assets::new(assets),
            core: CoreLink::new(api_socket),
            upstream: Upstream::new(open.clone()),
            limits: Limits::of_connections(),
            open,
            retired: CancellationToken::new(),
            https_port: AtomicU16::new(443),
        });
        (edge, publish)
    }

    /// The port that plain HTTP sends browsers to.
    fn https_port(&self) -> u16 {
        self.https_port.load(Ordering::Relaxed)
    }
}

/// Serves until the source ends, and then what is open. A table that cannot be served is logged and changes nothing.
///
/// Call [`sandbox::drop_privileges`] first. How long the last connection may take is up to the caller.
pub async fn run(mut config: EdgeConfig) {
    let mut ready = config.ready.take();
    let (edge, publish) = Edge::new(config.api_socket, config.assets);
    let name_server = NameServer::default();
    let mut announcer = Announcer::default();
    let mut listeners = Listeners::new(Arc::clone(&edge), name_server.clone());
    while let Some(Published {
        table,
        listeners: sockets,
    }) = config.source.recv().await
    {
        let generation = table.generation;
        let next = match Live::compile(&table, &publish.borrow()) {
            Ok(next) => next,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(generation, error, "keeping the previous table");
                continue;
            }
        };
        // What a socket leads to is known before the socket is served.
        name_server.obey(&table.dns);
        publish.send_replace(Arc::new(next));
        listeners.obey(&table, sockets).await;
        let https_port = listeners.https_port();
        edge.https_port.store(https_port, Ordering::Relaxed);
        announcer.obey(&table.mdns, https_port);
        tracing::info!(generation, "obeying a new table");
        if let Some(ready) = ready.take() {
            // Nobody waiting is fine.
            let _ = ready.send(());
        }
    }
    listeners.close().await;
    // Names are the next edge's to announce.
    drop(announcer);
    edge.retired.cancel();
    edge.open.close();
    tracing::info!(open = edge.open.len(), "retired; ending with what is open");
    edge.open.wait().await;
}

//! The sockets we listen on.
//!
//! Invariant: one task per socket id. A socket whose id stays is never closed in between, so no
//! connection is refused while a table changes; connections that were accepted do not depend on it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use nix::sys::socket::{
    SockType, getsockopt, setsockopt,
    sockopt::{self, KeepAlive, TcpKeepIdle},
};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};

use crate::table::{Role, RoutingTable};

use super::{Edge, limits::KEEPALIVE, name_server::NameServer, tls};

/// After an accept that failed for want of descriptors or memory: long enough to free some.
const BREATH: Duration = Duration::from_millis(100);

/// All sockets, by id.
pub(super) struct Listeners {
    edge: Arc<Edge>,
    name_server: NameServer,
    open: HashMap<String, Open>,
}

struct Open {
    kind: Kind,
    addr: SocketAddr,
    task: JoinHandle<()>,
}

/// Which program a socket needs; what it says depends on the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Web,
    Dns,
}

impl Kind {
    fn of(role: &Role) -> Self {
        match role {
            Role::Http | Role::Https | Role::Tls { .. } => Self::Web,
            Role::Dns => Self::Dns,
        }
    }
}

impl Open {
    /// Ends the task and waits until it has let go of the socket.
    async fn close(self) {
        self.task.abort();
        // It was told to end, so it ends as cancelled.
        let _ = self.task.await;
    }
}

impl Listeners {
    pub(super) fn new(edge: Arc<Edge>, name_server: NameServer) -> Self {
        Self {
            edge,
            name_server,
            open: HashMap::new(),
        }
    }

    /// Serves exactly the handed-over sockets that the table knows; the others are closed when this
    /// returns.
    pub(super) async fn obey(&mut self, table: &RoutingTable, sockets: Vec<(String, OwnedFd)>) {
        let roles: HashMap<&str, &Role> = table
            .listeners
            .iter()
            .map(|listener| (listener.id.as_str(), &listener.role))
            .collect();
        let mut next = HashMap::new();
        for (id, socket) in sockets {
            let Some(role) = roles.get(id.as_str()) else {
                tracing::warn!(id, "closing a socket the table does not mention");
                continue;
            };
            let kind = Kind::of(role);
            if let Some(open) = self.open.remove(&id) {
                if open.kind == kind {
                    next.insert(id, open);
                    continue;
                }
                open.close().await;
            }
            match self.start(&id, kind, socket) {
                Ok(open) => {
                    next.insert(id, open);
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(id, error, "cannot serve this socket");
                }
            }
        }
        // What is left was not handed over again.
        self.close().await;
        self.open = next;
    }

    /// Closes all sockets.
    pub(super) async fn close(&mut self) {
        for (_, open) in self.open.drain() {
            open.close().await;
        }
    }

    /// The port to send browsers to; 443 where there is a choice.
    pub(super) fn https_port(&self) -> u16 {
        let live = self.edge.live.borrow();
        let ports = self
            .open
            .iter()
            .filter(|(id, _)| matches!(live.role(id), Some(Role::Https)))
            .map(|(_, open)| open.addr.port());
        ports
            .min_by_key(|port| (*port != 443, *port))
            .unwrap_or(443)
    }

    fn start(&self, id: &str, kind: Kind, socket: OwnedFd) -> std::io::Result<Open> {
        let is_tcp = getsockopt(&socket, sockopt::SockType)? == SockType::Stream;
        let (addr, task) = if is_tcp {
            let listener = std::net::TcpListener::from(socket);
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            let addr = listener.local_addr()?;
            let task = match kind {
                Kind::Web => tokio::spawn(accept(Arc::clone(&self.edge), Arc::from(id), listener)),
                Kind::Dns => self.name_server.serve_tcp(listener),
            };
            (addr, task)
        } else {
            let socket = std::net::UdpSocket::from(socket);
            socket.set_nonblocking(true)?;
            let socket = UdpSocket::from_std(socket)?;
            let addr = socket.local_addr()?;
            (addr, self.name_server.serve_udp(socket))
        };
        Ok(Open { kind, addr, task })
    }
}

async fn accept(edge: Arc<Edge>, listener: Arc<str>, socket: TcpListener) {
    loop {
        let Some(room) = edge.limits.room().await else {
            return;
        };
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, %listener, "cannot accept a connection just now");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(counted) = edge.limits.count(peer.ip()) else {
            tracing::debug!(%peer, "closing: too many connections from this address");
            continue;
        };
        notice_dead_peers(&stream);
        let connection = tls::connection(Arc::clone(&edge), Arc::clone(&listener), stream, peer);
        edge.open.spawn(async move {
            connection.await;
            drop((room, counted));
        });
    }
}

/// Also sends small answers at once. Neither is worth a connection.
fn notice_dead_peers(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let idle = u32::try_from(KEEPALIVE.as_secs()).unwrap_or(u32::MAX);
    let _ = setsockopt(&stream.as_fd(), KeepAlive, &true);
    let _ = setsockopt(&stream.as_fd(), TcpKeepIdle, &idle);
}

//! The first bytes of a connection.
//!
//! Invariant: until the handshake is over everything is under one deadline; afterwards the
//! connection belongs to one listener and one client for good.
//!
//! ```text
//!  accepted ─► plain listener ───────────────► plain HTTP
//!           └► TLS listener ─► a letter? ────► plain HTTP (somebody forgot the s)
//!                            └► hello ─► name ─► raw target ─► splice
//!                                             └► else ───────► HTTP/2 or HTTP/1.1
//! ```

use std::{net::SocketAddr, sync::Arc};

use rustls::server::Acceptor;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::LazyConfigAcceptor;

use crate::table::{ProxyMode, Role, Target};

use super::{Edge, limits::HANDSHAKE, serve, splice};

/// Who is connected, to what; the same for all requests on a connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The id of the listener.
    pub(super) listener: Arc<str>,
    pub(super) peer: SocketAddr,
    /// Our side of it.
    pub(super) local: SocketAddr,
}

/// Sees a connection through to its end.
pub(super) async fn connection(
    edge: Arc<Edge>,
    listener: Arc<str>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let client = Client {
        listener,
        peer: canonical(peer),
        local: canonical(local),
    };
    let role = edge.live.borrow().role(&client.listener).cloned();
    match role {
        Some(Role::Http) => serve::plain(edge, client, stream).await,
        Some(Role::Https | Role::Tls { .. }) => encrypted(edge, client, stream).await,
        // The table changed under an accepted connection.
        Some(Role::Dns) | None => {}
    }
}

async fn encrypted(edge: Arc<Edge>, client: Client, stream: TcpStream) {
    let peer = client.peer;
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Ok(None);
        }
        if first[0].is_ascii_uppercase() {
            return Ok(Some(Opened::Plain(stream)));
        }
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let name = match hello.client_hello().server_name() {
            Some(name) => name.trim_end_matches('.').to_ascii_lowercase(),
            // A client that connects by address sends no name.
            None => client.local.ip().to_string(),
        };
        let (config, raw) = {
            let live = edge.live.borrow();
            let Some(shown) = live.certificates.for_name(&name) else {
                return Ok(None);
            };
            match live.target(&client.listener, &name) {
                Some(Target::Proxy {
                    addr,
                    mode: ProxyMode::Raw,
                }) => (Arc::clone(&shown.raw), Some(*addr)),
                _ => (Arc::clone(&shown.http), None),
            }
        };
        let stream = hello.into_stream(config).await?;
        Ok::<_, std::io::Error>(Some(match raw {
            Some(addr) => Opened::Raw(Box::new(stream), addr),
            None => Opened::Http(Box::new(stream)),
        }))
    };
    match timeout(HANDSHAKE, handshake).await {
        Err(_) => tracing::debug!(%peer, "no handshake in time"),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the handshake failed"),
        Ok(Ok(None)) => {}
        Ok(Ok(Some(Opened::Plain(stream)))) => serve::plain(edge, client, stream).await,
        Ok(Ok(Some(Opened::Http(stream)))) => serve::encrypted(edge, client, *stream).await,
        Ok(Ok(Some(Opened::Raw(stream, addr)))) => splice::to(addr, *stream).await,
    }
}

enum Opened {
    Plain(TcpStream),
    Http(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Raw(Box<tokio_rustls::server::TlsStream<TcpStream>>, SocketAddr),
}

/// A v4 client of a v6 socket is a v4 client.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use coppice_clock::Wall;
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;
    use crate::{
        ca::Authority,
        edge::live::Live,
        table::{Dns, ListenerRole, RoutingTable},
    };

    fn edge() -> Arc<Edge> {
        let root = Authority::create("test", Wall::now()).unwrap();
        let table = RoutingTable {
            generation: 1,
            hostname: "willow".into(),
            dashboard_names: vec![],
            listeners: vec![ListenerRole {
                id: "https".into(),
                role: Role::Https,
            }],
            certificates: vec![],
            routes: vec![],
            dns: Dns::default(),
            mdns: vec![],
            ca_pem: root.cert_pem().to_owned(),
        };
        let (edge, publish) = Edge::new("nowhere".into(), &[]);
        let live = Live::compile(&table, &Live::nothing()).unwrap();
        publish.send_replace(Arc::new(live));
        edge
    }

    // The paused clock jumps to the deadline as soon as everybody waits, which is the point here:
    // the client never says anything.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let began = tokio::time::Instant::now();
        connection(edge(), "https".into(), stream, peer).await;
        assert!(began.elapsed() >= HANDSHAKE);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_to_a_socket_the_table_forgot_ends_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        connection(edge(), "forgotten".into(), stream, peer).await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}

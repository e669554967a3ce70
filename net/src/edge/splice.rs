//! Bytes in both directions until both ends are done.
//!
//! Invariant: there is no deadline here. A connection that was let through is its ends' own affair
//! (an SSH session may be silent for days); TCP keepalive finds the dead ones.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes},
    net::TcpStream,
    time::timeout,
};

use super::limits::CONNECT;

/// Each direction's buffer: one TLS record is at most 16 KiB.
const BUFFER: usize = 32 * 1024;

/// Connects to a service and joins `client` to it.
pub(super) async fn to(addr: SocketAddr, client: impl AsyncRead + AsyncWrite + Unpin) {
    match timeout(CONNECT, TcpStream::connect(addr)).await {
        Ok(Ok(service)) => {
            // Without it a small answer waits for more to come.
            let _ = service.set_nodelay(true);
            join(client, service).await;
        }
        Ok(Err(error)) => tracing::debug!(%addr, %error, "the service does not answer"),
        Err(_) => tracing::debug!(%addr, "the service does not answer in time"),
    }
}

/// Joins two connections.
pub(super) async fn join(
    mut one: impl AsyncRead + AsyncWrite + Unpin,
    mut other: impl AsyncRead + AsyncWrite + Unpin,
) {
    // Either end may break off at any time; that is how most connections end.
    if let Err(error) = copy_bidirectional_with_sizes(&mut one, &mut other, BUFFER, BUFFER).await {
        tracing::trace!(%error, "a joined connection broke off");
    }
}

//! A socket of the gateway that takes requests until another core shall have them.
//!
//! Invariant: what was accepted is answered. A socket that is no longer accepted from keeps what comes; it is the
//! heart's, and the next core's.

use std::{future::pending, time::Duration};

use axum::serve::Listener;
use tokio::net::{UnixListener, UnixStream, unix::SocketAddr};
use tokio_util::sync::CancellationToken;

/// How long a connection that was accepted at the last moment has to send its request. The edge opens one for each and
/// writes at once.
const LAST_REQUEST: Duration = Duration::from_millis(500);

pub(super) struct Entrance {
    listener: UnixListener,
    closed: CancellationToken,
}

impl Entrance {
    pub(super) const fn new(listener: UnixListener, closed: CancellationToken) -> Self {
        Self { listener, closed }
    }
}

impl Listener for Entrance {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => pending().await,
            accepted = Listener::accept(&mut self.listener) => accepted,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// When connections without a request may be closed: a while after the last of them was accepted.
pub(super) async fn quiet(closed: CancellationToken) {
    closed.cancelled().await;
    tokio::time::sleep(LAST_REQUEST).await;
}

//! How long and how much.
//!
//! Invariant: a client that sends nothing, or never stops, costs a bounded amount of memory and
//! descriptors for a bounded time, until it is being served by something it was allowed to reach.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// From the first byte to the end of the TLS handshake. A slow phone on a bad link takes two
/// seconds; ten leaves room for a lost packet or three.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// From the end of one request to the end of the next one's headers, on HTTP/1.1; so also how long
/// an idle connection is kept. hyper's own default.
pub const HEADERS: Duration = Duration::from_secs(30);

/// On HTTP/2: how often a silent client is asked whether it is there, and how long it may take.
pub const H2_PING: Duration = Duration::from_secs(30);
/// See [`H2_PING`].
pub const H2_PONG: Duration = Duration::from_secs(20);

/// Requests at once on one HTTP/2 connection; browsers want about a hundred.
pub const H2_STREAMS: u32 = 128;

/// All headers of a request together, in bytes. Services with large cookies stay under 32 KiB.
pub const HEADER_BYTES: usize = 64 * 1024;

/// Connections at once, all clients together, where descriptors allow: with two each, a quarter of
/// the 65,536 we ask for. Where there are fewer, a quarter of those. Above it new ones wait in the
/// kernel's queue.
pub const CONNECTIONS: usize = 8192;

/// Connections at once from one address. A busy browser has a hundred; a whole household behind
/// one address still fits.
pub const CONNECTIONS_PER_PEER: usize = 512;

/// To connect to a service or be refused. Services are on this machine.
pub const CONNECT: Duration = Duration::from_secs(5);

/// How long the core may be silent before we find out whether it is there (see
/// [`super::core_link`]): longer than its restart, shorter than a user's patience.
pub const CORE_SILENCE: Duration = Duration::from_secs(30);

/// The body of one JSON-RPC request in bytes. Uploads go by `/rest/`, which has no limit here: the
/// core knows how much room there is and says so.
pub const RPC_BYTES: u64 = 4 * 1024 * 1024;

/// How long such a body may take to arrive. All of it at a megabit per second, and a usual one by
/// any link there is.
pub const RPC_BODY: Duration = Duration::from_secs(30);

/// Requests at once that are with the core, open WebSockets included: each is a descriptor there,
/// and the core needs the rest of its own for the services. An open dashboard holds two.
pub const CORE_REQUESTS: usize = 256;

/// Of these, from one address, so that no single machine takes them all.
pub const CORE_REQUESTS_PER_PEER: usize = 64;

/// How long a request waits for its turn when there are too many.
pub const CORE_TURN: Duration = Duration::from_secs(5);

/// Between requests on a DNS connection over TCP.
pub const DNS_TCP_IDLE: Duration = Duration::from_secs(5);

/// How long a dead peer of an established connection goes unnoticed: the first probe comes after
/// this much silence.
pub const KEEPALIVE: Duration = Duration::from_secs(60);

/// Counts something, all clients together and each for itself.
pub(super) struct Limits {
    all: Arc<Semaphore>,
    most_per_peer: usize,
    by_peer: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

fn connections() -> usize {
    // A limit that cannot be read is as good as the usual one.
    let (now, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(now / 8).map_or(CONNECTIONS, |most| most.clamp(16, CONNECTIONS))
}

/// Room for one; dropping it makes room for another.
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
}

/// One counted for its peer.
pub(super) struct Counted {
    peer: IpAddr,
    by_peer: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Limits {
    /// As many connections as descriptors allow.
    pub(super) fn of_connections() -> Self {
        Self::new(connections(), CONNECTIONS_PER_PEER)
    }

    pub(super) fn new(most: usize, most_per_peer: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            most_per_peer,
            by_peer: Arc::default(),
        }
    }

    /// Waits until there may be one more.
    pub(super) async fn room(&self) -> Option<Room> {
        // Fails only when the semaphore is closed, which nobody does.
        let permit = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Room { _permit: permit })
    }

    /// Counts one more of `peer`; `None` when it has too many.
    pub(super) fn count(&self, peer: IpAddr) -> Option<Counted> {
        // IPv6 clients own a /64 and could come from each of its addresses.
        let peer = match peer.to_canonical() {
            IpAddr::V6(v6) => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
            v4 @ IpAddr::V4(_) => v4,
        };
        // A panic elsewhere cannot have left a count half-written.
        let mut counts = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_default();
        if *count >= self.most_per_peer {
            return None;
        }
        *count += 1;
        Some(Counted {
            peer,
            by_peer: Arc::clone(&self.by_peer),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_connections_and_no_more_and_gets_them_back() {
        let limits = Limits::of_connections();
        let peer = "192.168.1.7".parse().unwrap();
        let held: Vec<_> = (0..CONNECTIONS_PER_PEER)
            .map(|_| limits.count(peer).unwrap())
            .collect();
        assert!(limits.count(peer).is_none());
        assert!(limits.count("192.168.1.8".parse().unwrap()).is_some());
        drop(held);
        assert!(limits.count(peer).is_some());
        assert!(limits.by_peer.lock().unwrap().is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one_peer() {
        let limits = Limits::of_connections();
        let one = limits.count("2001:db8::1".parse().unwrap()).unwrap();
        let two = limits.count("2001:db8::2".parse().unwrap()).unwrap();
        assert_eq!(one.peer, two.peer);
        let mapped = limits.count("::ffff:192.168.1.7".parse().unwrap()).unwrap();
        assert_eq!(mapped.peer, "192.168.1.7".parse::<IpAddr>().unwrap());
    }
}

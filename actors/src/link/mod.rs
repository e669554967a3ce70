//! The host's side of a service's socket.
//!
//! Invariants: the host only listens; who calls is told by the socket and the peer's credentials,
//! never by a message; a connection that misbehaves is closed and costs nobody else anything; all
//! connections of a service together cost at most its [`budget`].

mod bucket;
mod budget;
mod intake;
mod ledger;
mod listener;
mod peer;
#[cfg(test)]
mod tests;

pub(crate) use bucket::{Bucket, Pace};
#[cfg(test)]
pub(crate) use listener::Connection;
pub use listener::{Accepted, Caller, ListenError, ServiceListener};
pub use peer::{CallError, Handler, Peer};

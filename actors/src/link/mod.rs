//! The host's side of a service's socket.
//!
//! Invariants: the host only listens; who calls is told by the socket and the peer's credentials,
//! never by a message; a connection that misbehaves is closed and costs nobody else anything.

mod listener;
mod peer;

pub use listener::{Accepted, Caller, ListenError, ServiceListener};
pub use peer::{CallError, Handler, Peer};

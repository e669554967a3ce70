//! The way in: a JSON-RPC gateway for browsers and programs, and the command line that uses it.
//!
//! Start reading at [`gateway`] (what serves) and [`rpc::METHODS`] (what may be asked).
//!
//! Invariants: the core never reads from a network socket, only from the two Unix sockets that the
//! heart holds; who calls is told by the socket and the session, never by a parameter; of the
//! document only the public side is handed out, and to root the audit trail.

pub mod cli;
pub mod gateway;
pub mod rpc;
pub mod telemetry;

mod auth;
mod caller;
mod continuations;
mod metrics;
#[cfg(test)]
mod testing;
mod throttle;

pub use auth::{Accounts, Grant, Login, Offered, PasswordError, Session, SignedIn, Wanted};
pub use caller::{Caller, Credential, Role, Scope};
pub use throttle::Source;

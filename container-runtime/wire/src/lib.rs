//! The words host and container exchange over the service's socket.
//!
//! One Unix stream socket per service; one JSON-RPC 2.0 object per `\n`-terminated line, both
//! directions on one connection. The dialler (agent, runtime or CLI) opens with `hello`.
//!
//! Invariant: everything here treats the other side as hostile. Parsing never panics, never holds
//! more than one line of [`MAX_LINE_BYTES`] plus what was just fed, and never recurses further
//! than `serde_json`'s own limit. This crate does no I/O and reads no clock.
//!
//! | module | holds |
//! | --- | --- |
//! | [`codec`] | bytes to lines to messages, and back |
//! | [`message`] | the JSON-RPC envelope |
//! | [`outline`](mod@outline) | which shape a line has, before it is read |
//! | [`weight`](mod@weight) | what a line would cost, before it is read |
//! | [`hello`] | the first exchange of a connection |
//! | [`agent`] | host to agent requests, agent to host process events |
//! | [`runtime`] | host to Node runtime requests |
//! | [`mount`] | the CLI's request for an idmapped bind mount |
//! | [`logs`] | the lines of a log segment |
//! | [`paths`] | where things are inside the container |
//! | [`codes`] | error codes packages know |

pub mod agent;
pub mod codec;
pub mod codes;
pub mod hello;
pub mod logs;
pub mod message;
pub mod mount;
pub mod outline;
pub mod paths;
pub mod runtime;
pub mod weight;

mod short;

pub use codec::{DecodeError, Decoder, EncodeError, MAX_LINE_BYTES, decode, encode, is_blank};
pub use hello::{Hello, HelloReply, PROTOCOL, Role};
pub use message::{Id, Message, RpcError};
pub use outline::{Outline, outline};
pub use weight::weight;

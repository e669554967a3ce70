//! The heart: the small parent of core and edge.
//!
//! ```text
//! heart ── holds: DATA/lock, every listening socket, api.sock, edge.sock, the last routing table
//!   ├─ core    publishes listeners and table; may die: its sockets queue, the edge goes on
//!   └─ edge    obeys the table; may die: a new one gets the same sockets and the last table
//! ```
//!
//! [`run`] makes the data folder, takes its lock, starts both and starts them again whenever they
//! end, until the core or a signal says stop. Everything the heart does is in one thread around
//! one `poll`; it parses only what its two children send and never looks into the table.
//!
//! Invariants:
//! - One heart per data folder, and never two cores on one: a new heart waits for what an earlier
//!   one left behind, and kills it if it does not go.
//! - A child inherits the descriptors meant for it and no others.
//! - A listening socket that the core publishes again is the same socket, whoever died meanwhile.
//! - Nothing a child sends can make the heart end or grow without bound; one that breaks the
//!   protocol is killed and started again.
//!
//! When the heart itself dies, its children see it on a pipe ([`client::Event::HeartGone`]) and
//! end within a second; services go on without any of the three.
//!
//! Absent: routing, TLS, containers, anything asynchronous.

mod backoff;
mod channel;
mod child;
pub mod client;
mod config;
mod handover;
mod heart;
mod layout;
mod leftover;
mod listeners;
mod lock;
mod notify;
mod program;
mod protocol;
mod store_backup;
mod upgrade;

pub use config::{EDGE_UID, HeartConfig, HeartError};
pub use heart::run;
pub use layout::{Layout, ShortId};
pub use protocol::{
    CoreToHeart, FailedListener, HeartToCore, HeartToEdge, Listener, Proto, Publish,
    UpgradeOutcome, UpgradeRequest,
};

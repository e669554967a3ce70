//! The network parts against the real kernel, as root, each test in a network namespace of its own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod announcer;
mod edge;
mod firewall;
mod frames;
mod name_server;
mod netns;
mod plain;
mod sandbox;
mod servers;
mod subnet;
mod world;

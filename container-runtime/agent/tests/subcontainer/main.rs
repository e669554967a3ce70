//! `start-container` in a real container: the conformance list of the package ABI, as far as it
//! needs no other host than the agent.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops right there"
)]

mod commands;
#[path = "../container/mod.rs"]
mod container;
mod exec;
mod launch;

const EXEC: &str = "/usr/bin/start-container subcontainer exec";
const LAUNCH: &str = "/usr/bin/start-container subcontainer launch";

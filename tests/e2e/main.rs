//! Coppice end to end: the built binary, real containers, the example packages, and every kill.
//!
//! ```text
//! outside   keeps the machine clean: starts `inside`, waits, removes what carries this run's names
//!   └─ inside   own mounts and network: a server, a LAN with another machine on it, and the steps
//!        └─ coppice heart ─ core, edge, containers
//! ```
//!
//! Invariant: everything made carries a name of this run (a folder, the ids of its servers, a variable
//! in the environment), so that it can be found and removed whoever was killed, and several runs do
//! not meet.
//!
//! The steps build on each other within a chapter; a chapter makes what it needs when it is run alone.
//! `make test` runs it; by hand: `cargo test -p coppice --test e2e -- --report-time [PART OF A NAME]`.

#![allow(clippy::unwrap_used, missing_docs)]

mod adoption;
mod arguments;
mod chaos;
mod client;
mod clones;
mod console;
mod inside;
mod intruder;
mod lan;
mod leftovers;
#[path = "../../actors/containers/tests/support/machine_of_its_own.rs"]
mod machine_of_its_own;
mod outside;
mod packages;
mod probe;
mod processes;
mod report;
mod scratch;
mod server;
mod steps;
mod traces;
mod until;
mod visitor;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::var_os(scratch::INSIDE) {
        Some(folder) => inside::main(&folder),
        None => outside::main(),
    }
}

//! The shipped supervisor with real actors, on paused time.
//!
//! The test names read as the specification; `kit.rs` has the actor that all of them supervise.

#![allow(clippy::unwrap_used, reason = "a test may panic; that is how it fails")]

mod auto_shutdown;
mod commands;
mod dynamic;
mod failing_restarts;
mod kit;
mod misbehaviour;
mod restart_types;
mod shutdown;
mod strategies;
mod timing;
mod tree;

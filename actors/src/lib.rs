//! The product: the forest of service trees, and the state it works on.
//!
//! Start reading at [`coppice::Coppice`] (what may be asked), [`forest`] (who runs) and
//! [`service`] (one service). Life cycles are decided in the `step` modules, which do no I/O and
//! read no clock; the actors around them are shells.
//!
//! Absent: HTTP, sessions, who may ask. That is the gateway's business.

// Some files of the tests are in those of other crates, too, and name this one from outside.
#[cfg(test)]
extern crate self as coppice_actors;

mod audit;
pub mod base;
mod blocking;
pub mod boot;
pub mod coppice;
mod disk;
pub mod document;
pub mod effects;
pub mod forest;
pub mod host;
pub mod hosts;
mod ids;
pub mod jobs;
pub mod link;
pub mod logs;
pub mod model;
pub mod network;
pub mod notifications;
pub mod observer;
pub mod packages;
pub mod problem;
pub mod receipts;
mod relay;
pub mod request;
pub mod reserve;
pub mod service;
pub mod smtp;
#[cfg(test)]
mod testing;
mod text;
mod usage;
mod watcher;
pub mod words;

pub use coppice::Coppice;
pub use problem::{Kind, Problem};

//! The real backend: containers through liblxc, everything around them through the kernel.
//!
//! Begin with [`root`] for how a container's mounts come to be, [`lifecycle`] for its life, [`enter`]
//! for changing the mounts of a running one, [`reconcile`] for what happens after a crash.

mod apparmor;
mod backend;
mod config;
mod counts;
mod enter;
mod host;
mod images;
mod liblxc;
mod lifecycle;
mod links;
mod preflight;
mod prepare;
mod reconcile;
mod record;
mod root;
mod seccomp;
mod subcontainer;
mod turns;

pub use backend::LxcBackend;
pub use prepare::{NotPrepared, prepare_process};

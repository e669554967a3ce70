//! Containers, and what they stand on: mounts, id ranges, cgroups.
//!
//! One trait, [`Backend`], with two implementations that pass the same tests: [`LxcBackend`] runs
//! real containers through liblxc, [`InMemoryBackend`] keeps a deterministic account of them for
//! tests and scale simulation.
//!
//! What is always true here:
//! - Every operation may be run twice, and after a `kill -9` at any point [`Backend::reconcile`]
//!   finds what was left behind. Nothing needs a clean-up that a crash could skip.
//! - Nothing is opened by name in a tree that a container can write, except below a directory
//!   descriptor with `openat2`.
//! - Whatever enters a container enters with its flags (read-only, no device nodes) locked, so that
//!   the container's root cannot take them off again.
//!
//! This crate knows nothing of services' life cycles, of JSON-RPC or of the database, and it never
//! decides to restart anything.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backend;
pub mod cgroup;
mod check;
mod error;
mod idmap;
mod in_memory;
mod layout;
mod life;
mod lxc;
mod receipt;
mod segment;
mod spec;
mod sys;

pub use backend::{Backend, Pending};
pub use cgroup::{Limits, Usage};
pub use check::Check;
pub use error::{CreateError, OpError, StepError};
pub use idmap::{IdMapping, TooManyExtents};
pub use in_memory::{Called, InMemoryBackend};
pub use layout::HostLayout;
pub use life::{Exit, ExitStatus, Inspection, Running};
pub use lxc::{LxcBackend, NotPrepared, prepare_process};

pub use receipt::{Finding, Leftover, Receipt};
pub use segment::{NotASegment, Segment};
pub use spec::{
    Address, ContainerSpec, Device, FileKind, ID_RANGE, ImageSpec, Init, Network, VolumeMount,
    VolumeSpec,
};

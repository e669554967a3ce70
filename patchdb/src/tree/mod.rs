//! The document in memory: a tree that shares structure between versions.
//!
//! Invariant: a [`Node`] never changes once another owner can see it; a change copies the path
//! from the root to the place (each object on it costs O(log members)) and shares all the rest.
//! So a snapshot is one reference count, and a small change costs the same in a large document.
//!
//! Arrays are the exception: one array is one value. Collections that grow belong in objects.

mod de;
mod diff;
mod node;
mod op;

pub use node::Node;
pub use op::{Op, OpKind};

pub(crate) use diff::diff;
pub(crate) use node::Json;
#[cfg(test)]
pub(crate) use op::JsonOp;
pub(crate) use op::{ApplyError, JsonOps, apply_op};

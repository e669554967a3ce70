//! The CLI's request for a bind mount it may not do itself.
//!
//! `start-container bind-mount` without `--idmap` mounts inside the container. With it the mount
//! needs privilege over the source's super block, which only the host has. Both paths are the
//! container's own and hostile: the host resolves them beneath the container's root.

use serde::{Deserialize, Serialize};

/// Method name; [`BindMount`] to null.
pub const BIND_MOUNT: &str = "bind-mount";

/// Parameters of [`BIND_MOUNT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Absolute path in the container.
    pub source: String,
    /// Absolute path in the container; exists already, of the right kind.
    pub target: String,
    /// Whether mounts below the source come along.
    #[serde(default)]
    pub recursive: bool,
    /// Whether the new mount refuses writes.
    #[serde(default)]
    pub readonly: bool,
    /// Whether source and target are files.
    #[serde(default)]
    pub file: bool,
    /// Applied in order over the identity; not empty.
    pub idmap: Vec<IdMapping>,
}

/// Ids `from_id..from_id+range` on the file system appear as `to_id..`; both as the container counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdMapping {
    /// First id on the file system.
    pub from_id: u32,
    /// First id seen.
    pub to_id: u32,
    /// How many ids; 1 or more.
    pub range: u32,
}

//! What `start-container` tells the agent over `/run/coppice/agent.sock`.
//!
//! One connection per launch or exec, one JSON object per line, open for as long as the command
//! lives: a connection that ends without [`Report::Ended`] means that the CLI was killed, and its
//! command with it.
//!
//! ```text
//! CLI                               agent
//!  │ begin {kind, root, argv} ───────▶ │ makes the leaf, moves the CLI into it
//!  │ ◀─────────────────────── placed  │
//!  │ (unshare or setns, fork; the child waits)
//!  │ running {pid} ──────────────────▶ │ journals process.started
//!  │ (the child goes on)               │
//!  │ asked (SIGTERM came) ───────────▶ │ keeps in mind that the package wants it to end
//!  │ ended {code | signal} ──────────▶ │ journals process.exited
//! ```

use coppice_wire::agent::ProcessKind;
use serde::{Deserialize, Serialize};

/// Longest line either side takes, in bytes.
pub(crate) const LINE_BYTES: usize = 256 * 1024;
/// How many bytes of a command line are reported; the rest is cut off, argument-wise.
pub(crate) const ARGV_BYTES: usize = 16 * 1024;

/// CLI to agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "lowercase")]
pub(crate) enum Report {
    /// About to run something.
    Begin {
        kind: ProcessKind,
        /// Guid of the subcontainer (last segment of its root).
        root: String,
        argv: Vec<String>,
    },
    /// The child exists and waits.
    Running { pid: i32 },
    /// The caller wants the child to end: SIGTERM came, and is passed on.
    Asked,
    /// The child is gone.
    Ended {
        code: Option<i32>,
        signal: Option<i32>,
    },
}

/// Agent to CLI: the CLI is now in its leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    /// `None` when the caller belongs to the host.
    pub(crate) generation: Option<u64>,
    /// Empty when this container counts no resources.
    pub(crate) leaf: String,
}

//! Where a reader stands in the history of the document.
//!
//! - `durable` counts the durable revisions of this document since it was made; it goes on over
//!   restarts and never skips.
//! - `volatile` counts the volatile revisions of one process.
//! - `epoch` is a random number drawn at every open: it tells processes apart, and a document from
//!   one that was restored from a copy.
//! - `id` is the one growing number StartOS clients know. It is never given twice, whatever
//!   crashes: ranges of it are reserved on disk before they are used.

use serde::{Deserialize, Serialize};

/// A place in the history; see the module for the meaning of the numbers. All fit in the 53 bits
/// JavaScript keeps exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The process and lineage.
    pub epoch: u64,
    /// Durable revisions so far.
    pub durable: u64,
    /// Volatile revisions of this epoch so far.
    pub volatile: u64,
    /// The StartOS-shaped number; not looked at when a client resumes.
    #[serde(default)]
    pub id: u64,
}

/// Who made a change and why; kept in the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The actor or account that asked, `services/hello/health` or `admin`.
    pub actor: String,
    /// What made it ask: the id of the cause, a method, an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The request it belongs to, when a client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Why {
    /// A reason that names only the actor.
    #[must_use]
    pub fn actor(actor: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            ..Self::default()
        }
    }

    /// With its cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// With the request it serves.
    #[must_use]
    pub fn for_request(mut self, request: impl Into<String>) -> Self {
        self.request = Some(request.into());
        self
    }
}

/// How many ids one reservation takes: at 100,000 volatile revisions a second, more than two
/// minutes; a crash loop of one open a second would need 17 years to leave JavaScript's integers.
pub(crate) const ID_RANGE: u64 = 1 << 24;

/// How far ids leap when an older copy takes the place of a damaged store: further than any store
/// counts between two copies, and there is room for eight thousand leaps.
pub(crate) const ID_LEAP: u64 = 1 << 40;

//! What a reconciliation found and did.

use serde::{Deserialize, Serialize};

/// What [`Backend::reconcile`](crate::Backend::reconcile) found and did. Empty on a clean host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Everything that should not have been there.
    pub findings: Vec<Finding>,
}

impl Receipt {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether something found could not be removed.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.failure.is_some())
    }

    pub(crate) fn note(
        &mut self,
        kind: Leftover,
        what: impl Into<String>,
        done: Result<(), String>,
    ) {
        self.findings.push(Finding {
            kind,
            what: what.into(),
            failure: done.err(),
        });
    }
}

/// One thing that should not have been there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What sort of thing.
    pub kind: Leftover,
    /// Which one: a name or path.
    pub what: String,
    /// Why it is still there; `None` when it was removed.
    pub failure: Option<String>,
}

/// Sorts of leftovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leftover {
    /// A container that no known service owns, still running.
    UnknownContainer,
    /// A container that was never finished, or has ended without being destroyed.
    DeadContainer,
    /// A process that was starting a container when its creator died, or a monitor without one.
    Process,
    /// A mount below `RUN/mnt`.
    Mount,
    /// A loop device over one of our files that nothing mounts.
    LoopDevice,
    /// A host end of a container's link.
    Veth,
    /// Something on our bridge that is no container's link; taken off it, for it may be somebody's.
    BridgePort,
    /// A rule or chain in our tables of the firewall. Not of the backend: who makes the firewall finds it.
    FirewallRule,
    /// A cgroup.
    Cgroup,
    /// A throw-away root or subcontainer layer on disk.
    Layer,
}

//! No file system, no new TCP ports, no signals to outsiders.
//!
//! Invariant: nothing is allowed here, so there is no list to keep right: sockets arrive open, the
//! web interface is in the binary, certificates come in the table, and connecting to a Unix socket
//! by path is not a file access to Landlock (as of ABI 7, Linux 6.15).

use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};

use super::SandboxError;

/// The newest set of restrictions we ask for. Fixed, not "the newest the crate knows": later ones
/// restrict connecting to Unix sockets, which the edge needs. Older kernels give what they have.
const ASKED: ABI = ABI::V6;

/// How much of what was asked this kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// All of it.
    Closed,
    /// Some of it: the kernel is older than what we ask for.
    ClosedInPart,
    /// Nothing: the kernel has no Landlock, and the other layers stand alone.
    Open,
}

impl FileSystem {
    /// Says so in the log, when there is anything to say.
    pub fn log(self) {
        match self {
            Self::Closed => {}
            Self::ClosedInPart => tracing::info!(
                "this kernel enforces the edge's Landlock rules in part; 6.12 has them all"
            ),
            Self::Open => tracing::warn!(
                "this kernel has no Landlock: the edge relies on its user, capabilities and seccomp alone"
            ),
        }
    }
}

pub(super) fn close_the_file_system() -> Result<FileSystem, SandboxError> {
    let status = restrict()
        .map_err(|error| SandboxError::new("the file system", io::Error::other(error)))?;
    Ok(match status {
        RulesetStatus::FullyEnforced => FileSystem::Closed,
        RulesetStatus::PartiallyEnforced => FileSystem::ClosedInPart,
        RulesetStatus::NotEnforced => FileSystem::Open,
    })
}

fn restrict() -> Result<RulesetStatus, landlock::RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ASKED))?
        // Sockets that listen are handed over; connecting out is the edge's trade.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(ASKED))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset)
}

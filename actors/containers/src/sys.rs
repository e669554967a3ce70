//! The kernel's calls that neither std nor nix wrap, each behind a safe function of its own.

pub(crate) mod mountinfo;
pub(crate) mod pidfd;

//! How many descriptors this process may hold.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// As many descriptors as `wanted`, or as we are given: a root without `CAP_SYS_RESOURCE` (in a
/// container) cannot pass the limit it was started with. A larger limit stays as it is.
///
/// # Errors
/// When the limit cannot be read, or not even be raised to what was allowed at the start.
pub fn raise_to(wanted: u64) -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = most.max(wanted);
    match setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted) {
        Err(nix::Error::EPERM) => setrlimit(Resource::RLIMIT_NOFILE, most, most),
        outcome => outcome,
    }
}

/// Lets this process hold as many as it was ever allowed to, and its children the same.
///
/// The hard limit stays: what runs in a container inherits it, and it is not ours to widen.
///
/// # Errors
/// When the limit cannot be read or set.
pub fn raise_to_the_hard_limit() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

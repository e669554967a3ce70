//! How the edge gives up everything it does not need, before it reads the first byte.
//!
//! Invariant: after [`drop_privileges`] returned `Ok`, no code in this process can open a file,
//! start a program, become another user, make a raw socket or look into another process, whatever
//! it was talked into. It can use the descriptors it holds, make ordinary sockets, connect to the
//! Unix socket it was told about, and make threads.
//!
//! Four independent layers, so that one forgotten case is not the end: the user (owns nothing),
//! capabilities (none, and none obtainable), Landlock (no file system, no new TCP ports) and
//! seccomp (no system calls that are for administrators, debuggers and parents).

mod capabilities;
mod landlock;
mod seccomp;

use std::io;

use nix::{
    sys::{
        prctl,
        resource::{Resource, setrlimit},
    },
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};

use crate::descriptors;

pub use landlock::FileSystem;

/// The edge's user and group. In no file of users: nothing but our own socket belongs to it.
pub const EDGE_UID: u32 = 0x6FFF_FFFE;

/// Descriptors: what [`super::limits`] wants at most.
const DESCRIPTORS: u64 = 65_536;

/// Why the edge must not go on.
#[derive(Debug, thiserror::Error)]
#[error("the edge could not give up {what}, so it will not touch the network; start it as root")]
pub struct SandboxError {
    what: &'static str,
    #[source]
    source: io::Error,
}

/// Gives up user, capabilities, files and dangerous system calls, for good.
///
/// Call it from `main` before any thread exists: capabilities, Landlock and the user of *other*
/// threads would stay. A kernel without Landlock is borne; everything else is an error. How much of
/// Landlock there was is told, not logged: a log that has a thread of its own must start later.
///
/// # Errors
/// [`SandboxError`]; the process is then half-way and must end.
pub fn drop_privileges() -> Result<FileSystem, SandboxError> {
    let failed = |what| move |errno: nix::Error| SandboxError::new(what, errno.into());

    // While still root: room for connections, and no core dumps, which would hold private keys.
    descriptors::raise_to(DESCRIPTORS).map_err(failed("its descriptor limit"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed("core dumps"))?;

    capabilities::empty_bounding_set()?;
    setgroups(&[]).map_err(failed("its groups"))?;
    let (uid, gid) = (Uid::from_raw(EDGE_UID), Gid::from_raw(EDGE_UID));
    setresgid(gid, gid, gid).map_err(failed("its group"))?;
    setresuid(uid, uid, uid).map_err(failed("its user"))?;
    capabilities::drop_all()?;
    prctl::set_no_new_privs().map_err(failed("gaining privileges"))?;
    // Nobody of the same user may trace it; there should be nobody.
    prctl::set_dumpable(false).map_err(failed("being traced"))?;

    let file_system = landlock::close_the_file_system()?;
    seccomp::install()?;
    Ok(file_system)
}

impl SandboxError {
    fn new(what: &'static str, source: io::Error) -> Self {
        Self { what, source }
    }
}

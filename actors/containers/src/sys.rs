//! The kernel's calls that neither std nor nix wrap, each behind a safe function of its own.
//!
//! Functions that take `&CStr` allocate nothing, so that they may be called in a forked child of this
//! many-threaded process ([`fork`]).

pub(crate) mod confined;
pub(crate) mod fork;
pub(crate) mod loop_device;
pub(crate) mod mount;
pub(crate) mod mountinfo;
pub(crate) mod pidfd;
pub(crate) mod strays;
pub(crate) mod title;
pub(crate) mod userns;

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// The answer of a call that returns a new descriptor or -1.
///
/// # Safety
/// `answer` must come straight from a call that gives the caller a descriptor nobody else owns.
unsafe fn owned(answer: libc::c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(answer) {
        Ok(fd) if fd >= 0 => {
            // SAFETY: fresh and unowned, by this function's own contract.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// The answer of a call that returns 0 or -1.
fn done(answer: libc::c_long) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

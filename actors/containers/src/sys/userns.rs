//! User namespaces that exist only to say how a mount maps ids.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::fd::{AsRawFd, OwnedFd},
};

use crate::{
    idmap::FlatMap,
    sys::{done, fork},
};

/// A user namespace with this map for users and groups, held by descriptor; no process is in it.
pub(crate) fn with_map(map: &FlatMap) -> io::Result<OwnedFd> {
    let (mut ready, say_ready) = io::pipe()?;
    let (until, hold) = io::pipe()?;
    let until = OwnedFd::from(until);
    let hold = OwnedFd::from(hold);
    // SAFETY: the errand makes four system calls on descriptors it inherits and allocates nothing.
    let child = unsafe {
        fork::fork(|| {
            // With this end open in the child itself the close would never come.
            libc::close(hold.as_raw_fd());
            if done(libc::c_long::from(libc::unshare(libc::CLONE_NEWUSER))).is_ok() {
                libc::write(say_ready.as_raw_fd(), c"r".as_ptr().cast(), 1);
                fork::wait_for_close(&until);
            }
        })
    }?;
    drop((say_ready, until));
    if ready.read(&mut [0])? == 0 {
        return Err(io::Error::other(
            "the kernel refused a user namespace; see user.max_user_namespaces",
        ));
    }
    let proc = format!("/proc/{}", child.pid());
    let text = map.to_proc_text();
    fs::write(format!("{proc}/uid_map"), &text)?;
    fs::write(format!("{proc}/gid_map"), &text)?;
    let namespace = File::open(format!("{proc}/ns/user"))?;
    drop((hold, child));
    Ok(namespace.into())
}

//! Mounts as descriptors: made or cloned detached, changed, then put in place.
//!
//! A detached mount that is dropped is gone; only [`Detached::attach`] makes it part of a tree.

use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::sys::{done, owned};

pub(crate) use libc::{
    MOUNT_ATTR_NODEV as NODEV, MOUNT_ATTR_NOEXEC as NOEXEC, MOUNT_ATTR_NOSUID as NOSUID,
    MOUNT_ATTR_RDONLY as RDONLY,
};

/// A mount that is in no tree.
#[derive(Debug)]
pub(crate) struct Detached(OwnedFd);

impl Detached {
    /// Another mount of what is mounted at `path` (and below it).
    pub(crate) fn clone_of(path: &Path) -> io::Result<Self> {
        Self::clone_at(None, &c_path(path)?)
    }

    /// Another mount of the directory or file behind a descriptor.
    pub(crate) fn clone_of_fd(of: BorrowedFd<'_>) -> io::Result<Self> {
        Self::clone_at(Some(of), c"")
    }

    /// Another mount of `path` below `dir`, or below the working directory. Allocates nothing.
    pub(crate) fn clone_at(dir: Option<BorrowedFd<'_>>, path: &CStr) -> io::Result<Self> {
        let flags = libc::OPEN_TREE_CLONE
            | libc::OPEN_TREE_CLOEXEC
            | libc::AT_RECURSIVE as libc::c_uint
            | if path.is_empty() {
                libc::AT_EMPTY_PATH as libc::c_uint
            } else {
                0
            };
        let dir = dir.map_or(libc::AT_FDCWD, |dir| dir.as_raw_fd());
        // SAFETY: the string ends in NUL and outlives the call, whose answer is ours.
        let fd = unsafe {
            owned(libc::syscall(
                libc::SYS_open_tree,
                dir,
                path.as_ptr(),
                flags,
            ))
        }?;
        Ok(Self(fd))
    }

    /// Sets and clears flags, and maps ids if a user namespace is given, on the whole tree.
    pub(crate) fn change(
        &self,
        set: u64,
        clear: u64,
        idmap: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let attr = libc::mount_attr {
            attr_set: set
                | if idmap.is_some() {
                    libc::MOUNT_ATTR_IDMAP
                } else {
                    0
                },
            attr_clr: clear,
            propagation: 0,
            userns_fd: idmap.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
        };
        // SAFETY: an empty path that ends in NUL, and a structure of the size that is passed with it.
        done(unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
                &raw const attr,
                size_of::<libc::mount_attr>(),
            )
        })
    }

    /// Puts the mount in place, on top of `target` itself. Allocates nothing.
    pub(crate) fn attach(&self, target: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: two descriptors and two empty paths that end in NUL.
        done(unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                target.as_raw_fd(),
                c"".as_ptr(),
                libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH,
            )
        })
    }

    /// Puts the mount in place at a path that no container can write.
    pub(crate) fn attach_at(&self, target: &Path) -> io::Result<()> {
        let target = std::fs::File::from(open_path(target)?);
        self.attach(target.as_fd())
    }
}

impl AsFd for Detached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Opens a path of the host's own, for naming only.
pub(crate) fn open_path(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    // SAFETY: the string ends in NUL and outlives the call, whose answer is ours.
    unsafe {
        owned(libc::c_long::from(libc::open(
            path.as_ptr(),
            libc::O_PATH | libc::O_CLOEXEC,
        )))
    }
}

/// A file system being set up.
pub(crate) struct NewFs(OwnedFd);

impl NewFs {
    /// Begins one of type `kind`.
    pub(crate) fn open(kind: &CStr) -> io::Result<Self> {
        // SAFETY: the string ends in NUL, the answer is ours.
        let fd = unsafe {
            owned(libc::syscall(
                libc::SYS_fsopen,
                kind.as_ptr(),
                libc::FSOPEN_CLOEXEC,
            ))
        };
        fd.map(Self)
    }

    /// Gives an option with a value.
    pub(crate) fn set(&self, key: &CStr, value: &[u8]) -> io::Result<()> {
        let value = CString::new(value)?;
        self.config(
            libc::FSCONFIG_SET_STRING as libc::c_uint,
            Some(key),
            Some(&value),
        )
    }

    /// Gives an option without a value.
    pub(crate) fn flag(&self, key: &CStr) -> io::Result<()> {
        self.config(libc::FSCONFIG_SET_FLAG as libc::c_uint, Some(key), None)
    }

    /// Makes the file system and a detached mount of it with these flags.
    pub(crate) fn mount(self, flags: u64) -> io::Result<Detached> {
        self.config(libc::FSCONFIG_CMD_CREATE as libc::c_uint, None, None)?;
        // SAFETY: a descriptor and two integers, the answer is ours.
        let fd = unsafe {
            owned(libc::syscall(
                libc::SYS_fsmount,
                self.0.as_raw_fd(),
                libc::FSMOUNT_CLOEXEC,
                flags,
            ))
        };
        fd.map(Detached).map_err(|error| self.explain(error))
    }

    fn config(
        &self,
        command: libc::c_uint,
        key: Option<&CStr>,
        value: Option<&CStr>,
    ) -> io::Result<()> {
        let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: strings end in NUL and outlive the call; null where the command takes none.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                self.0.as_raw_fd(),
                command,
                pointer(key),
                pointer(value),
                0,
            )
        };
        done(answer).map_err(|error| self.explain(error))
    }

    /// Adds what the kernel wrote about the failure: "Invalid argument" alone helps nobody. An error
    /// that callers branch on (no space) stays as it is.
    fn explain(&self, error: io::Error) -> io::Error {
        let mut said = [0_u8; 1024];
        let read = nix::unistd::read(self.0.as_fd(), &mut said).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..read]);
        if read == 0 || matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) {
            return error;
        }
        io::Error::new(
            error.kind(),
            format!("{error} (the kernel says: {})", said.trim()),
        )
    }
}

/// Gives the calling thread a mount namespace of its own: it sees what the host mounts and unmounts
/// from now on, and what it mounts nobody else sees.
///
/// Call it only on a thread made for this, never on one of a pool.
pub(crate) fn enter_private_namespace() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_SLAVE | MsFlags::MS_REC,
        None::<&str>,
    )?;
    Ok(())
}

/// Whether something is mounted exactly at `path` (the last step is not followed if it is a link).
pub(crate) fn is_mount_point(path: &Path) -> io::Result<bool> {
    let path = c_path(path)?;
    match is_mount_root(None, &path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        answer => answer,
    }
}

/// Whether `path` below `dir` is the root of a mount. Allocates nothing.
pub(crate) fn is_mount_root(dir: Option<BorrowedFd<'_>>, path: &CStr) -> io::Result<bool> {
    let flags = libc::AT_SYMLINK_NOFOLLOW
        | libc::AT_NO_AUTOMOUNT
        | if path.is_empty() {
            libc::AT_EMPTY_PATH
        } else {
            0
        };
    let dir = dir.map_or(libc::AT_FDCWD, |dir| dir.as_raw_fd());
    // SAFETY: all zeroes is a valid `statx`, a structure of integers.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the string ends in NUL, the structure is ours and large enough.
    let answer = unsafe { libc::statx(dir, path.as_ptr(), flags, 0, &raw mut stat) };
    done(libc::c_long::from(answer))?;
    Ok(stat.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0)
}

/// Cuts the mount at `name` below the working directory, and all below it, off from what mirrors
/// them. Allocates nothing.
pub(crate) fn make_private(name: &CStr) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: 0,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the string ends in NUL, and the structure is of the size that is passed with it.
    done(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            name.as_ptr(),
            libc::AT_RECURSIVE | libc::AT_SYMLINK_NOFOLLOW,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// A path as the kernel takes it.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

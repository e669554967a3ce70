//! Changing the mounts of a running container.
//!
//! What is to be mounted is first attached on a stage of its own, in a mount namespace of the host's
//! user namespace. A forked child then joins the container's user namespace and copies that mount
//! namespace into it, which *locks* the flags: mounted straight, the container's root could take
//! read-only off another service's volume, or `nodev` off an image that holds device nodes. A clone
//! out of the copy keeps the locks and is moved to its place.
//!
//! From then on the child has no rights on the host, so whatever the container does to the paths on
//! the way (links, mounts, file systems that never answer) it does to itself; the child has a deadline.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    path::Path,
    time::Duration,
};

use nix::sys::stat::Mode;

use crate::{
    Running,
    error::{Doing, StepError},
    sys::{
        confined::{self, open_in_root, prefixes},
        fork::{self, Failed, Inherits, Terms},
        mount::{self, Detached},
        pidfd::{self, PidFd},
    },
};

/// Longest time a container can hold up a change to its mounts.
const DEADLINE: Duration = Duration::from_secs(10);

/// What stands at the end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// The namespaces of a running container.
pub(crate) struct Inside {
    user: File,
    mounts: File,
    /// Which life this is.
    boot: String,
}

impl Inside {
    /// Those of this life; `None` when it has ended.
    pub(crate) fn of(life: &Running) -> Result<Option<Self>, StepError> {
        let doing = format!("open the namespaces of process {}", life.init_pid);
        let Ok(process) = PidFd::open(life.init_pid) else {
            return Ok(None);
        };
        let open = |name: &str| File::open(format!("/proc/{}/ns/{name}", life.init_pid));
        let (user, mounts) = (open("user"), open("mnt"));
        // Looked at after opening: if the life still is the same, the files are its own.
        let same = pidfd::start_and_parent(life.init_pid)
            .is_some_and(|(started, _)| started == life.started_ticks);
        if !same || process.wait(Duration::ZERO).doing(&doing)? {
            return Ok(None);
        }
        Ok(Some(Self {
            user: user.doing(&doing)?,
            mounts: mounts.doing(&doing)?,
            boot: life.boot.clone(),
        }))
    }

    /// Mounts what is attached at `name` in the calling thread's working directory (a stage) at
    /// `target` in the container. Directories on the way and the target are made if absent; what is
    /// mounted on the target already is unmounted.
    pub(crate) fn bring(&self, name: &str, target: &Path, kind: Kind) -> Result<(), StepError> {
        let doing = format!("mount at {} in the container", target.display());
        let way = Way::to(target).doing(&doing)?;
        let name = CString::new(name).map_err(io::Error::from).doing(&doing)?;
        // SAFETY: `bring_inside` makes system calls only; everything it needs was allocated above.
        unsafe { self.send(|| bring_inside(self, &name, &way, kind)) }
            .map(drop)
            .doing(&doing)
    }

    /// Unmounts everything at and below `target` in the container and removes the mount point.
    pub(crate) fn take_away(&self, target: &Path) -> Result<(), StepError> {
        let doing = format!("unmount {} in the container", target.display());
        let way = Way::to(target).doing(&doing)?;
        // SAFETY: as above.
        unsafe { self.send(|| take_away_inside(self, &way)) }
            .map(drop)
            .doing(&doing)
    }

    /// The pid namespace that the proc mounted in `root`, a directory in the container, belongs to, by
    /// the number that `/proc/<pid>/ns/pid` shows. What the container shows there may be a lie. `None`
    /// when nothing of the kind is there.
    pub(crate) fn pid_namespace(&self, root: &Path) -> Result<Option<u64>, StepError> {
        let doing = format!("look into {} in the container", root.display());
        let namespaces = confined::relative(&root.join("proc/1/ns")).doing(&doing)?;
        // SAFETY: as above.
        let number = unsafe { self.send(|| pid_namespace_inside(self, &namespaces)) };
        number
            .map(|number| (number != 0).then_some(number))
            .doing(&doing)
    }

    /// Sends a child in. It takes nothing along but the namespaces: it may be held up for as long as
    /// the container lives, and so would be every lock and socket of ours.
    ///
    /// # Safety
    /// As for [`fork::run`].
    unsafe fn send(&self, errand: impl FnOnce() -> Result<u64, Failed>) -> io::Result<u64> {
        let kept = [self.user.as_raw_fd(), self.mounts.as_raw_fd()];
        let terms = Terms {
            owner: &self.boot,
            inherits: Inherits::Only(&kept),
            at_most: DEADLINE,
        };
        // SAFETY: the caller's promise.
        unsafe { fork::run(&terms, errand) }.and_then(tell)
    }
}

/// A path in the container, taken apart before the fork.
struct Way {
    /// Each directory above the target: path from the root, own name.
    above: Vec<(CString, CString)>,
    /// The target: path from the root, own name.
    target: (CString, CString),
}

impl Way {
    fn to(path: &Path) -> io::Result<Self> {
        let mut above = prefixes(path)?;
        let target = above.pop().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the container's root is no mount point",
            )
        })?;
        Ok(Self { above, target })
    }
}

const STEPS: [&str; 10] = [
    "tell what went wrong",
    "join the container's user namespace",
    "lock the mount's flags",
    "clone the locked mount",
    "join the container's mounts",
    "become the container's root",
    "find the directory",
    "make or clear the mount point",
    "attach the mount",
    "read the link",
];

fn tell(outcome: Result<u64, Failed>) -> io::Result<u64> {
    outcome.map_err(|Failed { step, errno }| {
        let error = io::Error::from_raw_os_error(errno);
        let step = usize::try_from(step)
            .ok()
            .and_then(|step| STEPS.get(step))
            .unwrap_or(&STEPS[0]);
        io::Error::new(error.kind(), format!("could not {step}: {error}"))
    })
}

fn setns(namespace: &File, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: a descriptor and an integer.
    match unsafe { libc::setns(namespace.as_raw_fd(), kind) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// System calls only: runs in a forked child.
fn bring_inside(inside: &Inside, name: &CStr, way: &Way, kind: Kind) -> Result<u64, Failed> {
    Failed::at(1, setns(&inside.user, libc::CLONE_NEWUSER))?;
    // SAFETY: one integer. The copy belongs to the user namespace just joined: that is the lock.
    let copied = match unsafe { libc::unshare(libc::CLONE_NEWNS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    Failed::at(2, copied)?;
    let mount = Failed::at(3, Detached::clone_at(None, name))?;
    let root = join_mounts(inside)?;
    let above = find_above(&root, way, true)?;
    let target = Failed::at(7, clear_target(&root, &above, way, kind))?;
    Failed::at(8, mount.attach(target.as_fd()))?;
    Ok(0)
}

/// System calls only: runs in a forked child.
fn take_away_inside(inside: &Inside, way: &Way) -> Result<u64, Failed> {
    Failed::at(1, setns(&inside.user, libc::CLONE_NEWUSER))?;
    let root = join_mounts(inside)?;
    let above = match find_above(&root, way, false) {
        Err(Failed {
            errno: libc::ENOENT | libc::ENOTDIR,
            ..
        }) => return Ok(0),
        found => found?,
    };
    Failed::at(7, unmount_all(&above, &way.target.1))?;
    // Left over if something is in it, which then is the container's own.
    // SAFETY: a descriptor and a string that ends in NUL.
    unsafe { libc::unlinkat(above.as_raw_fd(), way.target.1.as_ptr(), libc::AT_REMOVEDIR) };
    Ok(0)
}

/// System calls only: runs in a forked child. 0 when there is nothing to read.
fn pid_namespace_inside(inside: &Inside, namespaces: &CStr) -> Result<u64, Failed> {
    Failed::at(1, setns(&inside.user, libc::CLONE_NEWUSER))?;
    let root = join_mounts(inside)?;
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let Ok(dir) = open_in_root(root.as_fd(), namespaces, flags) else {
        return Ok(0);
    };
    let mut text = [0_u8; 64];
    // SAFETY: a descriptor, a string that ends in NUL, and a place of the length that is passed with it.
    let length = unsafe {
        libc::readlinkat(
            dir.as_raw_fd(),
            c"pid".as_ptr(),
            text.as_mut_ptr().cast(),
            text.len(),
        )
    };
    let text = usize::try_from(length)
        .ok()
        .and_then(|length| text.get(..length));
    Ok(text.and_then(number_of_pid_namespace).unwrap_or(0))
}

/// The number in `pid:[4026531836]`. Allocates nothing.
fn number_of_pid_namespace(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"pid:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Joins the container's mounts as its root, and opens the topmost directory.
fn join_mounts(inside: &Inside) -> Result<OwnedFd, Failed> {
    Failed::at(4, setns(&inside.mounts, libc::CLONE_NEWNS))?;
    Failed::at(5, become_root())?;
    Failed::at(6, open_root())
}

/// Raw calls: libc's own would try to change every thread of a process that has only this one left.
fn become_root() -> io::Result<()> {
    for call in [libc::SYS_setresgid, libc::SYS_setresuid] {
        // SAFETY: three integers.
        if unsafe { libc::syscall(call, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    fork::die_with_parent();
    Ok(())
}

fn open_root() -> io::Result<OwnedFd> {
    // SAFETY: a string that ends in NUL; the answer is ours.
    let fd = unsafe {
        libc::open(
            c"/".as_ptr(),
            libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fresh and unowned.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn find_above(root: &OwnedFd, way: &Way, make: bool) -> Result<OwnedFd, Failed> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let mut above = Failed::at(6, open_in_root(root.as_fd(), c".", flags))?;
    for (path, name) in &way.above {
        let found = match open_in_root(root.as_fd(), path, flags) {
            Err(error) if make && error.raw_os_error() == Some(libc::ENOENT) => {
                let made = nix::sys::stat::mkdirat(
                    &above,
                    name.as_c_str(),
                    Mode::from_bits_truncate(0o755),
                );
                Failed::at(6, made.map_err(io::Error::from))?;
                open_in_root(root.as_fd(), path, flags)
            }
            found => found,
        };
        above = Failed::at(6, found)?;
    }
    Ok(above)
}

fn clear_target(root: &OwnedFd, above: &OwnedFd, way: &Way, kind: Kind) -> io::Result<OwnedFd> {
    let (path, name) = &way.target;
    unmount_all(above, name)?;
    if kind == Kind::File {
        // The SDK makes a directory for whatever it has mounted of a dependency, also for a file: an empty one gives
        // way. What else is there stays, and what cannot be mounted on it is refused below.
        // SAFETY: a descriptor and a string that ends in NUL.
        unsafe { libc::unlinkat(above.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) };
    }
    match open_in_root(root.as_fd(), path, libc::O_PATH) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        found => return found,
    }
    // SAFETY: a descriptor, a string that ends in NUL, integers.
    let made = unsafe {
        match kind {
            Kind::Directory => libc::mkdirat(above.as_raw_fd(), name.as_ptr(), 0o755),
            Kind::File => libc::mknodat(above.as_raw_fd(), name.as_ptr(), libc::S_IFREG | 0o644, 0),
        }
    };
    if made != 0 {
        return Err(io::Error::last_os_error());
    }
    open_in_root(root.as_fd(), path, libc::O_PATH)
}

/// Detaches every mount stacked on `name` below `above`; each takes with it what is mounted below.
fn unmount_all(above: &OwnedFd, name: &CStr) -> io::Result<()> {
    // SAFETY: a descriptor. The path of an unmount can only be relative to the working directory.
    if unsafe { libc::fchdir(above.as_raw_fd()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Bounded: a container that mounts as fast as we unmount only delays itself.
    for _ in 0..64 {
        match mount::is_mount_root(Some(above.as_fd()), name) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
            Ok(false) => return Ok(()),
            answer => answer?,
        };
        // Packages bind the container's own /sys and /dev into a subcontainer. Those mirror what
        // happens here: without this, unmounting the copy would take /sys/fs/cgroup and /dev/pts
        // from the container, too.
        mount::make_private(name)?;
        // SAFETY: a string that ends in NUL.
        if unsafe { libc::umount2(name.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::number_of_pid_namespace;

    #[test]
    fn only_a_link_of_the_kernels_own_shape_names_a_pid_namespace() {
        assert_eq!(
            number_of_pid_namespace(b"pid:[4026531836]"),
            Some(4_026_531_836)
        );
        for lie in [
            &b"pid:[]"[..],
            b"mnt:[1]",
            b"pid:[1",
            b"pid:[-1]",
            b"/proc/1",
            b"",
        ] {
            assert_eq!(number_of_pid_namespace(lie), None);
        }
    }
}

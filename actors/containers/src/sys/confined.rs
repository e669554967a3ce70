//! Reaching into a tree that somebody else wrote, without ever leaving it.
//!
//! Every path is resolved by the kernel with the tree's root as its root: links may point anywhere,
//! they end up inside.

use std::{
    ffi::{CStr, CString, OsStr},
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    fcntl::{AtFlags, OFlag, openat},
    sys::stat::{Mode, fchmod, mkdirat},
    unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, unlinkat},
};

use crate::sys::{mount::open_path, owned};

/// How often the kernel is asked again for a path in a tree that is being renamed.
const MOST_TRIES: u32 = 1000;

/// Opens `path` below `root` with nothing of it leading out. Allocates nothing.
pub(crate) fn open_in_root(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
) -> io::Result<OwnedFd> {
    // SAFETY: all zeroes is a valid `open_how`, a structure of integers.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from((flags | libc::O_CLOEXEC).unsigned_abs());
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        tries += 1;
        // SAFETY: the string ends in NUL, the structure has the size that is passed with it.
        let answer = unsafe {
            owned(libc::syscall(
                libc::SYS_openat2,
                root.as_raw_fd(),
                path.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            ))
        };
        match answer {
            // The tree was renamed under us or a signal came: the kernel asks to try again. Whoever
            // owns the tree could go on renaming, so not for ever.
            Err(error)
                if tries < MOST_TRIES
                    && matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            answer => return answer,
        }
    }
}

/// A tree that somebody else wrote, and the host ids of its user 0.
pub(crate) struct Confined {
    root: OwnedFd,
    owner: u32,
}

impl Confined {
    /// Takes `root`, itself a path of the host's own; what is made below belongs to host id `owner`.
    pub(crate) fn open(root: &Path, owner: u32) -> io::Result<Self> {
        Ok(Self {
            root: open_path(root)?,
            owner,
        })
    }

    /// Opens what is at `path`.
    pub(crate) fn at(&self, path: &Path) -> io::Result<OwnedFd> {
        open_in_root(self.root.as_fd(), &relative(path)?, libc::O_PATH)
    }

    /// Makes a directory and those above it, 0755; existing ones stay as they are.
    pub(crate) fn make_dirs(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let mut above = open_in_root(self.root.as_fd(), c".", flags)?;
        for (prefix, name) in prefixes(path)? {
            let dir = match open_in_root(self.root.as_fd(), &prefix, flags) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    mkdirat(&above, name.as_c_str(), Mode::from_bits_truncate(0o755))?;
                    self.give(&above, &name)?;
                    open_in_root(self.root.as_fd(), &prefix, flags)?
                }
                answer => answer?,
            };
            above = dir;
        }
        Ok(above)
    }

    /// Makes an empty file, and the directories above it, unless something is there.
    pub(crate) fn make_file(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.at(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.write(path, b"", 0o644)?;
                self.at(path)
            }
            answer => answer,
        }
    }

    /// Writes a file whole. What was there is replaced, not followed; the directories above are made.
    pub(crate) fn write(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let (above, name) = split(path)?;
        let above = self.make_dirs(above)?;
        match unlinkat(&above, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(
            &above,
            name,
            flags,
            Mode::from_bits_truncate(0o600),
        )?);
        file.write_all(content)?;
        fchown(
            &file,
            Some(Uid::from_raw(self.owner)),
            Some(Gid::from_raw(self.owner)),
        )?;
        fchmod(&file, Mode::from_bits_truncate(mode))?;
        Ok(())
    }

    fn give(&self, above: &OwnedFd, name: &CStr) -> io::Result<()> {
        let owner = (
            Some(Uid::from_raw(self.owner)),
            Some(Gid::from_raw(self.owner)),
        );
        fchownat(above, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}

/// A path as one below a root: `/a/b` and `a/b` are the same, the root itself is `.`.
pub(crate) fn relative(path: &Path) -> io::Result<CString> {
    let steps: PathBuf = path
        .components()
        .filter(|step| matches!(step, Component::Normal(_)))
        .collect();
    if path.components().any(|step| step == Component::ParentDir) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path contains `..`",
        ));
    }
    let steps = if steps.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        steps
    };
    Ok(CString::new(steps.as_os_str().as_bytes())?)
}

/// Every directory on the way to `path`, from the outermost to `path` itself, each with its own name.
pub(crate) fn prefixes(path: &Path) -> io::Result<Vec<(CString, CString)>> {
    let mut found = Vec::new();
    let mut prefix = PathBuf::new();
    for step in path.components() {
        match step {
            Component::Normal(name) => {
                prefix.push(name);
                found.push((relative(&prefix)?, CString::new(name.as_bytes())?));
            }
            Component::ParentDir => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the path contains `..`",
                ));
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(found)
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    path.parent()
        .zip(path.file_name())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn tree() -> (tempfile::TempDir, Confined) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let owner = nix::unistd::getuid().as_raw();
        let confined = Confined::open(&dir.path().join("root"), owner).unwrap();
        (dir, confined)
    }

    #[test]
    fn a_link_that_points_out_of_the_tree_ends_up_inside() {
        let (dir, confined) = tree();
        fs::create_dir(dir.path().join("outside")).unwrap();
        symlink(dir.path().join("outside"), dir.path().join("root/etc")).unwrap();
        let refused = confined.write(Path::new("/etc/hosts"), b"x", 0o644);
        assert!(refused.is_err(), "the link's target does not exist inside");
        assert!(!dir.path().join("outside/hosts").exists());
    }

    #[test]
    fn a_file_that_is_a_link_is_replaced_not_followed() {
        let (dir, confined) = tree();
        fs::write(dir.path().join("secret"), "keep").unwrap();
        fs::create_dir(dir.path().join("root/etc")).unwrap();
        symlink(dir.path().join("secret"), dir.path().join("root/etc/hosts")).unwrap();
        confined
            .write(Path::new("etc/hosts"), b"new", 0o644)
            .unwrap();
        assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"keep");
        assert_eq!(fs::read(dir.path().join("root/etc/hosts")).unwrap(), b"new");
    }

    #[test]
    fn directories_are_made_and_kept() {
        let (dir, confined) = tree();
        confined.make_dirs(Path::new("/a/b/c")).unwrap();
        confined.make_dirs(Path::new("a/b/c")).unwrap();
        assert!(dir.path().join("root/a/b/c").is_dir());
        confined.make_file(Path::new("a/f")).unwrap();
        assert!(dir.path().join("root/a/f").is_file());
    }

    #[test]
    fn climbing_is_refused_before_the_kernel_is_asked() {
        let (_dir, confined) = tree();
        assert!(confined.make_dirs(Path::new("../x")).is_err());
        assert!(confined.at(Path::new("a/../../x")).is_err());
    }
}

//! Removing a tree that a container wrote.
//!
//! Such a tree may be as deep and as wide as its author likes. So there is no recursion, no open
//! descriptor per level, and no list of what is still to do: a directory that is not empty is moved up
//! to the top, and what lies at the top is emptied, until nothing lies there.
//!
//! A crate of its own, because the containers, the jobs and `make clean-run` all need it and nothing
//! else of each other.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::{
    ffi::{CStr, CString},
    fs, io,
    os::fd::AsFd,
    path::Path,
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, openat, renameat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, unlinkat},
};

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Removes `path` and everything below it, following no link. A path that is not there is fine.
///
/// Blocks for as long as the disk takes, so keep it off threads that others wait for. Whoever wrote
/// the tree must have ended.
///
/// # Errors
/// When something below cannot be removed, for example a mount point.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(path),
        Ok(_) => {}
    }
    let top = nix::fcntl::open(path, DIRECTORY, Mode::empty())?;
    let mut moved = 0_u64;
    loop {
        let mut found = false;
        each_name(&top, |name| {
            found = true;
            if is_full(&top, name)? {
                empty(&top, name, &mut moved)?;
            }
            Ok(())
        })?;
        match fs::remove_dir(path) {
            // What was moved up while the top was read may not have been listed.
            Err(error) if found && error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            done => return done,
        }
    }
}

/// Removes `name` at the top, a directory; what is in it and not empty itself is moved to the top.
fn empty(top: &impl AsFd, name: &CStr, moved: &mut u64) -> io::Result<()> {
    let dir = openat(top, name, DIRECTORY, Mode::empty())?;
    loop {
        let mut found = false;
        each_name(&dir, |entry| {
            found = true;
            if is_full(&dir, entry)? {
                move_up(&dir, entry, top, moved)?;
            }
            Ok(())
        })?;
        match unlinkat(top, name, UnlinkatFlags::RemoveDir) {
            // Not every file system lists all that is there while entries go away.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) if found => {}
            done => return Ok(done?),
        }
    }
}

/// Removes an entry, unless it is a directory with something in it: then it says so.
fn is_full(dir: &impl AsFd, entry: &CStr) -> io::Result<bool> {
    match unlinkat(dir, entry, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(false),
        Err(Errno::EISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    match unlinkat(dir, entry, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(false),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Moves `entry` to a fresh name at the top.
fn move_up(dir: &impl AsFd, entry: &CStr, top: &impl AsFd, moved: &mut u64) -> io::Result<()> {
    loop {
        let name = CString::new(format!(".removing-{moved}"))?;
        *moved += 1;
        match renameat(dir, entry, top, name.as_c_str()) {
            Ok(()) => return Ok(()),
            // The author of the tree happened upon the name.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Shows every entry of a directory while it is read; a list of them could be longer than memory.
fn each_name(dir: &impl AsFd, mut show: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
    let mut listing = Dir::openat(dir, c".", DIRECTORY, Mode::empty())?;
    for entry in listing.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            show(name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_removed_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/file"), "x").unwrap();
        fs::create_dir_all(dir.path().join("gone/a/b")).unwrap();
        symlink(dir.path().join("kept"), dir.path().join("gone/a/b/link")).unwrap();
        remove_tree(&dir.path().join("gone")).unwrap();
        assert!(!dir.path().join("gone").exists());
        assert!(dir.path().join("kept/file").exists());
        remove_tree(&dir.path().join("gone")).unwrap();
    }

    #[test]
    fn a_tree_deeper_than_any_path_may_be_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("deep");
        fs::create_dir(&top).unwrap();
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let mut at = nix::fcntl::open(&top, flags, Mode::empty()).unwrap();
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
            at = openat(&at, "d", flags, Mode::empty()).unwrap();
        }
        drop(at);
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_bush_with_names_like_ours_is_removed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("bush");
        for a in 0..12 {
            for b in 0..12 {
                let deep = top.join(format!(".removing-{a}/{b}/{a}/.removing-{b}"));
                fs::create_dir_all(&deep).unwrap();
                fs::write(deep.join("file"), "x").unwrap();
            }
            fs::write(top.join(format!(".removing-{}", 20 + a)), "x").unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_file_or_link_in_the_trees_place_is_removed_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("kept")).unwrap();
        symlink(dir.path().join("kept"), dir.path().join("link")).unwrap();
        remove_tree(&dir.path().join("link")).unwrap();
        assert!(dir.path().join("kept").exists());
        assert!(fs::symlink_metadata(dir.path().join("link")).is_err());
    }
}

//! Removing a tree that a container wrote.
//!
//! Such a tree may be as deep as its author likes, so there is no recursion and no open descriptor
//! per level: a directory that is not empty is moved up to the top and emptied there.

use std::{ffi::CString, fs, io, os::fd::AsFd, path::Path};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, openat, renameat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, unlinkat},
};

/// Removes `path` and everything below it, following no link. A path that is not there is fine.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(path),
        Ok(_) => {}
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let top = nix::fcntl::open(path, flags, Mode::empty())?;
    let mut moved = 0_u64;
    let mut ahead = vec![CString::from(c".")];
    while let Some(name) = ahead.pop() {
        let dir = openat(&top, name.as_c_str(), flags, Mode::empty())?;
        for entry in names(&dir)? {
            match unlinkat(&dir, entry.as_c_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => continue,
                Err(Errno::EISDIR) => {}
                Err(error) => return Err(error.into()),
            }
            match unlinkat(&dir, entry.as_c_str(), UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => continue,
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
            ahead.push(move_up(&dir, &entry, &top, &mut moved)?);
        }
        if name.as_c_str() != c"." {
            unlinkat(&top, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
    fs::remove_dir(path)
}

/// Moves `entry` to a fresh name at the top.
fn move_up(
    dir: &impl AsFd,
    entry: &CString,
    top: &impl AsFd,
    moved: &mut u64,
) -> io::Result<CString> {
    loop {
        let name = CString::new(format!(".removing-{moved}"))?;
        *moved += 1;
        match renameat(dir, entry.as_c_str(), top, name.as_c_str()) {
            Ok(()) => return Ok(name),
            // The author of the tree happened upon the name.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn names(dir: &impl AsFd) -> io::Result<Vec<CString>> {
    let mut listing = Dir::openat(
        dir,
        c".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::fs::symlink};

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
        assert!(env::current_dir().is_ok());
    }
}

//! Going through a tree of cgroups.
//!
//! A container may make cgroups below its own as it likes: longer than any path may be, deeper than
//! this process has descriptors or stack. So there is one open directory at a time and no path; the way
//! back is `..`, which a cgroup never loses, since none can be moved under another.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Shows `top` and every cgroup below it, each before those in it (`enter`); and, when all that is below
/// has been shown, every one but `top` once more, as a name in the one above it (`leave`). Where there is
/// no `top` there is nothing to show.
pub(super) fn walk(
    top: &Path,
    mut enter: impl FnMut(&OwnedFd),
    mut leave: impl FnMut(&OwnedFd, &CStr) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = match nix::fcntl::open(top, DIRECTORY, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        opened => opened?,
    };
    enter(&at);
    let mut ahead = vec![children(&at)?];
    let mut names: Vec<CString> = Vec::new();
    while let Some(here) = ahead.last_mut() {
        let Some(child) = here.pop() else {
            ahead.pop();
            if let Some(name) = names.pop() {
                at = openat(&at, c"..", DIRECTORY, Mode::empty())?;
                leave(&at, &name)?;
            }
            continue;
        };
        match openat(&at, child.as_c_str(), DIRECTORY, Mode::empty()) {
            // Gone since it was listed.
            Err(Errno::ENOENT | Errno::ENODEV) => continue,
            opened => at = opened?,
        }
        enter(&at);
        ahead.push(children(&at)?);
        names.push(child);
    }
    Ok(())
}

/// The text of a cgroup's file; `None` where there is none, or it cannot be read (a threaded cgroup has
/// no list of processes).
pub(super) fn text(dir: &OwnedFd, file: &CStr) -> Option<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let mut open = File::from(openat(dir, file, flags, Mode::empty()).ok()?);
    let mut text = String::new();
    open.read_to_string(&mut text).ok()?;
    Some(text)
}

fn children(dir: &impl AsFd) -> io::Result<Vec<CString>> {
    let mut found = Vec::new();
    let mut listing = match Dir::openat(dir, c".", DIRECTORY, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENODEV) => return Ok(found),
        opened => opened?,
    };
    for entry in listing.iter() {
        let Ok(entry) = entry else { break };
        let name = entry.file_name();
        if entry.file_type() == Some(Type::Directory) && name != c"." && name != c".." {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::{sys::stat::mkdirat, unistd::UnlinkatFlags, unistd::unlinkat};

    use super::*;

    #[test]
    fn every_directory_is_entered_before_and_left_after_those_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/b", "a/c", "d"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
            fs::write(dir.path().join(path).join("name"), path).unwrap();
        }
        let (mut entered, mut left) = (Vec::new(), Vec::new());
        walk(
            dir.path(),
            |at| entered.push(text(at, c"name").unwrap_or_default()),
            |_, name| {
                left.push(name.to_string_lossy().into_owned());
                Ok(())
            },
        )
        .unwrap();
        entered.sort();
        assert_eq!(entered, ["", "", "a/b", "a/c", "d"]);
        let place = |name: &str| left.iter().position(|other| other == name);
        assert!(
            place("a") > place("b") && place("a") > place("c"),
            "{left:?}"
        );
        assert_eq!(left.len(), 4);
    }

    #[test]
    fn what_is_longer_than_any_path_is_walked_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let name = CString::new("n".repeat(200)).unwrap();
        let mut at = nix::fcntl::open(dir.path(), DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3000 {
            mkdirat(&at, name.as_c_str(), Mode::S_IRWXU).unwrap();
            at = openat(&at, name.as_c_str(), DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        let mut entered = 0;
        walk(
            dir.path(),
            |_| entered += 1,
            |above, name| Ok(unlinkat(above, name, UnlinkatFlags::RemoveDir)?),
        )
        .unwrap();
        assert_eq!(entered, 3001);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn where_nothing_is_nothing_is_shown() {
        walk(Path::new("/not/there"), |_| panic!(), |_, _| panic!()).unwrap();
    }
}

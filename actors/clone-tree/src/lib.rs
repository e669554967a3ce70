//! A second copy of a tree that a container wrote, made while nothing runs in that container.
//!
//! Where the file system can, the copy of a file shares the file's blocks (reflink) and costs neither time
//! nor room. Elsewhere it is copied with its holes, and only when there is room for all of it.
//!
//! Invariants:
//! - No link is followed and nothing is opened by more than one name, so the tree leads nowhere else.
//! - Kept are contents, holes, owners, modes, times, extended attributes, symbolic and hard links, pipes,
//!   sockets and device nodes.
//! - A hostile tree costs time and room, never the stack, descriptors or memory: depth and number of files
//!   are limited, and hard links are remembered on the disk.
//! - When it returns, the copy is on the disk.

mod attributes;
mod file;
mod walk;

pub use attributes::copy_attributes;

use std::{
    fs, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use nix::sys::statvfs::statvfs;

use self::walk::Walk;

/// Within what a copy must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Folders within folders. Each costs three descriptors while it is copied.
    pub depth: usize,
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes that must stay free on the disk.
    pub spare_bytes: u64,
}

/// How far a copy is, in bytes of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Copied or shared.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Told of every file and of every piece of a long one; `Break` ends the copy.
pub type Show<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// What a copy came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cloned {
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// How many of these are shared with the original.
    pub shared_bytes: u64,
}

/// Why a tree was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// Folders within folders.
    #[error("`{path}` is more than {most} folders deep")]
    TooDeep {
        /// Where.
        path: PathBuf,
        /// So many are allowed.
        most: usize,
    },
    /// Files, folders and links.
    #[error("there are more than {most} files")]
    TooMany {
        /// So many are allowed.
        most: u64,
    },
    /// The disk has no room for it.
    #[error("the copy needs {needed_mib} MiB and {free_mib} MiB are to spare; free some space")]
    NoRoom {
        /// What it takes, in MiB.
        needed_mib: u64,
        /// What may be taken, in MiB.
        free_mib: u64,
    },
    /// Whoever was shown the progress ended it.
    #[error("the copy was called off")]
    Stopped,
    /// Something could not be read or written.
    #[error("could not copy `{path}`: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Copies the folder `from` to `to`, which must not be there. Blocks.
///
/// # Errors
/// When something cannot be copied, `bounds` are exceeded or `show` ends it. What is there of `to` by then,
/// and of its neighbour `<to>.links`, is the caller's to remove.
pub fn clone_tree(
    from: &Path,
    to: &Path,
    bounds: &Bounds,
    show: &mut Show<'_>,
) -> Result<Cloned, CloneError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| CloneError::Io { path, source }
    };
    let measured = walk::measure(from, bounds)?;
    fs::create_dir(to).map_err(at(to))?;
    let share = file::can_share(to).map_err(at(to))?;
    let needed = if share { 0 } else { measured.allocated };
    let free = spare(to, bounds).map_err(at(to))?;
    if needed > free || free == 0 {
        return Err(no_room(needed, free));
    }
    let links = links_of(to);
    fs::create_dir(&links).map_err(at(&links))?;
    let mut walk = Walk::new(bounds, measured.bytes, share, show);
    walk.copy(from, to, &links)?;
    fs::remove_dir_all(&links).map_err(at(&links))?;
    let folder = fs::File::open(to).map_err(at(to))?;
    nix::unistd::syncfs(&folder).map_err(|errno| at(to)(errno.into()))?;
    Ok(walk.cloned())
}

/// Where the first name of every file with several is kept while a tree is copied to `to`.
#[must_use]
pub fn links_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".links");
    PathBuf::from(name)
}

/// Bytes that may be taken on the disk of `folder`.
fn spare(folder: &Path, bounds: &Bounds) -> io::Result<u64> {
    let disk = statvfs(folder)?;
    let free = disk.blocks_available() as u64 * disk.fragment_size() as u64;
    Ok(free.saturating_sub(bounds.spare_bytes))
}

fn no_room(needed: u64, free: u64) -> CloneError {
    CloneError::NoRoom {
        needed_mib: needed.div_ceil(1 << 20),
        free_mib: free >> 20,
    }
}

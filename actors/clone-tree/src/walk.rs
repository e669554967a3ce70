//! Through a tree, folder by folder, by descriptors.

use std::{
    ffi::{CStr, OsStr},
    fs::File,
    io,
    ops::ControlFlow,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, readlinkat},
    sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, fstatat, mkdirat, mknodat},
    unistd::{linkat, symlinkat},
};

use crate::{
    Bounds, CloneError, Cloned, Progress, Show, attributes,
    file::{self, Fault},
    no_room, spare,
};

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
/// A pipe in the place of the file that was there a moment ago is not waited for.
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);
const MAKE: OFlag = OFlag::O_RDWR
    .union(OFlag::O_CREAT)
    .union(OFlag::O_EXCL)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// What is in a tree.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    entries: u64,
    /// Of files as long as they say they are.
    pub(crate) bytes: u64,
    /// Of the disk.
    pub(crate) allocated: u64,
}

/// Where a walk is, for whoever is told what went wrong there.
struct Place {
    path: PathBuf,
    depth: usize,
}

impl Place {
    fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            depth: 0,
        }
    }

    fn fault(&self, source: impl Into<io::Error>) -> CloneError {
        CloneError::Io {
            path: self.path.clone(),
            source: source.into(),
        }
    }

    /// Does `work` one folder further down.
    fn below<T>(
        &mut self,
        bounds: &Bounds,
        work: impl FnOnce(&mut Self) -> Result<T, CloneError>,
    ) -> Result<T, CloneError> {
        if self.depth >= bounds.depth {
            return Err(CloneError::TooDeep {
                path: self.path.clone(),
                most: bounds.depth,
            });
        }
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        done
    }
}

/// Does `each` to every name in `dir`.
fn each_name(
    dir: &OwnedFd,
    place: &mut Place,
    mut each: impl FnMut(&mut Place, &CStr) -> Result<(), CloneError>,
) -> Result<(), CloneError> {
    // A descriptor of its own: the position in a folder belongs to it.
    let mut listed =
        Dir::openat(dir, ".", FOLDER, Mode::empty()).map_err(|errno| place.fault(errno))?;
    for entry in listed.iter() {
        let entry = entry.map_err(|errno| place.fault(errno))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        place.path.push(OsStr::from_bytes(name.to_bytes()));
        each(place, name)?;
        place.path.pop();
    }
    Ok(())
}

fn open_folder(path: &Path, place: &Place) -> Result<OwnedFd, CloneError> {
    nix::fcntl::open(path, FOLDER, Mode::empty()).map_err(|errno| place.fault(errno))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn size(stat: &FileStat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

fn stat_at(dir: &impl AsFd, name: &CStr, place: &Place) -> Result<FileStat, CloneError> {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|errno| place.fault(errno))
}

/// Looks through the tree at `path`.
pub(crate) fn measure(path: &Path, bounds: &Bounds) -> Result<Measured, CloneError> {
    let mut place = Place::at(path);
    let dir = open_folder(path, &place)?;
    let mut measured = Measured::default();
    measure_folder(&dir, &mut place, bounds, &mut measured)?;
    Ok(measured)
}

fn measure_folder(
    dir: &OwnedFd,
    place: &mut Place,
    bounds: &Bounds,
    measured: &mut Measured,
) -> Result<(), CloneError> {
    each_name(dir, place, |place, name| {
        let stat = stat_at(dir, name, place)?;
        measured.entries += 1;
        if measured.entries > bounds.entries {
            return Err(CloneError::TooMany {
                most: bounds.entries,
            });
        }
        match kind(&stat) {
            SFlag::S_IFREG => {
                // Each of a file's names has its share.
                #[allow(
                    clippy::unnecessary_cast,
                    reason = "on other kinds of machine it is a narrower number"
                )]
                let names = (stat.st_nlink as u64).max(1);
                measured.bytes += size(&stat) / names;
                let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
                measured.allocated += (blocks * 512).div_ceil(names);
            }
            SFlag::S_IFDIR => {
                let below =
                    openat(dir, name, FOLDER, Mode::empty()).map_err(|errno| place.fault(errno))?;
                place.below(bounds, |place| {
                    measure_folder(&below, place, bounds, measured)
                })?;
            }
            _ => {}
        }
        Ok(())
    })
}

/// A copy under way.
pub(crate) struct Walk<'a, 's> {
    bounds: &'a Bounds,
    progress: Progress,
    share: bool,
    show: &'a mut Show<'s>,
    cloned: Cloned,
}

impl<'a, 's> Walk<'a, 's> {
    pub(crate) fn new(bounds: &'a Bounds, total: u64, share: bool, show: &'a mut Show<'s>) -> Self {
        Self {
            bounds,
            progress: Progress { done: 0, total },
            share,
            show,
            cloned: Cloned::default(),
        }
    }

    pub(crate) fn cloned(&self) -> Cloned {
        self.cloned
    }

    pub(crate) fn copy(&mut self, from: &Path, to: &Path, links: &Path) -> Result<(), CloneError> {
        let mut place = Place::at(from);
        let dirs = Dirs {
            from: open_folder(from, &place)?,
            to: open_folder(to, &place)?,
        };
        let links = open_folder(links, &place)?;
        self.folder(dirs, &links, &mut place)
    }

    /// Copies what is in a folder, and then whose it is: its time would be changed by what is made in it.
    fn folder(&mut self, dirs: Dirs, links: &OwnedFd, place: &mut Place) -> Result<(), CloneError> {
        each_name(&dirs.from, place, |place, name| {
            self.entry(&dirs, links, place, name)
        })?;
        let (from, to) = (File::from(dirs.from), File::from(dirs.to));
        attributes::between(&from, &to).map_err(|error| place.fault(error))
    }

    fn entry(
        &mut self,
        dirs: &Dirs,
        links: &OwnedFd,
        place: &mut Place,
        name: &CStr,
    ) -> Result<(), CloneError> {
        self.cloned.entries += 1;
        if self.cloned.entries > self.bounds.entries {
            return Err(CloneError::TooMany {
                most: self.bounds.entries,
            });
        }
        let stat = stat_at(&dirs.from, name, place)?;
        match kind(&stat) {
            SFlag::S_IFDIR => {
                mkdirat(&dirs.to, name, Mode::S_IRWXU).map_err(|errno| place.fault(errno))?;
                let open = |dir: &OwnedFd, place: &Place| {
                    openat(dir, name, FOLDER, Mode::empty()).map_err(|errno| place.fault(errno))
                };
                let below = Dirs {
                    from: open(&dirs.from, place)?,
                    to: open(&dirs.to, place)?,
                };
                let bounds = self.bounds;
                place.below(bounds, |place| self.folder(below, links, place))
            }
            SFlag::S_IFREG => self.regular(dirs, links, place, name),
            SFlag::S_IFLNK => {
                let target = readlinkat(&dirs.from, name).map_err(|errno| place.fault(errno))?;
                symlinkat(target.as_os_str(), &dirs.to, name)
                    .and_then(|()| attributes::of_unopened(&dirs.to, name, &stat))
                    .map_err(|errno| place.fault(errno))
            }
            node => {
                let mode = Mode::from_bits_truncate(stat.st_mode);
                // The mask of this process takes from the mode, so it is set afterwards.
                mknodat(&dirs.to, name, node, mode, stat.st_rdev)
                    .and_then(|()| attributes::of_unopened(&dirs.to, name, &stat))
                    .and_then(|()| fchmodat(&dirs.to, name, mode, FchmodatFlags::FollowSymlink))
                    .map_err(|errno| place.fault(errno))
            }
        }
    }

    fn regular(
        &mut self,
        dirs: &Dirs,
        links: &OwnedFd,
        place: &Place,
        name: &CStr,
    ) -> Result<(), CloneError> {
        let fault = |errno: Errno| place.fault(errno);
        let from = openat(&dirs.from, name, READ, Mode::empty()).map_err(fault)?;
        // What was opened counts, whatever bore that name before.
        let stat = fstat(&from).map_err(fault)?;
        if kind(&stat) != SFlag::S_IFREG {
            return Err(place.fault(io::Error::other("it changed while it was copied")));
        }
        let first = (stat.st_nlink > 1).then(|| format!("{}-{}", stat.st_dev, stat.st_ino));
        if let Some(first) = &first {
            match linkat(links, first.as_str(), &dirs.to, name, AtFlags::empty()) {
                Ok(()) => return Ok(()),
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(fault(errno)),
            }
        }
        let made = openat(&dirs.to, name, MAKE, Mode::S_IRUSR | Mode::S_IWUSR).map_err(fault)?;
        let (from, to) = (File::from(from), File::from(made));
        self.contents(&from, &to, size(&stat), place)?;
        attributes::between(&from, &to).map_err(|error| place.fault(error))?;
        if let Some(first) = &first {
            linkat(&dirs.to, name, links, first.as_str(), AtFlags::empty()).map_err(fault)?;
        }
        Ok(())
    }

    fn contents(
        &mut self,
        from: &File,
        to: &File,
        size: u64,
        place: &Place,
    ) -> Result<(), CloneError> {
        self.cloned.bytes += size;
        if self.share && file::share(from, to).map_err(|error| place.fault(error))? {
            self.cloned.shared_bytes += size;
            return if self.shown(size) {
                Ok(())
            } else {
                Err(CloneError::Stopped)
            };
        }
        if self.share {
            // Nobody asked for room for this one yet.
            let free = spare(&place.path, self.bounds).map_err(|error| place.fault(error))?;
            if size > free {
                return Err(no_room(size, free));
            }
        }
        if !self.shown(0) {
            return Err(CloneError::Stopped);
        }
        let copied = file::copy(from, to, size, |bytes| self.shown(bytes));
        copied.map_err(|fault| match fault {
            Fault::Stopped => CloneError::Stopped,
            Fault::Io(error) => place.fault(error),
        })
    }

    /// Tells that so many bytes more are done; whether to go on.
    fn shown(&mut self, bytes: u64) -> bool {
        self.progress.done += bytes;
        (self.show)(self.progress) == ControlFlow::Continue(())
    }
}

/// A folder and its copy.
struct Dirs {
    from: OwnedFd,
    to: OwnedFd,
}

//! The contents of one file.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::Path,
};

use nix::{
    errno::Errno,
    unistd::{Whence, lseek},
};

/// Bytes copied between two looks at whether to go on.
const PIECE: usize = 1 << 20;

/// Why contents were not copied.
pub(crate) enum Fault {
    Stopped,
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether two files in `folder` may share their blocks.
pub(crate) fn can_share(folder: &Path) -> io::Result<bool> {
    let paths = ["one", "other"].map(|name| folder.join(format!(".share-{name}")));
    let tried = (|| {
        let [one, other] = [File::create_new(&paths[0])?, File::create_new(&paths[1])?];
        // Too long to be kept beside its name, where nothing can be shared.
        one.write_all_at(&[1; 65_536], 0)?;
        share(&one, &other)
    })();
    for path in &paths {
        fs::remove_file(path)?;
    }
    tried
}

/// Gives `to` the blocks of `from`; `false` where the file system, or these files, cannot.
pub(crate) fn share(from: &File, to: &File) -> io::Result<bool> {
    // SAFETY: FICLONE takes a descriptor, no memory; both are open for as long as the call lasts.
    let done = unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) };
    match Errno::result(done) {
        Ok(_) => Ok(true),
        Err(
            Errno::EOPNOTSUPP
            | Errno::EXDEV
            | Errno::EINVAL
            | Errno::ENOTTY
            | Errno::ENOSYS
            | Errno::ETXTBSY,
        ) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies what is in `from`, and where nothing is, nothing. `piece` is told of every piece, and answers whether
/// to go on.
pub(crate) fn copy(
    from: &File,
    to: &File,
    size: u64,
    mut piece: impl FnMut(u64) -> bool,
) -> Result<(), Fault> {
    let signed =
        |at: u64| i64::try_from(at).map_err(|_| io::Error::other("a file of more than 2^63 bytes"));
    let unsigned = |at: i64| u64::try_from(at).unwrap_or_default();
    to.set_len(size)?;
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < size {
        let begin = match lseek(from, signed(at)?, Whence::SeekData) {
            Ok(begin) => unsigned(begin),
            // Nothing but a hole follows.
            Err(Errno::ENXIO) => break,
            Err(errno) => return Err(io::Error::from(errno).into()),
        };
        let end = lseek(from, signed(begin)?, Whence::SeekHole).map_err(io::Error::from)?;
        let end = unsigned(end).min(size);
        at = begin;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            let read = from.read_at(&mut buffer[..most], at)?;
            if read == 0 {
                return Ok(());
            }
            to.write_all_at(&buffer[..read], at)?;
            at += read as u64;
            if !piece(read as u64) {
                return Err(Fault::Stopped);
            }
        }
    }
    Ok(())
}

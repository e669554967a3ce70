//! Making squashfs images that are the same for the same tree.
//!
//! Invariants:
//! - Names are walked in byte order and the image's own time is zero, so the bytes depend on the tree
//!   alone. With [`SquashStyle::Normalised`] not even on who checked it out, and when.
//! - Files go in before the folders that hold them, the root last: the writer requires it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use squashfs_ng::SquashfsError;
use squashfs_ng::write::{Source, SourceData, Writer};

/// Where the super block keeps the time of writing.
const TIME_OFFSET: u64 = 8;

/// What to keep of a tree besides names and contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SquashStyle {
    /// Owners, modes, times and extended attributes: a root filesystem.
    Faithful,
    /// Only whether files are executable; everything belongs to root and is from 1970. For code and
    /// assets, whose owner and time say only who packed them.
    Normalised,
}

/// A folder could not be squashed.
#[derive(Debug, thiserror::Error)]
pub enum SquashError {
    /// A part of it could not be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// Which part.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A part of it could not be added to the image.
    #[error("could not put `{}` into the image", path.display())]
    Add {
        /// Which part.
        path: PathBuf,
        /// Why.
        #[source]
        source: SquashfsError,
    },
    /// The image could not be written.
    #[error("could not write the image `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Squashes `folder` into the file `image`, replacing it.
///
/// Device nodes and sockets are left out: a container makes its own, and a service that brings a
/// device node has no business doing so.
///
/// # Errors
/// [`SquashError`] naming what could not be read or written.
pub fn squash(folder: &Path, image: &Path, style: SquashStyle) -> Result<(), SquashError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| SquashError::Write {
        path: image.to_owned(),
        source,
    };
    let writer = Writer::open(image).map_err(|error| failed(Box::new(error)))?;
    let mut squasher = Squasher { writer, style };
    squasher.add(folder)?;
    squasher
        .writer
        .finish()
        .map_err(|error| failed(Box::new(error)))?;
    // Closes the file: only then may its time be taken back.
    drop(squasher);
    let stamped = OpenOptions::new()
        .write(true)
        .open(image)
        .and_then(|file| file.write_all_at(&[0; 4], TIME_OFFSET));
    stamped.map_err(|error| failed(Box::new(error)))
}

struct Squasher {
    writer: Writer,
    style: SquashStyle,
}

impl Squasher {
    /// Adds a file or a whole folder and returns its number; none for what is left out.
    fn add(&mut self, path: &Path) -> Result<Option<u32>, SquashError> {
        let read = |source| SquashError::Read {
            path: path.to_owned(),
            source,
        };
        let metadata = fs::symlink_metadata(path).map_err(read)?;
        let kind = metadata.file_type();
        let data = if kind.is_dir() {
            let children = self.add_children(path)?;
            SourceData::Dir(Box::new(children.into_iter()))
        } else if kind.is_file() {
            SourceData::File(Box::new(File::open(path).map_err(read)?))
        } else if kind.is_symlink() {
            SourceData::Symlink(fs::read_link(path).map_err(read)?)
        } else if kind.is_fifo() {
            SourceData::Fifo
        } else {
            return Ok(None);
        };
        let source = self.source(path, data, &metadata).map_err(read)?;
        let added = self.writer.add(source);
        added.map(Some).map_err(|source| SquashError::Add {
            path: path.to_owned(),
            source,
        })
    }

    fn add_children(&mut self, folder: &Path) -> Result<Vec<(OsString, u32)>, SquashError> {
        let read = |source| SquashError::Read {
            path: folder.to_owned(),
            source,
        };
        let names = fs::read_dir(folder).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()
        });
        let mut names = names.map_err(read)?;
        names.sort();
        let mut children = Vec::with_capacity(names.len());
        for name in names {
            if let Some(number) = self.add(&folder.join(&name))? {
                children.push((name, number));
            }
        }
        Ok(children)
    }

    fn source(&self, path: &Path, data: SourceData, metadata: &Metadata) -> io::Result<Source> {
        let plain = Source::defaults(data);
        Ok(match self.style {
            SquashStyle::Faithful => Source {
                uid: metadata.uid(),
                gid: metadata.gid(),
                mode: (metadata.mode() & 0o7777) as u16,
                modified: metadata.mtime().clamp(0, i64::from(u32::MAX)) as u32,
                xattrs: xattrs(path)?,
                ..plain
            },
            SquashStyle::Normalised => {
                let executable = metadata.is_dir() || metadata.mode() & 0o111 != 0;
                Source {
                    mode: if executable { 0o755 } else { 0o644 },
                    ..plain
                }
            }
        })
    }
}

/// File capabilities and the user's own attributes; the rest (access lists, labels, traces of an
/// overlay) means something only to the machine they come from.
fn xattrs(path: &Path) -> io::Result<HashMap<OsString, Vec<u8>>> {
    let names = match xattr::list(path) {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(HashMap::new()),
        Err(error) => return Err(error),
    };
    let mut found = HashMap::new();
    for name in names {
        let text = name.to_string_lossy();
        if text != "security.capability" && !text.starts_with("user.") {
            continue;
        }
        if let Some(value) = xattr::get(path, &name)? {
            found.insert(name, value);
        }
    }
    Ok(found)
}

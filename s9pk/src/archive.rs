//! Reading an archive: everything is verified before it is believed.
//!
//! ```text
//! header ─signature─▶ commitment ─hash─▶ root table ─hash─▶ tables below ─hash─▶ bodies
//! ```
//!
//! Invariants:
//! - An [`Archive`] that exists has a valid signature, and every table in it is the one that was
//!   signed. Bodies are hashed whenever they are read.
//! - Nothing is allocated by a size the file merely claims: tables and bodies must lie inside the
//!   file first.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use crate::commitment::Commitment;
use crate::contents::{Contents, ContentsError};
use crate::digest::Digest;
use crate::error_kind::ErrorKind;
use crate::header::{HEADER_SIZE, Header, HeaderError};
use crate::id::Arch;
use crate::manifest::{Manifest, ManifestError};
use crate::read_at::{ReadAt, Stretch};
use crate::tables::{Budget, Table};
use crate::toc::TocFault;
use crate::tree::{Directory, Entry, Node};

/// Bytes of a manifest; the longest real ones have a few dozen KiB.
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
/// Bytes read at once while a body streams through.
const CHUNK: usize = 1024 * 1024;

/// An archive could not be opened, or a part of it is not what was signed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file could not be read.
    #[error("could not read {part} of the package")]
    Io {
        /// Which part.
        part: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The caller's output could not be written.
    #[error("could not write the contents of `{path}`")]
    Output {
        /// Which file was being written out.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The beginning of the file is wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A table or body lies, in part, behind the end of the file.
    #[error(
        "{part} of the package lies behind the end of the file ({position} + {size} bytes, the file \
         has {file}); it was not copied completely, or is damaged"
    )]
    BehindEnd {
        /// Which part.
        part: String,
        /// Where it should start.
        position: u64,
        /// How long it should be.
        size: u64,
        /// Bytes of the file.
        file: u64,
    },
    /// A table is larger than was signed.
    #[error("the table of `{path}/` has {size} bytes where {max} were signed; the file is forged")]
    TocTooLarge {
        /// The directory, empty for the root.
        path: String,
        /// Bytes of the table.
        size: u64,
        /// Bytes that were signed.
        max: u64,
    },
    /// A table is malformed.
    #[error("the table of `{path}/` is malformed: {fault}; the file is damaged")]
    Toc {
        /// The directory, empty for the root.
        path: String,
        /// What is wrong.
        fault: TocFault,
    },
    /// A table is not the one that was signed.
    #[error(
        "the table of `{path}/` is not the one that was signed; the file is damaged or forged: copy or download it again"
    )]
    TocHash {
        /// The directory, empty for the root.
        path: String,
    },
    /// More directories inside each other, entries or bytes of tables than any package needs.
    #[error("the package is too complex: {0}")]
    TooComplex(&'static str),
    /// A body is not the one that was signed.
    #[error(
        "the contents of `{path}` are not what was signed; the file is damaged or forged: copy or download it again"
    )]
    BodyHash {
        /// Which file.
        path: String,
    },
    /// A file is larger than what may be read into memory.
    #[error("`{path}` has {size} bytes; at most {limit} can be shown")]
    TooLarge {
        /// Which file.
        path: String,
        /// Its size.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// No file of that name was ever in the package.
    #[error("the package has no `{path}`")]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// The entry exists, but is not a file with a body.
    #[error("`{path}` is {found}, not a file")]
    NotAFile {
        /// What was asked for.
        path: String,
        /// What it is instead.
        found: &'static str,
    },
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The contents do not make a package.
    #[error(transparent)]
    Contents(#[from] ContentsError),
}

impl ArchiveError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Io { .. } | Self::Output { .. } => ErrorKind::Filesystem.code(),
            Self::Header(error) => error.code(),
            Self::BehindEnd { .. }
            | Self::TooComplex(_)
            | Self::TooLarge { .. }
            | Self::NotAFile { .. } => ErrorKind::ParseS9pk.code(),
            Self::Toc { fault, .. } => fault.code(),
            Self::TocTooLarge { .. } | Self::TocHash { .. } | Self::BodyHash { .. } => {
                ErrorKind::InvalidSignature.code()
            }
            Self::NotFound { .. } => ErrorKind::NotFound.code(),
            Self::Manifest(error) => error.code(),
            Self::Contents(error) => error.code(),
        }
    }
}

/// A verified archive over bytes that can be read at any position.
#[derive(Debug)]
pub struct Archive<S> {
    source: S,
    length: u64,
    header: Header,
    root: Directory<u64>,
}

impl<S: ReadAt> Archive<S> {
    /// Verifies header, signature and all tables.
    ///
    /// `expected` is what a registry promised; without it any valid signature is accepted.
    ///
    /// # Errors
    /// [`ArchiveError`] naming the part that is damaged, forged or out of bounds.
    pub fn open(source: S, expected: Option<Commitment>) -> Result<Self, ArchiveError> {
        let io = |part: &str| {
            let part = part.to_owned();
            move |source| ArchiveError::Io { part, source }
        };
        let length = source.size().map_err(io("the size"))?;
        let mut head = vec![0; length.min(HEADER_SIZE) as usize];
        source
            .read_exact_at(&mut head, 0)
            .map_err(io("the header"))?;
        let (header, position, size) = Header::parse(&head, expected.as_ref())?;
        let mut budget = Budget::new(length);
        let root = read_tables(&source, Table::root(&header, position, size), &mut budget)?;
        Ok(Self {
            source,
            length,
            header,
            root,
        })
    }

    /// Signer, signature and commitment.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What identifies the package.
    #[must_use]
    pub fn commitment(&self) -> &Commitment {
        self.header.commitment()
    }

    /// The tree; bodies are positions in the file.
    #[must_use]
    pub fn root(&self) -> &Directory<u64> {
        &self.root
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes behind the archive.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The entry and position of a file.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`], or [`ArchiveError::NotAFile`] for a directory or a body left out.
    pub fn file(&self, path: &str) -> Result<(&Entry<u64>, u64), ArchiveError> {
        let not_a_file = |found| ArchiveError::NotAFile {
            path: path.to_owned(),
            found,
        };
        let Some(entry) = self.root.get(path) else {
            let path = path.to_owned();
            return Err(ArchiveError::NotFound { path });
        };
        match &entry.node {
            Node::File(position) => Ok((entry, *position)),
            Node::Directory(_) => Err(not_a_file("a directory")),
            Node::Missing => Err(not_a_file("left out of this file")),
        }
    }

    /// Reads a file of at most `limit` bytes into memory, verified.
    ///
    /// # Errors
    /// As [`Archive::file`] and [`Archive::copy`], and [`ArchiveError::TooLarge`].
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let (entry, _) = self.file(path)?;
        if entry.size > limit {
            return Err(ArchiveError::TooLarge {
                path: path.to_owned(),
                size: entry.size,
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(entry.size as usize);
        self.copy(path, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes a file's body to `out`, hashing it on the way.
    ///
    /// # Errors
    /// [`ArchiveError::BodyHash`] at the end if it was not what was signed: what reached `out` must
    /// not be used then.
    pub fn copy(&self, path: &str, out: &mut dyn Write) -> Result<(), ArchiveError> {
        let (entry, position) = self.file(path)?;
        self.copy_body(path, entry, position, out)
    }

    pub(crate) fn copy_body(
        &self,
        path: &str,
        entry: &Entry<u64>,
        position: u64,
        out: &mut dyn Write,
    ) -> Result<(), ArchiveError> {
        let mut body = Stretch::new(&self.source, position, entry.size);
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; CHUNK.min(entry.size as usize)];
        let mut left = entry.size;
        while left > 0 {
            let read = body.read(&mut buffer).map_err(|source| ArchiveError::Io {
                part: format!("`{path}`"),
                source,
            })?;
            hasher.update(&buffer[..read]);
            out.write_all(&buffer[..read])
                .map_err(|source| ArchiveError::Output {
                    path: path.to_owned(),
                    source,
                })?;
            left -= read as u64;
        }
        if Digest::from(hasher.finalize()) != entry.hash {
            let path = path.to_owned();
            return Err(ArchiveError::BodyHash { path });
        }
        Ok(())
    }

    /// Reads every body and compares it with its hash.
    ///
    /// # Errors
    /// The first [`ArchiveError`] met.
    pub fn verify_all(&self) -> Result<(), ArchiveError> {
        for (path, entry, position) in self.root.files() {
            self.copy_body(&path, entry, *position, &mut io::sink())?;
        }
        Ok(())
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] without one, [`ArchiveError::Manifest`] naming a wrong field.
    pub fn manifest(&self) -> Result<Manifest, ArchiveError> {
        let bytes = self.read("manifest.json", MAX_MANIFEST)?;
        Ok(Manifest::from_json(&bytes)?)
    }

    /// Checks that the contents make a package; for `target`, or for every architecture it names.
    ///
    /// # Errors
    /// [`ArchiveError::Contents`] naming what is absent or contradictory.
    pub fn contents(
        &self,
        manifest: &Manifest,
        target: Option<&Arch>,
    ) -> Result<Contents, ArchiveError> {
        Ok(Contents::of(&self.root, manifest, target)?)
    }

    /// Drops what a machine of this architecture does not need: the entries become missing, the
    /// signature stays valid. Write the result with [`Archive::write`].
    pub fn keep_only(&mut self, contents: &Contents) {
        self.retain(contents.files());
    }

    /// Turns every file that is not in `keep` into a missing entry; the signature stays valid.
    pub fn retain(&mut self, keep: &BTreeSet<String>) {
        self.root.retain(keep);
    }
}

fn read_tables<S: ReadAt>(
    source: &S,
    table: Table,
    budget: &mut Budget,
) -> Result<Directory<u64>, ArchiveError> {
    budget.admit(&table)?;
    let mut bytes = vec![0; table.size as usize];
    let read = source.read_exact_at(&mut bytes, table.position);
    read.map_err(|source| ArchiveError::Io {
        part: format!("the table of `{}/`", table.path),
        source,
    })?;
    let (mut directory, below) = budget.parse(&table, &bytes)?;
    for (name, table) in below {
        let child = read_tables(source, table, budget)?;
        if let Some(entry) = directory.entries.get_mut(&name) {
            entry.node = Node::Directory(child);
        }
    }
    Ok(directory)
}

//! Turning the tables of an archive into a tree, one at a time, within limits.
//!
//! Invariant: a table is checked against the hash under which it is known before anything it says is
//! followed, and what all tables together may cost (entries, bytes, depth, length of paths) is
//! bounded, so that shared or nested tables cannot make a small file expand without end.
//!
//! This module reads nothing itself: [`crate::Archive`] brings tables from any position, the store's
//! intake from a stream.

use std::collections::BTreeMap;

use crate::archive::ArchiveError;
use crate::digest::Digest;
use crate::header::Header;
use crate::toc::{self, Target};
use crate::tree::{Directory, Entry, Node};

/// Entries in all tables together.
const MAX_ENTRIES: usize = 65_536;
/// Bytes of all tables together.
pub(crate) const MAX_TOC_BYTES: u64 = 16 * 1024 * 1024;
/// Directories inside each other.
const MAX_DEPTH: usize = 16;
/// Bytes of a whole path.
const MAX_PATH: usize = 1024;

/// A table that is still to be read.
#[derive(Debug)]
pub(crate) struct Table {
    /// The directory's path, empty for the root.
    pub(crate) path: String,
    depth: usize,
    pub(crate) position: u64,
    pub(crate) size: u64,
    hash: Digest,
    max: u64,
}

impl Table {
    pub(crate) fn root(header: &Header, position: u64, size: u64) -> Self {
        Self {
            path: String::new(),
            depth: 0,
            position,
            size,
            hash: header.commitment().root_sighash,
            max: header.commitment().root_maxsize,
        }
    }
}

/// What tables may still cost, and how long the file is.
#[derive(Debug)]
pub(crate) struct Budget {
    file_length: u64,
    entries: usize,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(file_length: u64) -> Self {
        Self {
            file_length,
            entries: MAX_ENTRIES,
            bytes: MAX_TOC_BYTES,
        }
    }

    /// Whether a table may be read; afterwards its size is safe to allocate.
    pub(crate) fn admit(&mut self, table: &Table) -> Result<(), ArchiveError> {
        if table.depth > MAX_DEPTH {
            return Err(ArchiveError::TooComplex(
                "its directories nest deeper than 16 levels",
            ));
        }
        if table.size > table.max {
            return Err(ArchiveError::TocTooLarge {
                path: table.path.clone(),
                size: table.size,
                max: table.max,
            });
        }
        self.inside(&format!("{}/", table.path), table.position, table.size)?;
        let left = self.bytes.checked_sub(table.size);
        self.bytes = left.ok_or(ArchiveError::TooComplex("its tables exceed 16 MiB"))?;
        Ok(())
    }

    /// Checks a table's bytes and returns its directory, in which directories are still missing
    /// entries, and the tables of those.
    #[expect(
        clippy::type_complexity,
        reason = "a pair that its two callers take apart at once"
    )]
    pub(crate) fn parse(
        &mut self,
        table: &Table,
        bytes: &[u8],
    ) -> Result<(Directory<u64>, Vec<(String, Table)>), ArchiveError> {
        let entries = toc::parse(bytes).map_err(|fault| ArchiveError::Toc {
            path: table.path.clone(),
            fault,
        })?;
        let left = self.entries.checked_sub(entries.len());
        self.entries = left.ok_or(ArchiveError::TooComplex("it has more than 65536 entries"))?;

        let mut directory = Directory {
            entries: BTreeMap::new(),
        };
        for entry in &entries {
            let (hash, size) = (entry.hash, entry.size);
            let node = match entry.target {
                Target::Missing | Target::Directory { .. } => Node::Missing,
                Target::File { position } => Node::File(position),
            };
            let entry_of = Entry { hash, size, node };
            directory.entries.insert(entry.name.clone(), entry_of);
        }
        if directory.sighash() != table.hash {
            let path = table.path.clone();
            return Err(ArchiveError::TocHash { path });
        }

        // Only now is what the table points at looked at.
        let mut below = Vec::new();
        for entry in entries {
            let path = if table.path.is_empty() {
                entry.name.clone()
            } else {
                format!("{}/{}", table.path, entry.name)
            };
            if path.len() > MAX_PATH {
                return Err(ArchiveError::TooComplex(
                    "it has paths of more than 1024 bytes",
                ));
            }
            match entry.target {
                Target::Missing => {}
                Target::File { position } => self.inside(&path, position, entry.size)?,
                Target::Directory { position, toc_size } => {
                    let table = Table {
                        path,
                        depth: table.depth + 1,
                        position,
                        size: toc_size,
                        hash: entry.hash,
                        max: entry.size,
                    };
                    below.push((entry.name, table));
                }
            }
        }
        Ok((directory, below))
    }

    fn inside(&self, path: &str, position: u64, size: u64) -> Result<(), ArchiveError> {
        match position.checked_add(size) {
            Some(end) if end <= self.file_length => Ok(()),
            _ => Err(ArchiveError::BehindEnd {
                part: format!("`{path}`"),
                position,
                size,
                file: self.file_length,
            }),
        }
    }
}

//! One table of contents: a flat list of named entries.
//!
//! ```text
//! TOC   := varint count, count * ENTRY
//! ENTRY := varint length, name, hash[32], size u64 BE, 00                        missing
//!                                                    | 01 position               file
//!                                                    | 02 position, toc size     directory
//! ```
//!
//! Invariant: what parses here has one entry per name, names that are single path segments, numbers
//! in their shortest form and nothing after the last entry. All of that is stricter than the
//! reference, whose writer produces nothing else.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error_kind::ErrorKind;

/// Hash, size and kind byte of an entry.
const FIXED_SIZE: u64 = 32 + 8 + 1;

/// File systems hold no longer names, so no folder that was packed had one. (The reference allows
/// 1 MiB, which would let a few tables name gigabytes of paths.)
const MAX_NAME: u64 = 255;

/// What is wrong inside a table of contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TocFault {
    /// An entry is cut off.
    #[error("it ends in the middle of an entry")]
    Truncated,
    /// A number has more than 10 bytes, does not fit 64 bits, or has needless zero bytes.
    #[error("a number in it is malformed")]
    Varint,
    /// A name has more than 255 bytes.
    #[error("it declares a name of {0} bytes")]
    LongName(u64),
    /// A name is not UTF-8.
    #[error("a name in it is not UTF-8")]
    NameNotUtf8,
    /// A name is not a single path segment.
    #[error("the name {0:?} in it cannot be a file name")]
    BadName(String),
    /// Two entries have one name.
    #[error("it lists `{0}` twice")]
    Duplicate(String),
    /// Neither missing, file nor directory.
    #[error("`{name}` in it has the unknown kind {kind}")]
    UnknownKind {
        /// The entry.
        name: String,
        /// The byte found.
        kind: u8,
    },
    /// Bytes follow the last entry.
    #[error("{0} bytes follow its last entry")]
    TrailingBytes(u64),
}

impl TocFault {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NameNotUtf8 => ErrorKind::Utf8.code(),
            _ => ErrorKind::ParseS9pk.code(),
        }
    }
}

/// What an entry points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Missing,
    File { position: u64 },
    Directory { position: u64, toc_size: u64 },
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TocEntry {
    pub(crate) name: String,
    pub(crate) hash: Digest,
    pub(crate) size: u64,
    pub(crate) target: Target,
}

/// Bytes of `count` written as a varint.
pub(crate) fn varint_size(count: u64) -> u64 {
    u64::from((64 - (count | 1).leading_zeros()).div_ceil(7))
}

/// Bytes of an entry without its tail.
pub(crate) fn entry_size(name: &str) -> u64 {
    let length = name.len() as u64;
    varint_size(length) + length + FIXED_SIZE
}

pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an entry; with [`Target::Missing`] this is its canonical form, the one that is hashed.
pub(crate) fn put_entry(name: &str, hash: &Digest, size: u64, target: Target, out: &mut Vec<u8>) {
    put_varint(name.len() as u64, out);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&hash.0);
    out.extend_from_slice(&size.to_be_bytes());
    match target {
        Target::Missing => out.push(0),
        Target::File { position } => {
            out.push(1);
            out.extend_from_slice(&position.to_be_bytes());
        }
        Target::Directory { position, toc_size } => {
            out.push(2);
            out.extend_from_slice(&position.to_be_bytes());
            out.extend_from_slice(&toc_size.to_be_bytes());
        }
    }
}

/// Reads a whole table, entries in the order they stand.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<TocEntry>, TocFault> {
    let mut rest = bytes;
    let count = take_varint(&mut rest)?;
    let mut names = BTreeSet::new();
    // No reservation by `count`: it is whatever the file says.
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = take_entry(&mut rest)?;
        if !names.insert(entry.name.clone()) {
            return Err(TocFault::Duplicate(entry.name));
        }
        entries.push(entry);
    }
    if !rest.is_empty() {
        return Err(TocFault::TrailingBytes(rest.len() as u64));
    }
    Ok(entries)
}

fn take_entry(rest: &mut &[u8]) -> Result<TocEntry, TocFault> {
    let length = take_varint(rest)?;
    if length > MAX_NAME {
        return Err(TocFault::LongName(length));
    }
    let Some((name, after)) = rest.split_at_checked(length as usize) else {
        return Err(TocFault::Truncated);
    };
    *rest = after;
    let name = std::str::from_utf8(name).map_err(|_| TocFault::NameNotUtf8)?;
    if !is_segment(name) {
        return Err(TocFault::BadName(name.to_owned()));
    }
    let hash = Digest(take(rest)?);
    let size = take_u64(rest)?;
    let [kind] = take(rest)?;
    let target = match kind {
        0 => Target::Missing,
        1 => Target::File {
            position: take_u64(rest)?,
        },
        2 => Target::Directory {
            position: take_u64(rest)?,
            toc_size: take_u64(rest)?,
        },
        kind => {
            let name = name.to_owned();
            return Err(TocFault::UnknownKind { name, kind });
        }
    };
    Ok(TocEntry {
        name: name.to_owned(),
        hash,
        size,
        target,
    })
}

/// Whether a name can stand between two slashes.
pub(crate) fn is_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], TocFault> {
    let (bytes, after) = rest.split_first_chunk().ok_or(TocFault::Truncated)?;
    *rest = after;
    Ok(*bytes)
}

fn take_u64(rest: &mut &[u8]) -> Result<u64, TocFault> {
    take(rest).map(u64::from_be_bytes)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, TocFault> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            return Err(TocFault::Varint);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            // A last byte of zero adds nothing: the number was not in its shortest form.
            let shortest = byte != 0 || shift == 0;
            return if shortest {
                Ok(value)
            } else {
                Err(TocFault::Varint)
            };
        }
    }
    Err(TocFault::Varint)
}

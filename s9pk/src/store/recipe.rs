//! How to put a package's file together again: the `.toc` files.
//!
//! ```text
//! "COPTOC" 00 01
//! pieces, in the order of the file:
//!   00 length bytes…                    header, tables, and whatever belongs to no body
//!   01 length                           zeros
//!   02 hash[32] size offset length      a stretch of a body; `size` is that of the whole body
//! ff BLAKE3 of everything before        guards against a torn or rotten file
//! ```
//! Numbers are u64, big-endian.
//!
//! Invariant: every body of the package occurs in at least one piece, if need be of length 0 (an
//! empty body, or one that lies inside another), so the pieces alone say what a package uses.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::digest::Digest;

const MAGIC: &[u8; 8] = b"COPTOC\0\x01";
const LITERAL: u8 = 0;
const ZEROS: u8 = 1;
const BODY: u8 = 2;
const END: u8 = 0xff;

/// A stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Vec<u8>),
    Zeros(u64),
    Body {
        hash: Digest,
        size: u64,
        offset: u64,
        length: u64,
    },
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Zeros(length) | Self::Body { length, .. } => *length,
        }
    }
}

/// The pieces of a file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recipe {
    pieces: Vec<Piece>,
}

/// A file is not a recipe, or not one that this program wrote completely.
#[derive(Debug, thiserror::Error)]
#[error("it is not a complete recipe of format 1")]
pub(super) struct RecipeError;

/// Why a package could not be written out.
pub(super) enum WriteFailure {
    Output(io::Error),
    Body(Digest, io::Error),
}

impl Recipe {
    pub(super) fn push(&mut self, piece: Piece) {
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Literal(before)), Piece::Literal(bytes)) => before.extend(bytes),
            (Some(Piece::Zeros(before)), Piece::Zeros(length)) => *before += length,
            (_, piece) => self.pieces.push(piece),
        }
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The bodies that the package uses, each as often as it occurs.
    pub(super) fn bodies(&self) -> impl Iterator<Item = Digest> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Body { hash, .. } => Some(*hash),
            Piece::Literal(_) | Piece::Zeros(_) => None,
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let number = |out: &mut Vec<u8>, n: u64| out.extend_from_slice(&n.to_be_bytes());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => {
                    out.push(LITERAL);
                    number(&mut out, bytes.len() as u64);
                    out.extend_from_slice(bytes);
                }
                Piece::Zeros(length) => {
                    out.push(ZEROS);
                    number(&mut out, *length);
                }
                Piece::Body {
                    hash,
                    size,
                    offset,
                    length,
                } => {
                    out.push(BODY);
                    out.extend_from_slice(&hash.0);
                    for n in [size, offset, length] {
                        number(&mut out, *n);
                    }
                }
            }
        }
        out.push(END);
        let hash = Digest::of(&out);
        out.extend_from_slice(&hash.0);
        out
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RecipeError> {
        let (contents, hash) = bytes.split_last_chunk::<32>().ok_or(RecipeError)?;
        if Digest::of(contents) != Digest(*hash) {
            return Err(RecipeError);
        }
        let mut rest = contents.strip_prefix(MAGIC).ok_or(RecipeError)?;
        let mut pieces = Vec::new();
        loop {
            let [kind] = take(&mut rest)?;
            pieces.push(match kind {
                LITERAL => {
                    let length = usize::try_from(take_u64(&mut rest)?).map_err(|_| RecipeError)?;
                    let (literal, after) = rest.split_at_checked(length).ok_or(RecipeError)?;
                    rest = after;
                    Piece::Literal(literal.to_vec())
                }
                ZEROS => Piece::Zeros(take_u64(&mut rest)?),
                BODY => Piece::Body {
                    hash: Digest(take(&mut rest)?),
                    size: take_u64(&mut rest)?,
                    offset: take_u64(&mut rest)?,
                    length: take_u64(&mut rest)?,
                },
                END if rest.is_empty() => return Ok(Self { pieces }),
                _ => return Err(RecipeError),
            });
        }
    }

    /// Writes the file, checking every body that is used whole against its hash.
    pub(super) fn write(
        &self,
        out: &mut dyn Write,
        locate: &dyn Fn(&Digest) -> PathBuf,
    ) -> Result<u64, WriteFailure> {
        let mut written = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.write_all(bytes).map_err(WriteFailure::Output)?,
                Piece::Zeros(length) => {
                    io::copy(&mut io::repeat(0).take(*length), out)
                        .map_err(WriteFailure::Output)?;
                }
                Piece::Body {
                    hash,
                    size,
                    offset,
                    length,
                } => {
                    let whole = length == size;
                    write_stretch(&locate(hash), *offset, *length, whole.then_some(*hash), out)
                        .map_err(|failure| match failure {
                            Stretch::Output(error) => WriteFailure::Output(error),
                            Stretch::Input(error) => WriteFailure::Body(*hash, error),
                        })?;
                }
            }
            written += piece.length();
        }
        out.flush().map_err(WriteFailure::Output)?;
        Ok(written)
    }
}

enum Stretch {
    Input(io::Error),
    Output(io::Error),
}

fn write_stretch(
    path: &PathBuf,
    offset: u64,
    mut length: u64,
    expected: Option<Digest>,
    out: &mut dyn Write,
) -> Result<(), Stretch> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(path).map_err(Stretch::Input)?;
    file.seek(SeekFrom::Start(offset)).map_err(Stretch::Input)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; length.min(1024 * 1024) as usize];
    while length > 0 {
        let wanted = length.min(buffer.len() as u64) as usize;
        file.read_exact(&mut buffer[..wanted])
            .map_err(Stretch::Input)?;
        hasher.update(&buffer[..wanted]);
        out.write_all(&buffer[..wanted]).map_err(Stretch::Output)?;
        length -= wanted as u64;
    }
    match expected {
        Some(expected) if Digest::from(hasher.finalize()) != expected => {
            Err(Stretch::Input(io::Error::from(io::ErrorKind::InvalidData)))
        }
        _ => Ok(()),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecipeError> {
    let (bytes, after) = rest.split_first_chunk().ok_or(RecipeError)?;
    *rest = after;
    Ok(*bytes)
}

fn take_u64(rest: &mut &[u8]) -> Result<u64, RecipeError> {
    take(rest).map(u64::from_be_bytes)
}

//! A stored package, read as if it were still one file.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::recipe::{Piece, Recipe};
use crate::digest::Digest;
use crate::read_at::ReadAt;

/// The bytes of a package's file, taken from its recipe and the bodies it refers to.
pub struct StoredPackage {
    /// The pieces with their positions in the file, and where the bodies are.
    pieces: Vec<(u64, Source)>,
    length: u64,
}

enum Source {
    Literal(Vec<u8>),
    Zeros,
    Body { path: PathBuf, offset: u64 },
}

impl StoredPackage {
    pub(super) fn new(recipe: Recipe, locate: impl Fn(&Digest) -> PathBuf) -> Self {
        let mut length = 0;
        let mut pieces = Vec::with_capacity(recipe.pieces().len());
        for piece in recipe.pieces() {
            let source = match piece {
                // Only references: nothing of them is at this place of the file.
                piece if piece.length() == 0 => continue,
                Piece::Literal(bytes) => Source::Literal(bytes.clone()),
                Piece::Zeros(_) => Source::Zeros,
                Piece::Body { hash, offset, .. } => Source::Body {
                    path: locate(hash),
                    offset: *offset,
                },
            };
            pieces.push((length, source));
            length += piece.length();
        }
        Self { pieces, length }
    }
}

impl fmt::Debug for StoredPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StoredPackage({} pieces, {} bytes)",
            self.pieces.len(),
            self.length
        )
    }
}

impl ReadAt for StoredPackage {
    fn read_exact_at(&self, mut buffer: &mut [u8], mut position: u64) -> io::Result<()> {
        let end = position.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut index = self.pieces.partition_point(|(start, _)| *start <= position);
        while !buffer.is_empty() {
            let (start, source) = &self.pieces[index - 1];
            let piece_end = self
                .pieces
                .get(index)
                .map_or(self.length, |(next, _)| *next);
            let here = (piece_end - position).min(buffer.len() as u64) as usize;
            let (now, later) = buffer.split_at_mut(here);
            let within = position - start;
            match source {
                Source::Literal(bytes) => bytes.read_exact_at(now, within)?,
                Source::Zeros => now.fill(0),
                Source::Body { path, offset } => {
                    File::open(path)?.read_exact_at(now, offset + within)?;
                }
            }
            position += here as u64;
            index += 1;
            buffer = later;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.length)
    }
}

//! Reading a package at any position, without a shared cursor.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that can be read at any position, by several readers at once.
pub trait ReadAt {
    /// Fills `buffer` from `position` (bytes from the start).
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the bytes end before the buffer is full.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// Whatever asking for it reports.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, position)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let start = usize::try_from(position).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let bytes = range.and_then(|range| self.get(range));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, position)
    }

    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, position)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, position)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

/// Any `Read + Seek`; readers wait for each other.
#[derive(Debug)]
pub struct Seekable<R>(Mutex<R>);

impl<R: Read + Seek> Seekable<R> {
    /// Takes over `reader`; where its cursor stands does not matter.
    pub fn new(reader: R) -> Self {
        Self(Mutex::new(reader))
    }
}

impl<R: Read + Seek> ReadAt for Seekable<R> {
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        // Every use seeks first, so a cursor left anywhere by a panic does no harm.
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(position))?;
        reader.read_exact(buffer)
    }

    fn size(&self) -> io::Result<u64> {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::End(0))
    }
}

/// A stretch of a [`ReadAt`], read from its start to its end.
#[derive(Debug)]
pub(crate) struct Stretch<S> {
    source: S,
    position: u64,
    left: u64,
}

impl<S: ReadAt> Stretch<S> {
    pub(crate) fn new(source: S, position: u64, length: u64) -> Self {
        Self {
            source,
            position,
            left: length,
        }
    }
}

impl<S: ReadAt> Read for Stretch<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let buffer = &mut buffer[..wanted];
        self.source.read_exact_at(buffer, self.position)?;
        self.position += wanted as u64;
        self.left -= wanted as u64;
        Ok(wanted)
    }
}

//! Taking a package into the store: the part that files and streams share, and files.
//!
//! Invariant: an intake that is dropped before [`Intake::commit`] returned leaves nothing: its
//! partial files go, and bodies that were there before stay as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};

use super::body::{Copier, CopyError};
use super::partial::Partial;
use super::recipe::{Piece, Recipe};
use super::view::StoredPackage;
use super::{Expected, Installed, Store, StoreError, is_full, padded, rename};
use crate::archive::{Archive, ArchiveError};
use crate::contents::ContentsError;
use crate::digest::Digest;
use crate::header::HEADER_SIZE;
use crate::manifest::Manifest;
use crate::read_at::{ReadAt, Stretch};
use crate::tables::MAX_TOC_BYTES;

/// Bytes of a file that may belong to no body, zeros not counted: header, tables, and 1 MiB that
/// nothing refers to.
const MAX_LITERAL: u64 = HEADER_SIZE + MAX_TOC_BYTES + 1024 * 1024;

/// Bodies below this are not worth a call to reserve room for them.
const RESERVE_FROM: u64 = 256 * 1024;

const CHUNK: u64 = 64 * 1024;

pub(super) type Progress<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

impl Expected {
    /// Refuses what is not wanted, as far as the manifest tells.
    ///
    /// # Errors
    /// The first thing that is not as expected: another package or version, a newer system needed,
    /// another architecture.
    pub fn check(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let package = &manifest.id;
        if let Some(expected) = self
            .package
            .as_ref()
            .filter(|expected| *expected != package)
        {
            return Err(StoreError::OtherPackage {
                expected: expected.clone(),
                found: package.clone(),
            });
        }
        let version = &manifest.version;
        if let Some(expected) = self
            .version
            .as_ref()
            .filter(|expected| *expected != version)
        {
            return Err(StoreError::OtherVersion {
                package: package.clone(),
                expected: Box::new(expected.clone()),
                found: Box::new(version.clone()),
            });
        }
        if manifest.os_version > self.os_version {
            return Err(StoreError::OsTooOld {
                package: package.clone(),
                needed: manifest.os_version.clone(),
                ours: self.os_version.clone(),
            });
        }
        let requirements = &manifest.hardware_requirements;
        if !requirements.accepts(&self.arch) {
            return Err(StoreError::from(ContentsError::WrongArch {
                package: package.clone(),
                supported: requirements.arch.clone().unwrap_or_default(),
                machine: self.arch.clone(),
            }));
        }
        Ok(())
    }
}

/// A package on its way in.
pub(super) struct Intake<'a> {
    store: &'a Store,
    expected: &'a Expected,
    progress: &'a mut Progress<'a>,
    copier: Copier,
    recipe: Recipe,
    /// How far the file was read.
    position: u64,
    literal_left: u64,
    partials: BTreeMap<Digest, Partial>,
    pinned: BTreeSet<Digest>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        store: &'a Store,
        expected: &'a Expected,
        progress: &'a mut Progress<'a>,
    ) -> Self {
        Self {
            store,
            expected,
            progress,
            copier: Copier::new(),
            recipe: Recipe::default(),
            position: 0,
            literal_left: MAX_LITERAL,
            partials: BTreeMap::new(),
            pinned: BTreeSet::new(),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn expected(&self) -> &'a Expected {
        self.expected
    }

    /// Keeps bytes that were already read: the header, or a table.
    pub(super) fn literal(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        let length = bytes.len() as u64;
        self.advance(length)?;
        if bytes.iter().all(|b| *b == 0) {
            self.recipe.push(Piece::Zeros(length));
            return Ok(());
        }
        let left = self.literal_left.checked_sub(length);
        self.literal_left = left.ok_or(StoreError::Excess)?;
        self.recipe.push(Piece::Literal(bytes));
        Ok(())
    }

    /// Reads and keeps what belongs to no body, up to `end`.
    pub(super) fn gap(&mut self, from: &mut dyn Read, end: u64) -> Result<(), StoreError> {
        while self.position < end {
            let length = (end - self.position).min(CHUNK);
            let bytes = self.bytes(from, length)?;
            self.literal(bytes)?;
        }
        Ok(())
    }

    /// Reads `length` bytes, which must be small.
    pub(super) fn bytes(&self, from: &mut dyn Read, length: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; length as usize];
        from.read_exact(&mut bytes)
            .map_err(|error| self.unread(error))?;
        Ok(bytes)
    }

    /// Copies a body that starts where the intake stands.
    pub(super) fn body(
        &mut self,
        from: &mut dyn Read,
        path: &str,
        hash: Digest,
        size: u64,
    ) -> Result<(), StoreError> {
        self.copy(from, path, hash, size, size)?;
        self.recipe.push(Piece::Body {
            hash,
            size,
            offset: 0,
            length: size,
        });
        Ok(())
    }

    /// Copies a body of which the first `known` bytes are part of what was read before.
    fn overlapping_body(
        &mut self,
        from: &mut dyn Read,
        path: &str,
        hash: Digest,
        size: u64,
        known: u64,
    ) -> Result<(), StoreError> {
        let length = size.saturating_sub(known);
        self.copy(from, path, hash, size, length)?;
        self.recipe.push(Piece::Body {
            hash,
            size,
            offset: size - length,
            length,
        });
        Ok(())
    }

    fn copy(
        &mut self,
        from: &mut dyn Read,
        path: &str,
        hash: Digest,
        size: u64,
        new_bytes: u64,
    ) -> Result<(), StoreError> {
        let out = if self.is_there(hash, size)? {
            None
        } else {
            Some(self.new_partial(hash, size)?)
        };
        let (start, already) = (self.position, size - new_bytes);
        let mut done = 0;
        let progress = &mut self.progress;
        let copied = self
            .copier
            .copy(from, size, out.as_ref().map(Partial::file), &mut |bytes| {
                done += bytes;
                progress(start + done.saturating_sub(already))
            });
        let found = match copied {
            Ok(found) => found,
            Err(CopyError::Read(error)) => return Err(self.unread(error)),
            Err(CopyError::Write(error)) => return Err(self.unwritten(error, size)),
            Err(CopyError::Cancelled) => return Err(StoreError::Cancelled),
        };
        self.position += new_bytes;
        if found != hash {
            let path = path.to_owned();
            return Err(ArchiveError::BodyHash { path }.into());
        }
        if let Some(partial) = out {
            let padded = partial.file().set_len(padded(size));
            padded.map_err(|error| self.unwritten(error, size))?;
            self.partials.insert(hash, partial);
        }
        Ok(())
    }

    /// Whether the body need not be written. Either way it is ours until the intake ends: a removal
    /// meanwhile leaves it alone.
    fn is_there(&mut self, hash: Digest, size: u64) -> Result<bool, StoreError> {
        if self.partials.contains_key(&hash) {
            return Ok(true);
        }
        let mut pins = self.store.pins();
        if self.pinned.insert(hash) {
            *pins.0.entry(hash).or_default() += 1;
        }
        let path = self.store.path_of(&hash);
        match path.metadata() {
            // Of another length it is damaged; the new one will take its place.
            Ok(found) => Ok(found.len() == padded(size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::folder("look into", &path)(error)),
        }
    }

    fn new_partial(&self, hash: Digest, size: u64) -> Result<Partial, StoreError> {
        let path = self.store.partial_path(&hash.to_string());
        let partial = Partial::create(path).map_err(|error| self.unwritten(error, size))?;
        if size >= RESERVE_FROM {
            let length = padded(size).try_into().unwrap_or(i64::MAX);
            match fallocate(partial.file(), FallocateFlags::empty(), 0, length) {
                // Not every file system can reserve room; then writing finds out.
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
                Err(errno) => return Err(self.unwritten(errno.into(), size)),
            }
        }
        Ok(partial)
    }

    fn advance(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.position += bytes;
        match (self.progress)(self.position) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(StoreError::Cancelled),
        }
    }

    pub(super) fn unread(&self, source: io::Error) -> StoreError {
        StoreError::Source {
            position: self.position,
            source,
        }
    }

    fn unwritten(&self, source: io::Error, needed: u64) -> StoreError {
        if is_full(&source) {
            let free = self.store.free_bytes();
            return StoreError::DiskFull { needed, free };
        }
        StoreError::folder("write into", &self.store.folder)(source)
    }

    /// Where a body of this intake is now.
    fn locate(&self, hash: &Digest) -> std::path::PathBuf {
        match self.partials.get(hash) {
            Some(partial) => partial.path().to_owned(),
            None => self.store.path_of(hash),
        }
    }

    /// The manifest, once its body was copied.
    pub(super) fn check_manifest(&self, hash: &Digest, size: u64) -> Result<(), StoreError> {
        let mut bytes = vec![0; size as usize];
        let read = File::open(self.locate(hash)).and_then(|file| file.read_exact_at(&mut bytes, 0));
        read.map_err(StoreError::folder("read", &self.store.folder))?;
        let manifest = Manifest::from_json(&bytes).map_err(ArchiveError::from)?;
        self.expected.check(&manifest)
    }

    /// Verifies what was written, makes it durable and gives it its names.
    pub(super) fn commit(self) -> Result<Installed, StoreError> {
        // From here on only what is in the store counts, not the source, which may have changed
        // while it was read.
        let view = StoredPackage::new(self.recipe.clone(), |hash| self.locate(hash));
        let archive = Archive::open(view, self.expected.commitment)?;
        let bodies: BTreeSet<_> = self.recipe.bodies().collect();
        if let Some((path, ..)) = archive
            .root()
            .files()
            .find(|(_, entry, _)| !bodies.contains(&entry.hash))
        {
            return Err(ArchiveError::BodyHash { path }.into());
        }
        let installed = Installed::from_archive(&archive, &self.expected.arch)?;
        self.expected.check(&installed.manifest)?;

        let recipe = self.write_recipe(&installed.root)?;
        // All were asked to begin being written while they were copied, so the first sync waits for
        // the journal and the others find little left to do.
        for partial in self.partials.values().chain([&recipe]) {
            let synced = partial.file().sync_data();
            synced.map_err(|error| self.unwritten(error, installed.file_size))?;
        }
        self.give_names(&installed.root, recipe)?;
        Ok(installed)
    }

    fn write_recipe(&self, root: &Digest) -> Result<Partial, StoreError> {
        let bytes = self.recipe.to_bytes();
        let written = Partial::create(self.store.partial_path(&format!("{root}.toc")))
            .and_then(|partial| partial.file().write_all(&bytes).map(|()| partial));
        written.map_err(|error| self.unwritten(error, bytes.len() as u64))
    }

    fn give_names(mut self, root: &Digest, recipe: Partial) -> Result<(), StoreError> {
        let store = self.store;
        let recipe_path = store.recipe_path(root);
        let replaced = recipe_path.exists();
        let partials = std::mem::take(&mut self.partials);
        let named = (|| {
            let _pins = store.pins();
            for (hash, partial) in partials {
                rename(partial.path(), &store.path_of(&hash))?;
                partial.keep();
            }
            // Every body must have its name on the disk before the recipe has its own.
            store.sync_folder()?;
            rename(recipe.path(), &recipe_path)?;
            recipe.keep();
            store.sync_folder()
        })();
        // Ends our claim on the bodies: from now on the recipe keeps them, or nothing does.
        drop(self);
        if named.is_err() || replaced {
            // Another file of the same package may have brought bodies that this one left out.
            store.remove_unused(&store.pins())?;
        }
        named
    }
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        let mut pins = self.store.pins();
        for hash in &self.pinned {
            if let Some(count) = pins.0.get_mut(hash) {
                *count -= 1;
                if *count == 0 {
                    pins.0.remove(hash);
                }
            }
        }
    }
}

/// A body's place in a file.
struct Extent {
    position: u64,
    size: u64,
    hash: Digest,
    path: String,
}

pub(super) fn from_file(
    store: &Store,
    file: &File,
    expected: &Expected,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Installed, StoreError> {
    let size = file.size().map_err(|source| StoreError::Source {
        position: 0,
        source,
    })?;
    if size > expected.max_bytes {
        let limit = expected.max_bytes;
        return Err(StoreError::TooLarge { size, limit });
    }
    // Everything that can be refused is refused before the first byte is copied.
    let archive = Archive::open(file, expected.commitment)?;
    let manifest = archive.manifest()?;
    expected.check(&manifest)?;
    archive.contents(&manifest, Some(&expected.arch))?;
    let extents = extents(&archive);
    refuse_if_full(store, &extents)?;

    // Only a hint, for files that are not in memory.
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
    let mut progress = |done| progress(done);
    let mut intake = Intake::new(store, expected, &mut progress);
    for extent in extents {
        let Extent {
            position,
            size,
            hash,
            path,
        } = extent;
        let mut body = Stretch::new(file, position, size);
        let cursor = intake.position();
        if position >= cursor {
            let mut before = Stretch::new(file, cursor, position - cursor);
            intake.gap(&mut before, position)?;
            intake.body(&mut body, &path, hash, size)?;
        } else {
            // Shared and overlapping bodies: no known writer makes them, every reader allows them.
            intake.overlapping_body(&mut body, &path, hash, size, cursor - position)?;
        }
    }
    let cursor = intake.position();
    intake.gap(&mut Stretch::new(file, cursor, size - cursor), size)?;
    intake.commit()
}

/// The bodies of a file in the order they stand, each place once.
fn extents(archive: &Archive<&File>) -> Vec<Extent> {
    let files = archive.root().files();
    let mut extents: Vec<_> = files
        .map(|(path, entry, position)| Extent {
            // An empty body is nowhere; at the start it disturbs nobody.
            position: if entry.size == 0 { 0 } else { *position },
            size: entry.size,
            hash: entry.hash,
            path,
        })
        .collect();
    let place = |e: &Extent| (e.position, u64::MAX - e.size, e.hash);
    extents.sort_by_key(place);
    extents.dedup_by_key(|e| place(e));
    extents
}

fn refuse_if_full(store: &Store, extents: &[Extent]) -> Result<(), StoreError> {
    let bodies: BTreeMap<_, _> = extents.iter().map(|e| (e.hash, e.size)).collect();
    let new = bodies
        .iter()
        .filter(|(hash, _)| !store.path_of(hash).exists());
    let needed = new.map(|(_, size)| padded(*size)).sum();
    match store.free_bytes() {
        Some(free) if free < needed => {
            let free = Some(free);
            Err(StoreError::DiskFull { needed, free })
        }
        _ => Ok(()),
    }
}

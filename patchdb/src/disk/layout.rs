//! Which pages of a store's file are used, and which are free, read from the file without mapping it.
//!
//! LMDB believes its list of free pages. One that is listed twice, or is used as well, ends the process that writes next
//! with an assertion, or lets it write over what is kept; and nothing that only reads comes by there. So the list
//! is held against the trees here, with the few facts of LMDB's file format (data version 1) that takes.
//!
//! ```text
//! meta pages 0 and 1 ─ the newer ─┬─ tree of free pages: transaction ─▶ [count, page, …]
//!                                 └─ main tree: name ─▶ tree of a database
//! page: number u64, _ u16, kind u16, end of offsets u16, _ u16, offsets of entries u16…
//! entry: 48 bits (child of a branch) or 32 bits (length in a leaf) and flags, key length u16, key, value
//! ```
//!
//! Invariants: every page is in at most one place; nothing is read beyond the file; whatever the bytes are, this ends and
//! says what is wrong.

use std::{collections::HashSet, fs::File, io, os::unix::fs::FileExt, path::Path};

const HEADER: usize = 16;
const ENTRY: usize = 8;
const METAS: u64 = 2;
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// A tree without pages.
const NOWHERE: u64 = u64::MAX;
/// Deeper than any tree that fits into 2^64 bytes.
const MOST_DEPTH: usize = 64;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
/// Of a leaf's entry: the value is on pages of its own.
const ELSEWHERE: u16 = 0x01;
/// The value is a tree.
const TREE: u16 = 0x02;

/// What is wrong with where things are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    /// The file cannot be read there, or ends before it.
    #[error("page {page} cannot be read: {source}")]
    Unread {
        page: u64,
        #[source]
        source: io::Error,
    },
    /// A page is not what leads to it says.
    #[error("page {page} {what}")]
    Page { page: u64, what: &'static str },
}

/// Looks whether every page of `file` has one use.
pub(crate) fn check(file: &Path) -> Result<(), LayoutError> {
    let unread = |source| LayoutError::Unread { page: 0, source };
    let file = File::open(file).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    let meta = Meta::newest(&file)?;
    let mut pages = Pages {
        file,
        length,
        size: meta.page_size,
        last: meta.last,
        taken: HashSet::new(),
    };
    let mut free = Vec::new();
    pages.walk(meta.free, |_, list| free.push(list.to_vec()))?;
    let mut trees = Vec::new();
    pages.walk(meta.main, |flags, value| {
        if flags & TREE != 0 {
            trees.push(number(value, 40));
        }
    })?;
    for tree in trees {
        let root = tree.ok_or(wrong(meta.main, "leads to a tree that is cut off"))?;
        pages.walk(root, |_, _| {})?;
    }
    for list in free {
        pages.take_all(meta.free, &list)?;
    }
    Ok(())
}

const fn wrong(page: u64, what: &'static str) -> LayoutError {
    LayoutError::Page { page, what }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// What a meta page says.
struct Meta {
    page_size: usize,
    free: u64,
    main: u64,
    last: u64,
    transaction: u64,
}

impl Meta {
    fn newest(file: &File) -> Result<Self, LayoutError> {
        let first = Self::read(file, 0, 0)?;
        let second = Self::read(file, 1, first.page_size as u64)?;
        Ok(if second.transaction > first.transaction {
            second
        } else {
            first
        })
    }

    fn read(file: &File, page: u64, offset: u64) -> Result<Self, LayoutError> {
        let mut bytes = [0; 152];
        file.read_exact_at(&mut bytes, offset)
            .map_err(|source| LayoutError::Unread { page, source })?;
        let meta = || {
            let known = number32(&bytes, HEADER)? == MAGIC && number32(&bytes, 20)? == VERSION;
            let page_size = number32(&bytes, 40)? as usize;
            let fits = page_size.is_power_of_two() && (512..=65536).contains(&page_size);
            (known && fits).then_some(Self {
                page_size,
                free: number(&bytes, 40 + 40)?,
                main: number(&bytes, 40 + 48 + 40)?,
                last: number(&bytes, 136)?,
                transaction: number(&bytes, 144)?,
            })
        };
        meta().ok_or(wrong(page, "does not begin as a store's file does"))
    }
}

struct Pages {
    file: File,
    /// Bytes of it.
    length: u64,
    /// Bytes of a page.
    size: usize,
    last: u64,
    /// Those that have a use.
    taken: HashSet<u64>,
}

impl Pages {
    fn take(&mut self, page: u64) -> Result<(), LayoutError> {
        if !(METAS..=self.last).contains(&page) {
            return Err(wrong(page, "is used, and is no page of this file"));
        }
        if !self.taken.insert(page) {
            return Err(wrong(page, "is used twice, or is used and free"));
        }
        Ok(())
    }

    /// Takes what one entry of the list of free pages names.
    fn take_all(&mut self, from: u64, list: &[u8]) -> Result<(), LayoutError> {
        let named = |at: usize| number(list, at * 8).ok_or(wrong(from, "lists too few free pages"));
        let count = usize::try_from(named(0)?).unwrap_or(usize::MAX - 1);
        for at in 1..=count {
            self.take(named(at)?)?;
        }
        Ok(())
    }

    fn bytes(&self, page: u64, length: usize) -> Result<Vec<u8>, LayoutError> {
        let unread = |source| LayoutError::Unread { page, source };
        let offset = page.saturating_mul(self.size as u64);
        // Before there is room for what cannot come.
        if offset.saturating_add(length as u64) > self.length {
            return Err(unread(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = vec![0; length];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(unread)?;
        Ok(bytes)
    }

    /// Takes every page of a tree, and gives `each` the flags and the value of its entries.
    fn walk(&mut self, root: u64, mut each: impl FnMut(u16, &[u8])) -> Result<(), LayoutError> {
        let mut ahead = vec![(root, 0)];
        ahead.retain(|(root, _)| *root != NOWHERE);
        while let Some((page, depth)) = ahead.pop() {
            self.take(page)?;
            let bytes = self.bytes(page, self.size)?;
            let cut = || wrong(page, "has entries that are cut off");
            let kind = number16(&bytes, 10).ok_or_else(cut)?;
            if number(&bytes, 0) != Some(page) || depth > MOST_DEPTH {
                return Err(wrong(page, "is another one than is looked for there"));
            }
            let end = usize::from(number16(&bytes, 12).ok_or_else(cut)?);
            for offset in (HEADER..end).step_by(2) {
                let at = usize::from(number16(&bytes, offset).ok_or_else(cut)?);
                let entry = bytes.get(at..).ok_or_else(cut)?;
                let (length, flags) = (number32(entry, 0), number16(entry, 4));
                let (length, flags) = length.zip(flags).ok_or_else(cut)?;
                match kind {
                    BRANCH => {
                        let child = u64::from(length) | u64::from(flags) << 32;
                        ahead.push((child, depth + 1));
                    }
                    LEAF => {
                        let key = usize::from(number16(entry, 6).ok_or_else(cut)?);
                        let kept = entry.get(ENTRY + key..).ok_or_else(cut)?;
                        let length = length as usize;
                        if flags & ELSEWHERE != 0 {
                            let first = number(kept, 0).ok_or_else(cut)?;
                            each(flags, &self.elsewhere(first, length)?);
                        } else {
                            each(flags, kept.get(..length).ok_or_else(cut)?);
                        }
                    }
                    _ => return Err(wrong(page, "is no page of a tree")),
                }
            }
        }
        Ok(())
    }

    /// A value that has pages of its own.
    fn elsewhere(&mut self, first: u64, length: usize) -> Result<Vec<u8>, LayoutError> {
        let pages = (HEADER - 1 + length) / self.size + 1;
        for page in 0..pages as u64 {
            self.take(first.saturating_add(page))?;
        }
        let mut bytes = self.bytes(first, HEADER + length)?;
        let (kind, said) = (number16(&bytes, 10), number32(&bytes, 12));
        if kind != Some(OVERFLOW) || said != u32::try_from(pages).ok() {
            return Err(wrong(first, "does not begin the long value that it should"));
        }
        Ok(bytes.split_off(HEADER))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use heed::{CommitOrAbort, EnvOpenOptions, types::Bytes};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// A file with several databases, long values and a list of free pages.
    fn file() -> (TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = EnvOpenOptions::new();
        options.map_size(64 << 20).max_dbs(4);
        // SAFETY: nobody else has a file in a folder that was just made.
        let env = unsafe { options.open(folder.path()).unwrap() };
        let txn = env.write_txn().unwrap();
        let tables = env.create_databases_and_commit(txn, |open, txn| {
            let mut create = |name| open.create_database::<Bytes, Bytes>(txn, Some(name));
            let both = [create("a")?, create("b")?];
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(both))
        });
        let tables = tables.unwrap().unwrap_commit();
        for round in 0..4_u32 {
            for table in tables {
                let mut txn = env.write_txn().unwrap();
                for number in 0..300_u32 {
                    let key = number.to_be_bytes();
                    if (number + round) % 3 == 0 {
                        table.delete(&mut txn, &key).unwrap();
                    } else {
                        let value = vec![7; usize::try_from(number * 31 % 9000).unwrap()];
                        table.put(&mut txn, &key, &value).unwrap();
                    }
                }
                txn.commit().unwrap();
            }
        }
        drop(env);
        let path = folder.path().join("data.mdb");
        (folder, path)
    }

    /// Where in the file the first free page is listed.
    fn first_listed(bytes: &[u8], meta: &Meta) -> usize {
        let leaf = usize::try_from(meta.free).unwrap() * meta.page_size;
        assert_eq!(number16(bytes, leaf + 10), Some(LEAF), "a list of one page");
        let entry = leaf + usize::from(number16(bytes, leaf + HEADER).unwrap());
        let key = usize::from(number16(bytes, entry + 6).unwrap());
        let mut list = entry + ENTRY + key;
        if number16(bytes, entry + 4) == Some(ELSEWHERE) {
            let page = usize::try_from(number(bytes, list).unwrap()).unwrap();
            list = page * meta.page_size + HEADER;
        }
        assert!(number(bytes, list) >= Some(2), "more than one free page");
        list + 8
    }

    #[test]
    fn a_sound_file_is_well_and_one_that_is_cut_is_not() {
        let (_folder, path) = file();
        check(&path).unwrap();
        let length = fs::metadata(&path).unwrap().len();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(length / 2).unwrap();
        let error = check(&path).unwrap_err();
        assert!(matches!(error, LayoutError::Unread { .. }), "{error}");
        file.set_len(100).unwrap();
        assert!(check(&path).is_err());
    }

    #[test]
    fn a_page_that_is_free_twice_or_used_or_beyond_the_end_is_found() {
        let (_folder, path) = file();
        let meta = Meta::newest(&File::open(&path).unwrap()).unwrap();
        let sound = fs::read(&path).unwrap();
        let at = first_listed(&sound, &meta);
        let second = number(&sound, at + 8).unwrap();
        for (instead, words) in [
            (second, "used twice"),
            (meta.main, "used and free"),
            (meta.last + 1, "no page of this file"),
            (0, "no page of this file"),
        ] {
            let mut bytes = sound.clone();
            bytes[at..at + 8].copy_from_slice(&instead.to_le_bytes());
            fs::write(&path, bytes).unwrap();
            let error = check(&path).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn whatever_is_written_into_it_the_check_ends(
            writes in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..8)
        ) {
            thread_local! {
                static SOUND: (TempDir, std::path::PathBuf, Vec<u8>) = {
                    let (folder, path) = file();
                    let bytes = fs::read(&path).unwrap();
                    (folder, path, bytes)
                };
            }
            SOUND.with(|(_folder, path, sound)| {
                let mut bytes = sound.clone();
                for (at, what) in &writes {
                    let at = at.index(bytes.len() - 8);
                    bytes[at..at + 8].copy_from_slice(&what.to_le_bytes());
                }
                fs::write(path, bytes).unwrap();
                // Well or not: what is asked is that it says so.
                let _ = check(path);
            });
        }
    }
}

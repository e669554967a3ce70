//! The tree of directories and files of an archive.
//!
//! Invariant: a directory's hash and signed size, kept in the entry that names it, do not change when
//! bodies are dropped ([`Directory::retain`]): that is what lets an archive be filtered and laid out
//! anew under its old signature.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::toc::{self, Target};

/// A directory: entries by name. `B` says where the body of a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory<B> {
    pub(crate) entries: BTreeMap<String, Entry<B>>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<B> {
    /// BLAKE3 of the body, or of the directory's canonical table.
    pub hash: Digest,
    /// Bytes of the body; for a directory, the most its table may have.
    pub size: u64,
    /// What it is.
    pub node: Node<B>,
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<B> {
    /// It was signed, and left out of this file.
    Missing,
    /// A file.
    File(B),
    /// A directory.
    Directory(Directory<B>),
}

impl<B> Default for Directory<B> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }
}

impl<B> Directory<B> {
    /// The entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry<B>)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry at a path such as `images/x86_64/main.json`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry<B>> {
        match path.split_once('/') {
            None => self.entries.get(path),
            Some((first, rest)) => match &self.entries.get(first)?.node {
                Node::Directory(directory) => directory.get(rest),
                Node::Missing | Node::File(_) => None,
            },
        }
    }

    /// Whether there is a file with a body at `path`.
    #[must_use]
    pub fn has_file(&self, path: &str) -> bool {
        matches!(
            self.get(path),
            Some(Entry {
                node: Node::File(_),
                ..
            })
        )
    }

    /// Every entry of the tree with its path, parents before their children.
    #[must_use]
    pub fn walk(&self) -> Vec<(String, &Entry<B>)> {
        let mut found = Vec::new();
        self.walk_into("", &mut found);
        found
    }

    fn walk_into<'a>(&'a self, above: &str, found: &mut Vec<(String, &'a Entry<B>)>) {
        for (name, entry) in &self.entries {
            let path = format!("{above}{name}");
            let below = format!("{path}/");
            found.push((path, entry));
            if let Node::Directory(directory) = &entry.node {
                directory.walk_into(&below, found);
            }
        }
    }

    /// Every file that has a body: path, entry, and where the body is.
    pub fn files(&self) -> impl Iterator<Item = (String, &Entry<B>, &B)> {
        self.walk()
            .into_iter()
            .filter_map(|(path, entry)| match &entry.node {
                Node::File(body) => Some((path, entry, body)),
                Node::Missing | Node::Directory(_) => None,
            })
    }

    /// Turns every file that is not in `keep`, and every directory left without a file, into a
    /// missing entry.
    pub fn retain(&mut self, keep: &BTreeSet<String>) {
        self.retain_below("", keep);
    }

    fn retain_below(&mut self, above: &str, keep: &BTreeSet<String>) -> bool {
        let mut any = false;
        for (name, entry) in &mut self.entries {
            let path = format!("{above}{name}");
            let stays = match &mut entry.node {
                Node::Missing => false,
                Node::File(_) => keep.contains(&path),
                Node::Directory(directory) => directory.retain_below(&format!("{path}/"), keep),
            };
            if !stays {
                entry.node = Node::Missing;
            }
            any |= stays;
        }
        any
    }

    /// The hash under which a parent, or the signature, knows this directory.
    #[must_use]
    pub fn sighash(&self) -> Digest {
        let mut canonical = Vec::new();
        toc::put_varint(self.entries.len() as u64, &mut canonical);
        for (name, entry) in &self.entries {
            toc::put_entry(
                name,
                &entry.hash,
                entry.size,
                Target::Missing,
                &mut canonical,
            );
        }
        Digest::of(&canonical)
    }

    /// Bytes of this directory's table as it stands, missing entries counted as such.
    #[must_use]
    pub fn toc_size(&self) -> u64 {
        let entries = self.entries.iter().map(|(name, entry)| {
            let tail = match entry.node {
                Node::Missing => 0,
                Node::File(_) => 8,
                Node::Directory(_) => 16,
            };
            toc::entry_size(name) + tail
        });
        toc::varint_size(self.entries.len() as u64) + entries.sum::<u64>()
    }
}

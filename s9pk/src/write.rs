//! Writing archives: header, then tables and bodies breadth first.
//!
//! Invariants:
//! - Every table stands before every byte that is reached through it, and the root is in priority
//!   order (manifest first among the files), so that a reader of a stream learns what it gets before
//!   the bulk arrives.
//! - Writing never changes what was signed: hashes and signed sizes come from the tree.
//! - A body that does not match its hash ends the writing with an error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use ed25519_dalek::SigningKey;

use crate::archive::{Archive, ArchiveError};
use crate::commitment::Commitment;
use crate::digest::Digest;
use crate::header::{HEADER_SIZE, Header};
use crate::read_at::ReadAt;
use crate::toc::{self, Target};
use crate::tree::{Directory, Entry, Node};

const CHUNK: usize = 1024 * 1024;

/// An archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output failed.
    #[error("could not write the package")]
    Output(#[source] io::Error),
    /// A file to be packed could not be read.
    #[error("could not read `{}`", path.display())]
    Input {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file changed between being hashed and being written.
    #[error("`{0}` changed while it was being packed; pack again")]
    Changed(String),
    /// A body of the archive that is written anew is damaged.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The path cannot be in a package.
    #[error("`{0}` cannot be the path of a file in a package")]
    BadPath(String),
}

impl WriteError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        use crate::ErrorKind;
        match self {
            Self::Output(_) | Self::Input { .. } => ErrorKind::Filesystem.code(),
            Self::Changed(_) | Self::BadPath(_) => ErrorKind::Pack.code(),
            Self::Archive(error) => error.code(),
        }
    }
}

/// Where a new archive takes a body from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// From memory.
    Bytes(Vec<u8>),
    /// From a file.
    File(PathBuf),
}

/// An archive in the making: files by path, not yet signed.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    root: Directory<Content>,
}

impl Draft {
    /// An archive without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree so far; hashes of directories are not filled in yet.
    #[must_use]
    pub fn root(&self) -> &Directory<Content> {
        &self.root
    }

    /// Adds a file, replacing one of the same path.
    ///
    /// # Errors
    /// [`WriteError::BadPath`], and [`WriteError::Input`] if the file cannot be hashed.
    pub fn insert(&mut self, path: &str, content: Content) -> Result<(), WriteError> {
        let (hash, size) = match &content {
            Content::Bytes(bytes) => (Digest::of(bytes), bytes.len() as u64),
            Content::File(file) => {
                let mut sink = io::sink();
                copy_file(file, &mut sink)?
            }
        };
        let bad_path = || WriteError::BadPath(path.to_owned());
        if !path.split('/').all(toc::is_segment) {
            return Err(bad_path());
        }
        let mut directory = &mut self.root;
        let mut rest = path;
        while let Some((first, below)) = rest.split_once('/') {
            let entry = directory.entries.entry(first.to_owned());
            let entry = entry.or_insert_with(|| Entry {
                hash: Digest([0; 32]),
                size: 0,
                node: Node::Directory(Directory::default()),
            });
            let Node::Directory(next) = &mut entry.node else {
                return Err(bad_path());
            };
            (directory, rest) = (next, below);
        }
        let node = Node::File(content);
        let entry = Entry { hash, size, node };
        directory.entries.insert(rest.to_owned(), entry);
        Ok(())
    }

    /// Keeps only these files. Unlike in a signed archive, the others vanish without a trace.
    pub fn retain(&mut self, keep: &std::collections::BTreeSet<String>) {
        self.root.retain(keep);
        drop_missing(&mut self.root);
    }

    /// Fills in the hashes of directories and signs the whole.
    pub fn sign(&mut self, key: &SigningKey) -> Header {
        seal(&mut self.root);
        let commitment = Commitment {
            root_sighash: self.root.sighash(),
            root_maxsize: self.root.toc_size(),
        };
        Header::sign(commitment, key)
    }

    /// Writes the archive under the header that [`Draft::sign`] returned.
    ///
    /// # Errors
    /// [`WriteError`] naming the file that could not be read or changed meanwhile.
    pub fn write(&self, header: &Header, out: &mut dyn Write) -> Result<(), WriteError> {
        write_archive(header, &self.root, out, &mut |path, entry, content, out| {
            let found = match content {
                Content::Bytes(bytes) => {
                    out.write_all(bytes).map_err(WriteError::Output)?;
                    (Digest::of(bytes), bytes.len() as u64)
                }
                Content::File(file) => copy_file(file, out)?,
            };
            if found == (entry.hash, entry.size) {
                return Ok(());
            }
            Err(WriteError::Changed(path.to_owned()))
        })
    }
}

impl<S: ReadAt> Archive<S> {
    /// Writes the archive anew, in priority order, under its old signature.
    ///
    /// # Errors
    /// [`WriteError`]; a body that is not what was signed ends the writing.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), WriteError> {
        write_archive(
            self.header(),
            self.root(),
            out,
            &mut |path, entry, position, out| Ok(self.copy_body(path, entry, *position, out)?),
        )
    }
}

fn drop_missing<B>(directory: &mut Directory<B>) {
    directory
        .entries
        .retain(|_, entry| !matches!(entry.node, Node::Missing));
    for entry in directory.entries.values_mut() {
        if let Node::Directory(below) = &mut entry.node {
            drop_missing(below);
        }
    }
}

fn seal<B>(directory: &mut Directory<B>) {
    for entry in directory.entries.values_mut() {
        if let Node::Directory(below) = &mut entry.node {
            seal(below);
            (entry.hash, entry.size) = (below.sighash(), below.toc_size());
        }
    }
}

fn copy_file(path: &PathBuf, out: &mut dyn Write) -> Result<(Digest, u64), WriteError> {
    let input = |source| WriteError::Input {
        path: path.clone(),
        source,
    };
    let mut file = File::open(path).map_err(input)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer).map_err(input)?;
        if read == 0 {
            return Ok((hasher.finalize().into(), hasher.count()));
        }
        hasher.update(&buffer[..read]);
        out.write_all(&buffer[..read]).map_err(WriteError::Output)?;
    }
}

/// The order of the root's files; what is not listed comes last.
fn priority(name: &str) -> usize {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match name {
        "manifest.json" => 0,
        _ if stem == "icon" => 1,
        "LICENSE.md" => 2,
        "instructions.md" => 3,
        "dependencies" => 4,
        "javascript.squashfs" => 5,
        "assets.squashfs" => 6,
        "images" => 7,
        _ => 8,
    }
}

fn in_layout_order<B>(directory: &Directory<B>, is_root: bool) -> Vec<(&String, &Entry<B>)> {
    let mut entries: Vec<_> = directory.entries.iter().collect();
    // The sort is stable and the map is sorted by name, so names decide between equals.
    entries.sort_by_key(|(name, entry)| {
        let by_priority = if is_root { priority(name) } else { 0 };
        match entry.node {
            Node::Directory(_) => (0, by_priority),
            Node::File(_) => (1, by_priority),
            Node::Missing => (2, 0),
        }
    });
    entries
}

type CopyBody<'a, B> =
    dyn FnMut(&str, &Entry<B>, &B, &mut dyn Write) -> Result<(), WriteError> + 'a;

fn write_archive<B>(
    header: &Header,
    root: &Directory<B>,
    out: &mut dyn Write,
    copy: &mut CopyBody<'_, B>,
) -> Result<(), WriteError> {
    enum Due<'a, B> {
        Table(String, &'a Directory<B>),
        Body(String, &'a Entry<B>, &'a B),
    }
    let head = header.to_bytes(HEADER_SIZE, root.toc_size());
    out.write_all(&head).map_err(WriteError::Output)?;
    let mut next = HEADER_SIZE + root.toc_size();
    let mut queue = VecDeque::from([Due::Table(String::new(), root)]);
    while let Some(due) = queue.pop_front() {
        let (above, directory) = match due {
            Due::Table(above, directory) => (above, directory),
            Due::Body(path, entry, body) => {
                copy(&path, entry, body, out)?;
                continue;
            }
        };
        let mut table = Vec::with_capacity(directory.toc_size() as usize);
        toc::put_varint(directory.entries.len() as u64, &mut table);
        for (name, entry) in in_layout_order(directory, above.is_empty()) {
            let path = format!("{above}{name}");
            let position = next;
            let target = match &entry.node {
                Node::Missing => Target::Missing,
                Node::File(body) => {
                    next += entry.size;
                    queue.push_back(Due::Body(path, entry, body));
                    Target::File { position }
                }
                Node::Directory(below) => {
                    let toc_size = below.toc_size();
                    next += toc_size;
                    queue.push_back(Due::Table(format!("{path}/"), below));
                    Target::Directory { position, toc_size }
                }
            };
            toc::put_entry(name, &entry.hash, entry.size, target, &mut table);
        }
        out.write_all(&table).map_err(WriteError::Output)?;
    }
    out.flush().map_err(WriteError::Output)
}

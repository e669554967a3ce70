//! Installed packages, kept by content.
//!
//! ```text
//! store/<hex BLAKE3 of a body>     a body, zero-padded to 4096 bytes, 0444, shared between packages
//! store/<hex of a root hash>.toc   a package: how to put its file together again (see `recipe`)
//! store/<anything>.partial         being written
//! ```
//!
//! Life of an intake; a crash in any state leaves what [`Store::open`] removes:
//!
//! ```text
//! reading ──▶ verified ──▶ durable ──▶ named ──▶ installed
//!   │ bodies go to .partial files, hashed on the way; any error removes them
//!   │           signature, tables, manifest and machine fit
//!   │                        bodies and recipe are on the disk
//!   │                                     bodies have their names, nothing refers to them yet
//!   └                                               the recipe has its name: the package is there
//! ```
//!
//! Invariants:
//! - A file has its final name only after its contents matched it, and a recipe only after every
//!   body it refers to.
//! - Who uses a body is derived from the recipes each time; there are no counters to go wrong.
//! - One process at a time uses a store's folder (Coppice's lock on its data folder sees to that);
//!   within it, any number of threads.

mod body;
mod error;
mod intake;
mod partial;
mod recipe;
mod stream;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use coppice_exver::{Version, VersionString};
use nix::errno::Errno;

pub use error::StoreError;
pub use view::StoredPackage;

use crate::archive::Archive;
use crate::commitment::Commitment;
use crate::digest::Digest;
use crate::id::{Arch, PackageId};
use crate::manifest::{Manifest, compatible_os_version};
use recipe::Recipe;

/// Bodies are padded to a multiple of this, so that a loop device over them has whole blocks.
const BLOCK: u64 = 4096;

/// What an intake must turn out to be.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The machine's architecture.
    pub arch: Arch,
    /// The version of StartOS as which Coppice answers; packages that need a newer one are refused.
    pub os_version: Version,
    /// The package that was asked for; none accepts any.
    pub package: Option<PackageId>,
    /// The version that was asked for; none accepts any.
    pub version: Option<VersionString>,
    /// What a registry promised; none accepts any valid signature.
    pub commitment: Option<Commitment>,
    /// The most bytes the file may have.
    pub max_bytes: u64,
}

impl Expected {
    /// Any package for this machine, of at most 1 TiB.
    #[must_use]
    pub fn any() -> Self {
        Self {
            arch: Arch::of_this_machine(),
            os_version: compatible_os_version(),
            package: None,
            version: None,
            commitment: None,
            max_bytes: 1 << 40,
        }
    }
}

/// A body in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its name in the store.
    pub hash: Digest,
    /// Its bytes, padding not counted.
    pub size: u64,
}

/// A package in the store.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Identifies the package.
    pub root: Digest,
    /// The same, with the signed size of the root table.
    pub commitment: Commitment,
    /// Who signed it: a public key in 64 hex digits.
    pub signer: String,
    /// Bytes of the `.s9pk` it came from.
    pub file_size: u64,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The path of its icon.
    pub icon: String,
    /// The files that count on this machine, by path. [`Store::path_of`] says where they are.
    pub entries: BTreeMap<String, Body>,
}

/// A folder of installed packages. Blocking: use it from `spawn_blocking`.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Bodies that running intakes rely on, with how many do; removal leaves them alone.
    pinned: Mutex<HashMap<Digest, usize>>,
    next_partial: AtomicU64,
}

impl Store {
    /// Opens a store, making the folder (0700) if there is none, and removes what a crash left.
    ///
    /// # Errors
    /// [`StoreError::Folder`] if the folder cannot be made or read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = folder.into();
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(StoreError::folder("make", &folder))?;
        let store = Self {
            folder,
            pinned: Mutex::default(),
            next_partial: AtomicU64::new(0),
        };
        store.remove_partials()?;
        store.remove_unused(&store.pins())?;
        Ok(store)
    }

    /// Takes in a file: one pass that copies and hashes, after all tables were verified.
    ///
    /// `progress` is told how many bytes of the file are done; returning `Break` ends the intake.
    ///
    /// # Errors
    /// [`StoreError`] saying what is wrong with the package, or that the disk is full. Nothing is
    /// left behind then.
    pub fn ingest_file(
        &self,
        file: &File,
        expected: &Expected,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Installed, StoreError> {
        intake::from_file(self, file, expected, progress)
    }

    /// Takes in a stream, such as an upload, in one pass and without knowing its end.
    ///
    /// `length` is what the sender announced; a stream of another length is refused.
    ///
    /// # Errors
    /// As [`Store::ingest_file`], and [`StoreError::NotStreamable`] for a file whose tables stand
    /// behind what they describe: no known writer makes one.
    pub fn ingest_stream(
        &self,
        stream: &mut dyn Read,
        length: Option<u64>,
        expected: &Expected,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Installed, StoreError> {
        stream::from_stream(self, stream, length, expected, progress)
    }

    /// Where a body is. The file is longer than the body where that is not a multiple of 4096.
    #[must_use]
    pub fn path_of(&self, hash: &Digest) -> PathBuf {
        self.folder.join(hash.to_string())
    }

    /// Root hashes of the installed packages, in no particular order.
    ///
    /// # Errors
    /// [`StoreError::Folder`] if the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>, StoreError> {
        let names = self.names()?;
        let roots = names.iter().filter_map(|name| name.strip_suffix(".toc"));
        Ok(roots.filter_map(|root| root.parse().ok()).collect())
    }

    /// The installed package as an archive: verified like any other, read like a file.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`], or [`StoreError::Damaged`] if its recipe or tables are.
    pub fn archive(&self, root: &Digest) -> Result<Archive<StoredPackage>, StoreError> {
        let view = StoredPackage::new(self.recipe(root)?, |hash| self.path_of(hash));
        // The intake judged the size of the root table; here only the hash is to be confirmed.
        let expected = Commitment {
            root_sighash: *root,
            root_maxsize: u64::MAX,
        };
        Archive::open(view, Some(expected)).map_err(|source| self.damaged(root, source))
    }

    /// What is known of an installed package, as [`Store::ingest_file`] returned it.
    ///
    /// # Errors
    /// As [`Store::archive`].
    pub fn installed(&self, root: &Digest, arch: &Arch) -> Result<Installed, StoreError> {
        Installed::from_archive(&self.archive(root)?, arch)
    }

    /// Writes the `.s9pk` of a package, byte for byte what was taken in, and returns its length.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a body no longer matches its hash: `out` must not be used then.
    pub fn reassemble(&self, root: &Digest, out: &mut dyn Write) -> Result<u64, StoreError> {
        let recipe = self.recipe(root)?;
        recipe
            .write(out, &|hash| self.path_of(hash))
            .map_err(|failure| match failure {
                recipe::WriteFailure::Output(source) => StoreError::Output(source),
                recipe::WriteFailure::Body(hash, source) => self.damaged_body(root, &hash, source),
            })
    }

    /// Removes a package and every body that no other package uses. Mounted bodies stay readable
    /// until they are unmounted.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`], or [`StoreError::Folder`]; doing it again is safe.
    pub fn remove(&self, root: &Digest) -> Result<(), StoreError> {
        let pins = self.pins();
        let path = self.recipe_path(root);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NotInstalled(*root));
            }
            Err(error) => return Err(StoreError::folder("remove a package from", &path)(error)),
        }
        // The recipe must be gone for good before its bodies go: otherwise a power cut could bring
        // back a package without contents.
        self.sync_folder()?;
        self.remove_unused(&pins)
    }

    fn recipe_path(&self, root: &Digest) -> PathBuf {
        self.folder.join(format!("{root}.toc"))
    }

    fn recipe(&self, root: &Digest) -> Result<Recipe, StoreError> {
        let path = self.recipe_path(root);
        match fs::read(&path) {
            Ok(bytes) => Recipe::parse(&bytes).map_err(|source| self.damaged(root, source)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NotInstalled(*root))
            }
            Err(error) => Err(self.damaged(root, error)),
        }
    }

    fn damaged(
        &self,
        root: &Digest,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Damaged {
            path: self.recipe_path(root),
            source: source.into(),
        }
    }

    fn damaged_body(&self, root: &Digest, hash: &Digest, source: io::Error) -> StoreError {
        StoreError::DamagedBody {
            root: *root,
            path: self.path_of(hash),
            source,
        }
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let failed = StoreError::folder("read", &self.folder);
        let entries = fs::read_dir(&self.folder).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
            names.collect::<io::Result<Vec<_>>>()
        });
        Ok(entries.map_err(failed)?.into_iter().flatten().collect())
    }

    fn remove_partials(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            if name.ends_with(partial::SUFFIX) {
                self.remove_file(&name)?;
            }
        }
        Ok(())
    }

    /// Removes bodies that no recipe refers to and no intake relies on.
    fn remove_unused(&self, pins: &Pins<'_>) -> Result<(), StoreError> {
        let mut used = BTreeSet::new();
        for root in self.list()? {
            match self.recipe(&root) {
                Ok(recipe) => used.extend(recipe.bodies()),
                Err(error) => {
                    // What a damaged recipe refers to is unknown, so nothing may be called unused.
                    tracing::warn!(%root, %error, "keeping all bodies: a recipe is unreadable");
                    return Ok(());
                }
            }
        }
        for name in self.names()? {
            let hash = name.parse::<Digest>();
            if hash.is_ok_and(|hash| !used.contains(&hash) && !pins.0.contains_key(&hash)) {
                self.remove_file(&name)?;
            }
        }
        Ok(())
    }

    fn remove_file(&self, name: &str) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        fs::remove_file(&path).map_err(StoreError::folder("remove a file from", &path))
    }

    fn sync_folder(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(StoreError::folder("save", &self.folder))
    }

    /// Also the lock under which files get their final names and lose them.
    fn pins(&self) -> Pins<'_> {
        // A panic while it is held leaves at worst a body too many.
        Pins(self.pinned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn partial_path(&self, what: &str) -> PathBuf {
        let number = self.next_partial.fetch_add(1, Ordering::Relaxed);
        self.folder
            .join(format!("{what}.{number}{}", partial::SUFFIX))
    }

    /// Bytes that can still be written, as far as the file system says.
    fn free_bytes(&self) -> Option<u64> {
        let stat = nix::sys::statvfs::statvfs(&self.folder).ok()?;
        Some(stat.blocks_available() as u64 * stat.fragment_size() as u64)
    }
}

struct Pins<'a>(MutexGuard<'a, HashMap<Digest, usize>>);

impl Installed {
    fn from_archive(archive: &Archive<StoredPackage>, arch: &Arch) -> Result<Self, StoreError> {
        let manifest = archive.manifest()?;
        let contents = archive.contents(&manifest, Some(arch))?;
        let files = archive
            .root()
            .files()
            .filter(|(path, ..)| contents.files().contains(path));
        let entries = files.map(|(path, entry, _)| {
            let (hash, size) = (entry.hash, entry.size);
            (path, Body { hash, size })
        });
        Ok(Self {
            root: archive.commitment().root_sighash,
            commitment: *archive.commitment(),
            signer: archive.signer_hex(),
            file_size: archive.length(),
            icon: contents.icon().to_owned(),
            entries: entries.collect(),
            manifest,
        })
    }
}

/// Whether writing failed because there is no room.
fn is_full(error: &io::Error) -> bool {
    let full = [Errno::ENOSPC, Errno::EDQUOT];
    full.iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// Rounds up to whole blocks.
fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// Makes `path` the name of what is at `from`.
fn rename(from: &Path, path: &Path) -> Result<(), StoreError> {
    fs::rename(from, path).map_err(StoreError::folder("name a file in", path))
}

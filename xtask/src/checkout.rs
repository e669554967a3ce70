//! Where things are: the checkout, the cache outside it, Cargo's target folder.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command;

/// The folders that every verb works with.
pub(crate) struct Checkout {
    /// The top of the source tree.
    pub(crate) root: PathBuf,
    /// What outlives the checkout: downloads, images, stamps.
    pub(crate) cache: PathBuf,
    /// Cargo's, see `CARGO_TARGET_DIR`.
    pub(crate) target: PathBuf,
}

impl Checkout {
    /// # Errors
    /// When `setup/ready.sh` has not set the folders of the cache, so this was not called through `make`.
    pub(crate) fn find() -> Result<Self> {
        let folder = |name: &str| {
            env::var_os(name)
                .map(PathBuf::from)
                .with_context(|| format!("{name} is not set: call this through `make`"))
        };
        // Not where xtask was compiled: checkouts share what is built.
        let root = env::current_dir().context("there is no working directory")?;
        let here = root.join("xtask/Cargo.toml");
        ensure!(
            here.is_file(),
            "{} is missing: call this through `make`, in the checkout",
            here.display()
        );
        Ok(Self {
            root,
            cache: folder("COPPICE_CACHE")?,
            target: folder("CARGO_TARGET_DIR")?,
        })
    }

    /// What this checkout alone keeps in the cache.
    pub(crate) fn own_cache(&self) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        self.root.hash(&mut hasher);
        self.cache
            .join(format!("checkout-{:016x}", hasher.finish()))
    }

    /// [`Checkout::own_cache`], which then exists and belongs to the user who called `make`.
    pub(crate) fn make_own_cache(&self) -> Result<PathBuf> {
        let folder = self.own_cache();
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        command::give_to_user(&folder)?;
        Ok(folder)
    }

    /// Writes a file that belongs to the user who called `make`, and the folders above it.
    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<()> {
        let missing: Vec<_> = path
            .ancestors()
            .skip(1)
            .take_while(|p| !p.exists())
            .collect();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        for made in missing.into_iter().chain([path]) {
            command::give_to_user(made)?;
        }
        Ok(())
    }

    /// The files that Git keeps, and new ones that it does not ignore.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut git = command::as_user("git");
        git.current_dir(&self.root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let names = command::output(&mut git)?;
        let names = names
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(PathBuf::from);
        // A file that was removed but not yet committed is still listed.
        Ok(names
            .filter(|name| self.root.join(name).is_file())
            .collect())
    }
}

/// The name of this machine's architecture, as the kernel and `.s9pk` files spell it.
pub(crate) const ARCH: &str = env::consts::ARCH;

/// The Rust target that programs for this machine are built for.
pub(crate) fn target_triple() -> String {
    match ARCH {
        "riscv64" => "riscv64gc-unknown-linux-gnu".to_owned(),
        arch => format!("{arch}-unknown-linux-gnu"),
    }
}

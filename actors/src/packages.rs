//! Packages in the content store, as services need them.
//!
//! Everything here reads files; it runs off the async threads.

use std::{
    fs::{File, OpenOptions},
    ops::ControlFlow,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use coppice_s9pk::{
    Arch, Archive, ArchiveError, Contents, Digest, Expected, Installed, Manifest, ReadAt, Store,
    StoreError, StoredPackage, icon_mime,
};
use serde_json::Value;

use crate::{
    document::{Document, not_installed},
    network::check_service_name,
    problem::{Kind, Problem},
};

/// Bytes of an image's `.env` or `.json`; real ones have a few hundred.
const SMALL_FILE: u64 = 1024 * 1024;
/// Bytes of an icon; the package format's own limit.
const ICON: u64 = coppice_s9pk::MAX_ICON;

/// The content store, and which package is whose.
#[derive(Clone, Debug)]
pub struct Packages {
    store: Arc<Store>,
    document: Document,
    uploads: PathBuf,
}

/// A package file that was looked at: tables and manifest are verified, bodies not yet.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Identifies it.
    pub root: String,
    /// Its signer, lower-case hex.
    pub signer: String,
    /// Its icon as a `data:` URL.
    pub icon: String,
    /// Bytes of the file.
    pub size: u64,
}

/// An image of an installed package.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its squashfs in the store.
    pub file: PathBuf,
    /// Its environment, one `KEY=VALUE` a line.
    pub env: String,
    /// Its working directory, user and commands, as JSON.
    pub json: String,
}

/// What a package brought about one of its dependencies.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// Its name.
    pub title: Option<String>,
    /// Its icon as a `data:` URL.
    pub icon: Option<String>,
}

/// An installed package, opened.
pub struct InstalledPackage {
    store: Arc<Store>,
    archive: Archive<StoredPackage>,
    installed: Installed,
    arch: Arch,
}

impl Packages {
    /// The store in `folder`, whose uploads wait in `uploads`.
    ///
    /// # Errors
    /// When the folders cannot be made. Blocks.
    pub fn open(folder: &Path, uploads: &Path, document: Document) -> Result<Self, Problem> {
        let store = Store::open(folder).map_err(|error| stored(&error))?;
        // No job survives a restart of the core with its upload.
        match std::fs::remove_dir_all(uploads) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Problem::of(Kind::Filesystem, &error));
            }
            _ => {}
        }
        std::fs::create_dir_all(uploads).map_err(|error| Problem::of(Kind::Filesystem, &error))?;
        Ok(Self {
            store: Arc::new(store),
            document,
            uploads: uploads.to_owned(),
        })
    }

    /// Where uploads wait for their job.
    #[must_use]
    pub fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// Looks at a package file: signature, tables, manifest and what this machine needs of it.
    ///
    /// # Errors
    /// When the file cannot be read, is no valid package for this machine, or its id is too long to
    /// be part of a name on the network.
    pub async fn look(&self, path: &Path) -> Result<Opened, Problem> {
        let path = path.to_owned();
        let hostname = self.document.hostname().unwrap_or_default();
        blocking(move || {
            let file = package_file(&path)?;
            let archive = Archive::open(file, None).map_err(|error| opened(&error))?;
            let manifest = archive.manifest().map_err(|error| opened(&error))?;
            Expected::any()
                .check(&manifest)
                .map_err(|error| stored(&error))?;
            check_service_name(manifest.id.as_str(), &hostname)?;
            let arch = Arch::of_this_machine();
            let contents = Contents::of(archive.root(), &manifest, Some(&arch))
                .map_err(|error| coded(error.code(), &error))?;
            Ok(Opened {
                root: archive.commitment().root_sighash.to_string(),
                signer: archive.signer_hex(),
                icon: icon(&archive, contents.icon())?,
                size: archive.length(),
                manifest,
            })
        })
        .await
    }

    /// Takes a package file into the store in one verifying pass, unless `progress` ends it.
    ///
    /// # Errors
    /// When a body is not what was signed, the disk is full, or the file is another package than
    /// `root` by now. Nothing is left behind then.
    pub async fn ingest(
        &self,
        path: &Path,
        root: &str,
        mut progress: impl FnMut(u64) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(), Problem> {
        let (store, path, root) = (Arc::clone(&self.store), path.to_owned(), root.to_owned());
        blocking(move || {
            let file = package_file(&path)?;
            let installed = store
                .ingest_file(&file, &Expected::any(), &mut progress)
                .map_err(|error| stored(&error))?;
            if installed.root.to_string() != root {
                return Err(Problem::new(
                    Kind::ValidateS9pk,
                    format!(
                        "`{}` was replaced while it was read; install it again",
                        path.display()
                    ),
                ));
            }
            Ok(())
        })
        .await
    }

    /// Removes a package from the store; one that is not there is removed already.
    ///
    /// # Errors
    /// When the store's folder cannot be written.
    pub async fn remove(&self, root: &str) -> Result<(), Problem> {
        let (store, root) = (Arc::clone(&self.store), digest(root)?);
        blocking(move || match store.remove(&root) {
            Ok(()) | Err(StoreError::NotInstalled(_)) => Ok(()),
            Err(error) => Err(stored(&error)),
        })
        .await
    }

    /// Opens the package of an installed service.
    ///
    /// # Errors
    /// When it is not installed, or the store is damaged.
    pub async fn open_installed(&self, id: &str) -> Result<InstalledPackage, Problem> {
        let kept = self.document.private(id).ok_or_else(|| not_installed(id))?;
        let (store, root) = (Arc::clone(&self.store), digest(&kept.archive.root)?);
        blocking(move || {
            let arch = Arch::of_this_machine();
            let archive = store.archive(&root).map_err(|error| stored(&error))?;
            let installed = store
                .installed(&root, &arch)
                .map_err(|error| stored(&error))?;
            Ok(InstalledPackage {
                store,
                archive,
                installed,
                arch,
            })
        })
        .await
    }

    /// What the package `id` brought about its dependency `dependency`.
    pub async fn dependency(&self, id: &str, dependency: &str) -> Described {
        let Ok(package) = self.open_installed(id).await else {
            return Described::default();
        };
        let dependency = dependency.to_owned();
        let described = blocking(move || Ok(package.dependency(&dependency))).await;
        described.unwrap_or_default()
    }
}

impl InstalledPackage {
    /// The volumes that every container of it gets.
    #[must_use]
    pub fn volume_ids(&self) -> Vec<String> {
        let ids = self
            .installed
            .manifest
            .volumes
            .iter()
            .map(ToString::to_string);
        // `BACKUP` names the backup target, which is mounted for a backup only.
        ids.filter(|id| id != "BACKUP").collect()
    }

    /// Its images for this machine.
    ///
    /// # Errors
    /// When a side file cannot be read.
    pub fn images(&self) -> Result<Vec<Image>, Problem> {
        let mut images = Vec::new();
        for (id, config) in &self.installed.manifest.images {
            let own = format!("images/{}/{id}", self.arch);
            let emulated = config
                .emulate_missing_as
                .as_ref()
                .map(|arch| format!("images/{arch}/{id}"));
            let found = [Some(own), emulated]
                .into_iter()
                .flatten()
                .find_map(|stem| {
                    let body = self.installed.entries.get(&format!("{stem}.squashfs"))?;
                    Some((stem, self.store.path_of(&body.hash)))
                });
            // An image without a variant for this machine is skipped; asking for it fails then.
            let Some((stem, file)) = found else { continue };
            images.push(Image {
                id: id.to_string(),
                file,
                env: self.text(&format!("{stem}.env"))?,
                json: self.text(&format!("{stem}.json"))?,
            });
        }
        Ok(images)
    }

    /// Device nodes its manifest asks for.
    #[must_use]
    pub fn devices(&self) -> Vec<PathBuf> {
        let manifest = &self.installed.manifest;
        let mut devices = Vec::new();
        if manifest.userspace_filesystems {
            devices.push(PathBuf::from("/dev/fuse"));
        }
        if manifest.virtual_networking {
            devices.push(PathBuf::from("/dev/net/tun"));
        }
        if manifest.hardware_acceleration {
            devices.extend(accelerators());
        }
        devices
    }

    /// Its JavaScript in the store.
    ///
    /// # Errors
    /// When it has none, which a verified package always has.
    pub fn javascript(&self) -> Result<PathBuf, Problem> {
        self.body("javascript.squashfs").ok_or_else(|| {
            Problem::new(
                Kind::ParseS9pk,
                "the package has no javascript.squashfs; reinstall it",
            )
        })
    }

    /// Its assets in the store.
    #[must_use]
    pub fn assets(&self) -> Option<PathBuf> {
        self.body("assets.squashfs")
    }

    fn body(&self, path: &str) -> Option<PathBuf> {
        Some(self.store.path_of(&self.installed.entries.get(path)?.hash))
    }

    fn text(&self, path: &str) -> Result<String, Problem> {
        let bytes = self
            .archive
            .read(path, SMALL_FILE)
            .map_err(|error| opened(&error))?;
        String::from_utf8(bytes).map_err(|error| Problem::of(Kind::Utf8, &error))
    }

    fn dependency(&self, dependency: &str) -> Described {
        let folder = format!("dependencies/{dependency}");
        let metadata: Option<Value> = self
            .archive
            .read(&format!("{folder}/metadata.json"), SMALL_FILE)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let title = metadata
            .as_ref()
            .and_then(|metadata| metadata.get("title"))
            .and_then(localized);
        let icons = self.installed.entries.keys();
        let icon_path = icons
            .into_iter()
            .find(|path| path.starts_with(&format!("{folder}/icon.")));
        Described {
            title,
            icon: icon_path.and_then(|path| icon(&self.archive, path).ok()),
        }
    }
}

/// A localised text in the server's first language, or whatever there is.
fn localized(text: &Value) -> Option<String> {
    match text {
        Value::String(text) => Some(text.clone()),
        Value::Object(languages) => languages
            .get("en_US")
            .or_else(|| languages.values().next())?
            .as_str()
            .map(str::to_owned),
        _ => None,
    }
}

/// Graphics and compute devices of this machine.
fn accelerators() -> Vec<PathBuf> {
    let below = |folder: &str, prefix: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
            })
            .filter(|path| !path.is_dir())
            .collect()
    };
    [
        below("/dev/dri", ""),
        below("/dev", "nvidia"),
        below("/dev", "kfd"),
    ]
    .concat()
}

fn icon<S: ReadAt>(archive: &Archive<S>, path: &str) -> Result<String, Problem> {
    let mime = path
        .rsplit_once('.')
        .and_then(|(_, extension)| icon_mime(extension));
    let bytes = archive.read(path, ICON).map_err(|error| opened(&error))?;
    Ok(format!(
        "data:{};base64,{}",
        mime.unwrap_or("application/octet-stream"),
        STANDARD.encode(bytes)
    ))
}

/// Opens a file that somebody named. Without waiting: a pipe's open returns when somebody writes
/// into it, which may be never.
fn package_file(path: &Path) -> Result<File, Problem> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let file = opened.map_err(|error| {
        Problem::new(
            Kind::Filesystem,
            format!("could not open `{}`: {error}", path.display()),
        )
    })?;
    if file.metadata().is_ok_and(|meta| meta.is_file()) {
        Ok(file)
    } else {
        Err(Problem::invalid(format!(
            "`{}` is not a file; give the path of a .s9pk",
            path.display()
        )))
    }
}

fn digest(root: &str) -> Result<Digest, Problem> {
    root.parse()
        .map_err(|error: coppice_s9pk::DigestError| Problem::of(Kind::Incoherent, &error))
}

fn coded(code: i32, error: &dyn std::error::Error) -> Problem {
    Problem::of(Kind::from_code(code).unwrap_or(Kind::ParseS9pk), error)
}

fn opened(error: &ArchiveError) -> Problem {
    coded(error.code(), error)
}

fn stored(error: &StoreError) -> Problem {
    coded(error.code(), error)
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    crate::blocking::blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Problem::new(
                Kind::Unknown,
                format!("reading a package failed: {error}"),
            ))
        })
}

#[cfg(test)]
mod tests {
    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn a_pipe_is_refused_at_once_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("package.s9pk");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let problem = package_file(&pipe).unwrap_err();
        assert!(problem.to_string().contains("is not a file"), "{problem}");
        assert!(package_file(folder.path()).is_err());
    }
}

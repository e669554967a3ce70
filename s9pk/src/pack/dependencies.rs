//! Title and icon of the packages that a package depends on.
//!
//! They are shown before the dependency is installed, so the package carries them along.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use url::Url;

use super::PackError;
use crate::archive::Archive;
use crate::contents::{Contents, MAX_ICON, icon_mime};
use crate::id::PackageId;
use crate::locale::LocaleString;
use crate::manifest::{DependencyMetadata, Manifest, PathOrUrl};
use crate::write::{Content, Draft};

/// Bytes of a dependency's icon; StartOS refuses larger ones when it packs.
const MAX_DEPENDENCY_ICON: usize = 100 * 1024;

#[derive(Serialize)]
struct Metadata<'a> {
    title: &'a LocaleString,
}

struct Picture {
    extension: String,
    bytes: Vec<u8>,
}

pub(super) fn insert(
    project: &Path,
    manifest: &Manifest,
    draft: &mut Draft,
) -> Result<(), PackError> {
    for (id, dependency) in &manifest.dependencies {
        let source = Source { id, project };
        let (title, icon) = match (&dependency.metadata, &dependency.s9pk) {
            (Some(metadata), _) => source.inline(metadata)?,
            (None, Some(package)) => source.package(package)?,
            (None, None) => continue,
        };
        #[expect(
            clippy::unwrap_used,
            reason = "a text, or texts by text, always serialise"
        )]
        let metadata = serde_json::to_vec(&Metadata { title: &title }).unwrap();
        let folder = format!("dependencies/{id}");
        draft.insert(&format!("{folder}/metadata.json"), Content::Bytes(metadata))?;
        let icon_path = format!("{folder}/icon.{}", icon.extension);
        draft.insert(&icon_path, Content::Bytes(icon.bytes))?;
    }
    Ok(())
}

struct Source<'a> {
    id: &'a PackageId,
    project: &'a Path,
}

impl Source<'_> {
    fn inline(&self, metadata: &DependencyMetadata) -> Result<(LocaleString, Picture), PackError> {
        let icon = match metadata.icon.resolve() {
            Ok(path) => self.icon_file(&self.locate(path))?,
            Err(url) if url.scheme() == "data" => self.data_url(&url)?,
            Err(url) => return Err(self.is_remote("icon", &url)),
        };
        if icon.bytes.len() > MAX_DEPENDENCY_ICON {
            return Err(self.wrong("icon", "it has more than 100 KiB; use a smaller picture"));
        }
        Ok((metadata.title.clone(), icon))
    }

    fn package(&self, package: &PathOrUrl) -> Result<(LocaleString, Picture), PackError> {
        let path = match package.resolve() {
            Ok(path) => self.locate(path),
            Err(url) => return Err(self.is_remote("package", &url)),
        };
        let file = File::open(&path).map_err(PackError::input(&path))?;
        let read = || {
            let archive = Archive::open(file, None)?;
            let manifest = archive.manifest()?;
            let contents = Contents::of(archive.root(), &manifest, None)?;
            let bytes = archive.read(contents.icon(), MAX_ICON)?;
            let extension = contents.icon().trim_start_matches("icon.").to_owned();
            let icon = Picture { extension, bytes };
            Ok((LocaleString::Plain(manifest.title), icon))
        };
        read().map_err(|source| PackError::DependencyPackage {
            dependency: self.id.clone(),
            path: path.clone(),
            source: Box::new(source),
        })
    }

    /// Relative paths start at the project, or else where the packer was started.
    fn locate(&self, path: &str) -> PathBuf {
        let inside = self.project.join(path);
        if inside.exists() {
            inside
        } else {
            PathBuf::from(path)
        }
    }

    fn icon_file(&self, path: &Path) -> Result<Picture, PackError> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or("");
        if icon_mime(extension).is_none() {
            return Err(self.wrong(
                "icon",
                "its name has no ending of a picture, such as `.png`",
            ));
        }
        let bytes = fs::read(path).map_err(PackError::input(path))?;
        let extension = extension.to_owned();
        Ok(Picture { extension, bytes })
    }

    fn data_url(&self, url: &Url) -> Result<Picture, PackError> {
        let wrong = |reason| self.wrong("icon", reason);
        let (head, data) = url.path().split_once(',').ok_or_else(|| {
            wrong("the data URL has no `,`; it should look like `data:image/png;base64,…`")
        })?;
        let mime = head.split(';').next().unwrap_or_default();
        let data = percent_decode(data);
        let bytes = if head.ends_with(";base64") {
            let decoded = STANDARD.decode(&data);
            decoded.map_err(|_| wrong("the data URL is not valid base64"))?
        } else {
            data
        };
        let extension = canonical_extension(mime).to_owned();
        Ok(Picture { extension, bytes })
    }

    fn is_remote(&self, what: &'static str, url: &Url) -> PackError {
        self.wrong(
            what,
            &format!("packing does not use the network; download {url} and give its path"),
        )
    }

    fn wrong(&self, what: &'static str, reason: &str) -> PackError {
        PackError::Dependency {
            dependency: self.id.clone(),
            what,
            reason: reason.to_owned(),
        }
    }
}

/// The ending StartOS gives an icon of this type.
fn canonical_extension(mime: &str) -> &str {
    match mime {
        "image/jpeg" => "pjp",
        "image/svg+xml" => "svg",
        _ => match mime.strip_prefix("image/") {
            Some(name) if icon_mime(name) == Some(mime) => name,
            _ => "ico",
        },
    }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%')
            .then(|| after.first_chunk::<2>())
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    bytes
}

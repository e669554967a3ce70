//! Making a package from a project folder.
//!
//! ```text
//! project/
//!   javascript/            the package's code; `require`d by node for its manifest
//!   icon.<png, svg, …>     one picture
//!   LICENSE[.md]           the licence
//!   instructions.md        for the user
//!   assets/                files the code reads (optional)
//!   images/<arch>/<id>/              a root filesystem, which is squashed here,
//!   images/<arch>/<id>.squashfs      or an image that was made before;
//!   images/<arch>/<id>.json, .env    how it is started (optional beside a folder)
//! ```
//!
//! Invariants:
//! - The same inputs and key give the same bytes: walks are sorted, times in `javascript` and
//!   `assets` are fixed, and no tool's clock gets into the result.
//! - The output appears under its name only when it is complete and was checked as a reader would.
//!
//! No container engine is run: images that a manifest wants built or pulled must be prepared.

mod build_key;
mod dependencies;
mod error;
mod git;
mod image;
mod manifest_js;
mod project;
mod squash;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

pub use build_key::{BuildKeyError, create_build_key, find_build_key, read_build_key};
pub use error::PackError;
pub use squash::{SquashError, SquashStyle, squash};

use crate::commitment::Commitment;
use crate::contents::Contents;
use crate::id::{Arch, ImageId};
use crate::manifest::{ImageSource, Manifest};
use crate::write::{Content, Draft};
use project::Project;

/// What to pack, and how.
#[derive(Debug)]
pub struct PackOptions {
    /// The project's folder.
    pub project: PathBuf,
    /// Where the package goes; by default `<id>.s9pk` in the project's folder.
    pub output: Option<PathBuf>,
    /// The package's code; by default `javascript` in the project's folder.
    pub javascript: Option<PathBuf>,
    /// The prepared images; by default `images` in the project's folder.
    pub images: Option<PathBuf>,
    /// The assets; by default `assets` in the project's folder, if it exists.
    pub assets: Option<PathBuf>,
    /// Leave the assets out.
    pub no_assets: bool,
    /// Pack for these architectures only; empty means all that the manifest names.
    pub arch: BTreeSet<Arch>,
    /// The program that evaluates the package's code.
    pub node: PathBuf,
    /// Who signs.
    pub key: SigningKey,
}

impl PackOptions {
    /// Packs everything, from the usual places.
    #[must_use]
    pub fn new(project: impl Into<PathBuf>, key: SigningKey) -> Self {
        Self {
            project: project.into(),
            output: None,
            javascript: None,
            images: None,
            assets: None,
            no_assets: false,
            arch: BTreeSet::new(),
            node: PathBuf::from("node"),
            key,
        }
    }
}

/// What packing is busy with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackStep {
    /// Evaluating the code for its manifest.
    Manifest,
    /// Squashing the code or the assets.
    Squashing(&'static str),
    /// Preparing an image.
    Image(ImageId, Arch),
    /// Hashing, signing and writing.
    Writing(PathBuf),
}

/// A finished package.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// What identifies it.
    pub commitment: Commitment,
    /// The manifest as it was written.
    pub manifest: Manifest,
    /// What is allowed but odd.
    pub warnings: Vec<String>,
}

/// Packs a project.
///
/// # Errors
/// [`PackError`] naming the file or field that is absent or wrong. Nothing is left behind then.
pub fn pack(
    options: &PackOptions,
    progress: &mut dyn FnMut(PackStep),
) -> Result<Packed, PackError> {
    let project = Project::find(options)?;
    progress(PackStep::Manifest);
    let mut manifest = manifest_js::evaluate(&options.node, &project.javascript)?;
    narrow(&mut manifest, &options.arch)?;
    manifest.git_hash = git::describe(&options.project);

    let name = format!("{}.s9pk", manifest.id);
    let output = options
        .output
        .clone()
        .unwrap_or_else(|| options.project.join(name));
    let parent = output
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    // Beside the output: images can be larger than what fits into /tmp.
    let work = tempfile::Builder::new().prefix(".pack-").tempdir_in(parent);
    let work = work.map_err(PackError::output(&output))?;

    let mut draft = Draft::new();
    let bytes = |bytes: Vec<u8>| Content::Bytes(bytes);
    draft.insert(&project.icon.name, Content::File(project.icon.path.clone()))?;
    draft.insert("LICENSE.md", Content::File(project.license.clone()))?;
    draft.insert("instructions.md", bytes(project.instructions()?))?;
    for (folder, name) in project.squashed() {
        progress(PackStep::Squashing(name));
        let path = format!("{name}.squashfs");
        let image = work.path().join(&path);
        squash(folder, &image, SquashStyle::Normalised)?;
        draft.insert(&path, Content::File(image))?;
    }
    for (id, config) in &manifest.images {
        for arch in &config.arch {
            progress(PackStep::Image(id.clone(), arch.clone()));
            let wanted = image::Wanted { id, arch, config };
            wanted.insert(&project.images, work.path(), &mut draft)?;
        }
    }
    dependencies::insert(&options.project, &manifest, &mut draft)?;
    for image in manifest.images.values_mut() {
        image.source = ImageSource::Packed;
    }
    for dependency in manifest.dependencies.values_mut() {
        (dependency.metadata, dependency.s9pk) = (None, None);
    }
    draft.insert("manifest.json", bytes(manifest.to_json()))?;

    let contents = Contents::of(draft.root(), &manifest, None)?;
    draft.retain(contents.files());
    progress(PackStep::Writing(output.clone()));
    let header = draft.sign(&options.key);
    let size = write(&draft, &header, &work.path().join("package"), &output)?;
    Ok(Packed {
        path: output,
        size,
        commitment: *header.commitment(),
        manifest,
        warnings: contents.warnings().to_vec(),
    })
}

fn write(
    draft: &Draft,
    header: &crate::header::Header,
    partial: &Path,
    output: &Path,
) -> Result<u64, PackError> {
    let failed = || PackError::output(output);
    let file = File::create(partial).map_err(failed())?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    draft.write(header, &mut writer)?;
    writer.flush().map_err(failed())?;
    let size = writer.get_ref().metadata().map_err(failed())?.len();
    fs::rename(partial, output).map_err(failed())?;
    Ok(size)
}

/// Restricts a manifest to some architectures.
fn narrow(manifest: &mut Manifest, mask: &BTreeSet<Arch>) -> Result<(), PackError> {
    if mask.is_empty() {
        return Ok(());
    }
    let required = &mut manifest.hardware_requirements.arch;
    let left: BTreeSet<_> = match required {
        None => mask.clone(),
        Some(required) => required.intersection(mask).cloned().collect(),
    };
    if left.is_empty() {
        return Err(PackError::NoArchLeft(mask.clone()));
    }
    *required = Some(left);
    for (id, image) in &mut manifest.images {
        let left: BTreeSet<_> = image.arch.intersection(mask).cloned().collect();
        image.arch = match &image.emulate_missing_as {
            _ if !left.is_empty() => left,
            Some(emulated) => BTreeSet::from([emulated.clone()]),
            None => {
                let (image, mask) = (id.clone(), mask.clone());
                return Err(PackError::NoImageLeft { image, mask });
            }
        };
    }
    Ok(())
}

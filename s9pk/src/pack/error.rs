//! What can go wrong while packing.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::squash::SquashError;
use crate::archive::ArchiveError;
use crate::contents::ContentsError;
use crate::error_kind::ErrorKind;
use crate::id::{Arch, ImageId, PackageId};
use crate::manifest::ManifestError;
use crate::write::WriteError;

/// A package could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A required file of the project is absent.
    #[error("`{}` has no {what}; add one and pack again", project.display())]
    Absent {
        /// The project's folder.
        project: PathBuf,
        /// What is absent.
        what: &'static str,
    },
    /// Several files could be meant.
    #[error("`{}` has several files that could be the {what}: {}; keep one", project.display(), names.join(", "))]
    Several {
        /// The project's folder.
        project: PathBuf,
        /// What is wanted.
        what: &'static str,
        /// The candidates.
        names: Vec<String>,
    },
    /// A file could not be read.
    #[error("could not read `{}`", path.display())]
    Input {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that must be text is not.
    #[error("`{}` is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// The output could not be written.
    #[error("could not write `{}`", path.display())]
    Output {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Node could not be started.
    #[error("could not run `{}`; install Node.js 20 or newer, or say where it is", node.display())]
    NoNode {
        /// What was tried.
        node: PathBuf,
        /// Why it did not start.
        #[source]
        source: io::Error,
    },
    /// The package's code could not be evaluated.
    #[error("`{}` could not be evaluated for its manifest: {said}", script.display())]
    Script {
        /// The code.
        script: PathBuf,
        /// What Node said.
        said: String,
    },
    /// The manifest that the code exports is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest runs on none of the wanted architectures.
    #[error("the package runs on none of {}", names(.0))]
    NoArchLeft(BTreeSet<Arch>),
    /// An image exists for none of the wanted architectures.
    #[error(
        "the image `{image}` exists for none of {}; set its `emulateMissingAs`",
        names(mask)
    )]
    NoImageLeft {
        /// Which image.
        image: ImageId,
        /// The wanted architectures.
        mask: BTreeSet<Arch>,
    },
    /// An image was not prepared.
    #[error(
        "the image `{image}` for {arch} is not there: put its root filesystem into `{0}/`, or the \
         three files {image}.squashfs, {image}.json and {image}.env beside that{wanted}",
        folder.display()
    )]
    ImageNotPrepared {
        /// Which image.
        image: ImageId,
        /// For what.
        arch: Arch,
        /// Where its root filesystem is looked for.
        folder: PathBuf,
        /// What a container engine would have done.
        wanted: String,
    },
    /// A file of a prepared image is absent.
    #[error("`{}` is absent; a prepared image needs its .json and .env beside it", .0.display())]
    ImagePart(PathBuf),
    /// The description of an image is wrong.
    #[error("`{}` is not the description of an image: {reason}", path.display())]
    ImageJson {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A folder could not be squashed.
    #[error(transparent)]
    Squash(#[from] SquashError),
    /// Metadata of a dependency cannot be had.
    #[error("the {what} of the dependency `{dependency}` cannot be used: {reason}")]
    Dependency {
        /// Which dependency.
        dependency: PackageId,
        /// What of it.
        what: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// The package of a dependency is damaged.
    #[error("the package `{}`, given for the dependency `{dependency}`, cannot be used", path.display())]
    DependencyPackage {
        /// Which dependency.
        dependency: PackageId,
        /// The package.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ArchiveError>,
    },
    /// What came together is not a package.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The archive could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn names(arches: &BTreeSet<Arch>) -> String {
    arches
        .iter()
        .map(Arch::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

impl PackError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Input { .. } | Self::Output { .. } => ErrorKind::Filesystem.code(),
            Self::NotText(_) => ErrorKind::Utf8.code(),
            Self::Manifest(error) => error.code(),
            Self::Contents(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::DependencyPackage { source, .. } => source.code(),
            _ => ErrorKind::Pack.code(),
        }
    }

    pub(super) fn input(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Input { path, source }
    }

    pub(super) fn output(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Output { path, source }
    }
}

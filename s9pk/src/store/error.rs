//! What can go wrong with the store.

use std::io;
use std::path::{Path, PathBuf};

use coppice_exver::{Version, VersionString};

use crate::archive::ArchiveError;
use crate::contents::ContentsError;
use crate::digest::Digest;
use crate::error_kind::ErrorKind;
use crate::header::HeaderError;
use crate::id::PackageId;

/// An operation on the store failed. After a failed intake nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store's folder could not be used.
    #[error("could not {what} `{}`", path.display())]
    Folder {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is no room for the package.
    #[error(
        "the disk is full: the package needs {}; remove services or data and try again",
        room(*needed, *free)
    )]
    DiskFull {
        /// Bytes the package takes.
        needed: u64,
        /// Bytes there are, if the file system says.
        free: Option<u64>,
    },
    /// The source could not be read.
    #[error("could not read the package after {position} bytes")]
    Source {
        /// How far reading came.
        position: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The stream ended too early or too late.
    #[error("the package has {found} bytes where {announced} were announced; send it again")]
    Length {
        /// What the sender or the tables announced.
        announced: u64,
        /// What arrived.
        found: u64,
    },
    /// The file is larger than what is accepted here.
    #[error("the package has {size} bytes or more, at most {limit} are accepted")]
    TooLarge {
        /// What is known of its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The file holds much that belongs to no part of the package.
    #[error("the file holds more than 1 MiB that belongs to no part of the package; pack it again")]
    Excess,
    /// A table or body stands before the table that leads to it.
    #[error("`{0}` stands too early in the file to be read as a stream; install it from a file")]
    NotStreamable(String),
    /// The package is damaged, forged, malformed or incomplete.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Another package than the one asked for.
    #[error("the file holds the package `{found}`, not `{expected}`; check where it came from")]
    OtherPackage {
        /// What was asked for.
        expected: PackageId,
        /// What it is.
        found: PackageId,
    },
    /// Another version than the one asked for.
    #[error("the file holds `{package}` {found}, not {expected}; check where it came from")]
    OtherVersion {
        /// Which package.
        package: PackageId,
        /// What was asked for.
        expected: Box<VersionString>,
        /// What it is.
        found: Box<VersionString>,
    },
    /// The package was made for a later system.
    #[error(
        "`{package}` needs StartOS {needed}, this system answers as {ours}; update Coppice first"
    )]
    OsTooOld {
        /// Which package.
        package: PackageId,
        /// What it needs.
        needed: Version,
        /// As what we answer.
        ours: Version,
    },
    /// The caller ended the intake.
    #[error("the installation was cancelled")]
    Cancelled,
    /// No such package.
    #[error("no package {0} is installed")]
    NotInstalled(Digest),
    /// A recipe, or a table in it, no longer reads as it was written.
    #[error("`{}` is damaged; check the disk, then remove the package and install it again", path.display())]
    Damaged {
        /// The recipe.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A body no longer reads as it was written.
    #[error(
        "`{}`, a part of the package {root}, is damaged; check the disk, then remove the package and \
         install it again", path.display()
    )]
    DamagedBody {
        /// The package.
        root: Digest,
        /// The body.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// The caller's output failed.
    #[error("could not write the package out")]
    Output(#[source] io::Error),
}

fn room(needed: u64, free: Option<u64>) -> String {
    match free {
        Some(free) => format!("{needed} bytes, {free} are free"),
        None => format!("{needed} bytes"),
    }
}

impl StoreError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        let kind = match self {
            Self::Archive(error) => return error.code(),
            Self::Folder { .. } | Self::DiskFull { .. } | Self::Source { .. } | Self::Output(_) => {
                ErrorKind::Filesystem
            }
            Self::Length { .. } | Self::TooLarge { .. } | Self::Excess | Self::NotStreamable(_) => {
                ErrorKind::ParseS9pk
            }
            Self::OtherPackage { .. } | Self::OtherVersion { .. } => ErrorKind::ValidateS9pk,
            Self::OsTooOld { .. } => ErrorKind::VersionIncompatible,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::NotInstalled(_) => ErrorKind::NotFound,
            Self::Damaged { .. } | Self::DamagedBody { .. } => ErrorKind::DiskCorrupted,
        };
        kind.code()
    }

    pub(super) fn folder(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Folder { what, path, source }
    }
}

impl From<HeaderError> for StoreError {
    fn from(error: HeaderError) -> Self {
        ArchiveError::from(error).into()
    }
}

impl From<ContentsError> for StoreError {
    fn from(error: ContentsError) -> Self {
        ArchiveError::from(error).into()
    }
}

//! `manifest.json`: what a package says of itself.
//!
//! Invariants:
//! - A [`Manifest`] that exists is well-formed: ids match their patterns, versions and ranges parse,
//!   regular expressions compile. Unknown keys are ignored.
//! - Written out, fields come in the order StartOS writes them, so that a manifest read from a package
//!   and written again gives the same bytes.

mod dependency;
mod hardware;
mod image;

use std::collections::{BTreeMap, BTreeSet};

use coppice_exver::{Version, VersionRange, VersionString};
use serde::{Deserialize, Serialize};
use url::Url;

pub use dependency::{Dependency, DependencyMetadata, PathOrUrl};
pub use hardware::{DeviceClass, DeviceFilter, HardwareRequirements, Pattern};
pub use image::{BuildArg, DockerBuild, ImageConfig, ImageSource};

use crate::error_kind::ErrorKind;
use crate::id::{ImageId, PackageId, VolumeId};
use crate::locale::LocaleString;

/// The version of StartOS as which Coppice answers to packages.
pub const COMPATIBLE_OS_VERSION: [u64; 3] = [0, 4, 0];

/// [`COMPATIBLE_OS_VERSION`] as a version.
#[must_use]
pub fn compatible_os_version() -> Version {
    Version::new(COMPATIBLE_OS_VERSION)
}

/// A manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The text is not UTF-8.
    #[error("manifest.json is not UTF-8 text; the package must be packed again")]
    NotUtf8(#[source] std::str::Utf8Error),
    /// A field is absent or wrong, or the text is not JSON.
    #[error(
        "manifest.json: {}{reason}; the package must be corrected and packed again",
        at(field)
    )]
    Field {
        /// Where in the document, as in `images.main.arch[0]`; empty for the document as a whole.
        field: String,
        /// What is wrong there.
        reason: String,
    },
}

fn at(field: &str) -> String {
    if field.is_empty() || field == "." {
        return String::new();
    }
    format!("field `{field}`: ")
}

impl ManifestError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotUtf8(_) => ErrorKind::Utf8.code(),
            Self::Field { .. } => ErrorKind::Deserialization.code(),
        }
    }
}

/// What the user reads about a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// One line.
    pub short: LocaleString,
    /// A few paragraphs.
    pub long: LocaleString,
}

/// An extension point of the system that a package may take part in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ts_rs::TS,
)]
pub enum Plugin {
    /// The package gives addresses to other services.
    #[serde(rename = "url-v0")]
    UrlV0,
}

/// What a package says of itself. Field names in JSON are camelCase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The package's name, unique in a registry and on a server.
    pub id: PackageId,
    /// Its version, spelled as the author spelled it.
    pub version: VersionString,
    /// Data versions the package can turn its data into.
    pub can_migrate_to: VersionRange,
    /// Data versions the package can take over.
    pub can_migrate_from: VersionRange,
    /// Its name for people.
    pub title: String,
    /// What it is.
    pub description: Description,
    /// What changed in this version.
    pub release_notes: LocaleString,
    /// The commit it was packed from, with `-modified` if the tree differed.
    #[serde(default)]
    pub git_hash: Option<String>,
    /// An SPDX identifier or a name.
    pub license: String,
    /// Where the package is developed.
    #[serde(default = "default_package_repo")]
    #[ts(type = "string")]
    pub package_repo: Url,
    /// Where the packaged project is developed.
    #[ts(type = "string")]
    pub upstream_repo: Url,
    /// The project's page.
    #[serde(default)]
    #[ts(type = "string | null")]
    pub marketing_url: Option<Url>,
    /// Where to give money to the project.
    #[serde(default)]
    #[ts(type = "string | null")]
    pub donation_url: Option<Url>,
    /// The oldest StartOS the package runs on.
    #[serde(default = "compatible_os_version")]
    pub os_version: Version,
    /// The SDK it was built with.
    #[serde(default)]
    pub sdk_version: Option<Version>,
    /// Whether it asks for the machine's accelerators.
    #[serde(default)]
    pub hardware_acceleration: bool,
    /// Whether it asks for `/dev/fuse`.
    #[serde(default)]
    pub userspace_filesystems: bool,
    /// Whether it asks for `/dev/net/tun`.
    #[serde(default)]
    pub virtual_networking: bool,
    /// Extension points it takes part in.
    #[serde(default)]
    pub plugins: BTreeSet<Plugin>,
    /// Versions of the package in whose place it can stand.
    #[serde(default)]
    pub satisfies: BTreeSet<VersionString>,
    /// Root filesystems of its processes.
    pub images: BTreeMap<ImageId, ImageConfig>,
    /// Where its data lives.
    pub volumes: BTreeSet<VolumeId>,
    /// Packages it can make use of.
    #[serde(default)]
    pub dependencies: BTreeMap<PackageId, Dependency>,
    /// What the machine must have.
    #[serde(default)]
    pub hardware_requirements: HardwareRequirements,
    /// Health checks, by id, whose lasting failure is answered with a restart, and for how many
    /// seconds it must have lasted. Coppice's own; StartOS ignores the field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restart_on_failed_check: BTreeMap<String, u32>,
}

fn default_package_repo() -> Url {
    #[expect(
        clippy::unwrap_used,
        reason = "a constant; a test reads a manifest without the field"
    )]
    "https://example.com/".parse().unwrap()
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] naming the field that is absent or wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(ManifestError::NotUtf8)?;
        let mut json = serde_json::Deserializer::from_str(text);
        let manifest =
            serde_path_to_error::deserialize(&mut json).map_err(|error| ManifestError::Field {
                field: error.path().to_string(),
                reason: error.inner().to_string(),
            })?;
        json.end().map_err(|error| ManifestError::Field {
            field: String::new(),
            reason: error.to_string(),
        })?;
        Ok(manifest)
    }

    /// Writes the manifest in StartOS's compact form and field order.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[expect(clippy::unwrap_used, reason = "no map has keys other than strings")]
        serde_json::to_vec(self).unwrap()
    }
}

//! Other packages that a package can make use of.
//!
//! Which versions of them are wanted is not in the manifest: the package's code says so at run time.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::locale::LocaleString;

/// One dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// What it is used for.
    #[serde(default)]
    pub description: Option<LocaleString>,
    /// Whether the package can also do without it.
    pub optional: bool,
    /// Title and icon, given in place. Only before packing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(skip)]
    pub metadata: Option<DependencyMetadata>,
    /// Another package to take title and icon from. Only before packing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(skip)]
    pub s9pk: Option<PathOrUrl>,
}

/// Title and icon of a dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependencyMetadata {
    /// Its name for people.
    pub title: LocaleString,
    /// Its picture.
    pub icon: PathOrUrl,
}

/// A file's path, or a URL. `file://` and anything that is not a URL is a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathOrUrl(String);

impl PathOrUrl {
    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, or else the URL.
    ///
    /// # Errors
    /// The URL is the "error": callers that want files have nothing else to do with it.
    pub fn resolve(&self) -> Result<&str, Url> {
        if let Some(path) = self.0.strip_prefix("file://") {
            return Ok(path);
        }
        match Url::parse(&self.0) {
            Ok(url) => Err(url),
            Err(_) => Ok(&self.0),
        }
    }
}

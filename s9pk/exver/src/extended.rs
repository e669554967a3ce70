//! Versions of packages: what the upstream project counts, and what the packager counts.
//!
//! Invariant: [`ExtendedVersion`] has no order across flavors; whoever needs one anyway (a sorted
//! map) uses [`VersionString`], whose order is total and agrees with it inside one flavor.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::version::{Version, VersionError, as_string};

/// The name of a variant of a package, such as `knots`: small letters, at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flavor(String);

impl Flavor {
    /// # Errors
    /// [`VersionError::Flavor`] if `text` is empty or holds anything but a to z.
    pub fn new(text: &str) -> Result<Self, VersionError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(VersionError::Flavor(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name without the leading `#`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `#flavor:upstream:downstream`, or without the flavor.
///
/// `partial_cmp` is `None` for two versions of different flavors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, ts_rs::TS)]
#[ts(type = "string")]
pub struct ExtendedVersion {
    flavor: Option<Flavor>,
    upstream: Version,
    downstream: Version,
}

impl ExtendedVersion {
    /// A version from its parts.
    #[must_use]
    pub fn new(flavor: Option<Flavor>, upstream: Version, downstream: Version) -> Self {
        Self {
            flavor,
            upstream,
            downstream,
        }
    }

    /// Which variant of the package this is.
    #[must_use]
    pub fn flavor(&self) -> Option<&Flavor> {
        self.flavor.as_ref()
    }

    /// What the project itself counts.
    #[must_use]
    pub fn upstream(&self) -> &Version {
        &self.upstream
    }

    /// What the packager counts.
    #[must_use]
    pub fn downstream(&self) -> &Version {
        &self.downstream
    }

    /// The order along one flavor's number line, whatever the flavors are.
    pub(crate) fn cmp_numbers(&self, other: &Self) -> Ordering {
        let upstream = self.upstream.cmp(&other.upstream);
        upstream.then_with(|| self.downstream.cmp(&other.downstream))
    }
}

/// A version of the system, seen by a range: no flavor, downstream 0.
impl From<Version> for ExtendedVersion {
    fn from(upstream: Version) -> Self {
        Self::new(None, upstream, Version::new([0]))
    }
}

impl PartialOrd for ExtendedVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.flavor == other.flavor).then(|| self.cmp_numbers(other))
    }
}

impl fmt::Display for ExtendedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(flavor) = &self.flavor {
            write!(f, "#{flavor}:")?;
        }
        write!(f, "{}:{}", self.upstream, self.downstream)
    }
}

impl FromStr for ExtendedVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (flavor, rest) = match text.strip_prefix('#').and_then(|t| t.split_once(':')) {
            None => (None, text),
            // `#:1:0` is read as "no flavor".
            Some(("", rest)) => (None, rest),
            Some((flavor, rest)) => (Some(Flavor::new(flavor)?), rest),
        };
        let Some((upstream, downstream)) = rest.split_once(':') else {
            // Say what is wrong with the number before asking for a second one.
            rest.parse::<Version>()?;
            return Err(VersionError::NoDownstream(text.to_owned()));
        };
        Ok(Self::new(flavor, upstream.parse()?, downstream.parse()?))
    }
}

as_string!(ExtendedVersion, "a version such as \"1.2.3:0\"");

/// An [`ExtendedVersion`] that prints exactly as it was written, and sorts totally.
///
/// Equality and order look at the value only: `01.2:0` equals `1.2:0`. Versions with a flavor sort
/// before those without, flavors by name.
#[derive(Clone, Debug, ts_rs::TS)]
#[ts(type = "string")]
pub struct VersionString {
    text: String,
    version: ExtendedVersion,
}

impl VersionString {
    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value.
    #[must_use]
    pub fn version(&self) -> &ExtendedVersion {
        &self.version
    }
}

impl std::ops::Deref for VersionString {
    type Target = ExtendedVersion;

    fn deref(&self) -> &ExtendedVersion {
        &self.version
    }
}

impl From<ExtendedVersion> for VersionString {
    fn from(version: ExtendedVersion) -> Self {
        Self {
            text: version.to_string(),
            version,
        }
    }
}

impl From<VersionString> for ExtendedVersion {
    fn from(string: VersionString) -> Self {
        string.version
    }
}

impl PartialEq for VersionString {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

impl Eq for VersionString {}

impl Hash for VersionString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.version.hash(state);
    }
}

impl Ord for VersionString {
    fn cmp(&self, other: &Self) -> Ordering {
        let flavors = match (self.flavor(), other.flavor()) {
            (Some(ours), Some(theirs)) => ours.cmp(theirs),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        flavors.then_with(|| self.cmp_numbers(other))
    }
}

impl PartialOrd for VersionString {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for VersionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for VersionString {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Ok(Self {
            version: text.parse()?,
            text: text.to_owned(),
        })
    }
}

as_string!(VersionString, "a version such as \"1.2.3:0\"");

//! A name that may become one step of a path, a cgroup, or part of a container's name.
//!
//! Checked once, here: afterwards nobody has to ask whether an id could climb out of its folder.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

/// One path segment: 1 to 128 of `A-Z a-z 0-9 . _ -`, not starting with a dot or a hyphen.
///
/// Instances, volumes, images, subcontainer guids and cgroup leaves are named by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Segment(String);

/// A text that cannot name a file, a container or a cgroup.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` cannot be used as a name: 1 to 128 letters, digits, `.`, `_` or `-`, starting with a letter or digit"
)]
pub struct NotASegment(String);

impl Segment {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`NotASegment`] for anything else than described on the type.
    pub fn new(text: impl Into<String>) -> Result<Self, NotASegment> {
        let text = text.into();
        let letters = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let first = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        if letters && first && text.len() <= 128 {
            Ok(Self(text))
        } else {
            Err(NotASegment(text))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Segment {
    type Error = NotASegment;

    fn try_from(text: String) -> Result<Self, NotASegment> {
        Self::new(text)
    }
}

impl From<Segment> for String {
    fn from(segment: Segment) -> Self {
        segment.0
    }
}

impl AsRef<Path> for Segment {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl AsRef<str> for Segment {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Segment;

    #[test]
    fn ordinary_ids_are_segments() {
        for id in ["hello", "d-main-1", "A9._-", "3f2a", "_x"] {
            assert!(Segment::new(id).is_ok(), "{id}");
        }
    }

    #[test]
    fn nothing_that_could_climb_hide_or_break_a_config_line_is_a_segment() {
        let long = "x".repeat(129);
        for id in [
            "", ".", "..", ".x", "-x", "a/b", "a b", "a\nb", "a\0", "a=b", "ä", &long,
        ] {
            assert!(Segment::new(id).is_err(), "{id}");
        }
    }
}

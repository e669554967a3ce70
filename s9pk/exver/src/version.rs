//! Dotted numbers with an optional prerelease: the half of an extended version that one party counts.
//!
//! Invariant: `numbers` holds at least one number and no prerelease segment is empty, so every value
//! prints to a text that parses to an equal value. Trailing zeros are kept for printing and ignored
//! by every comparison.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// Why a text is not a version. Every variant carries the text or the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// A number is empty, holds something other than digits, or does not fit 64 bits.
    #[error("`{0}` is not a number of a version; expected digits that fit 64 bits, as in `1.2.3`")]
    Number(String),
    /// A prerelease segment is empty, has a forbidden character or a leading zero.
    #[error(
        "`{0}` is not a prerelease segment; expected letters, digits and `-`, and no leading zero \
         when it is a number, as in `1.2.3-beta.1`"
    )]
    Prerelease(String),
    /// The flavor is not made of small letters.
    #[error("`{0}` is not a flavor; expected small letters a to z, as in `#knots:1.2.3:0`")]
    Flavor(String),
    /// The text ends before the downstream version.
    #[error("`{0}` lacks its downstream version; add `:0`, as in `{0}:0`")]
    NoDownstream(String),
}

/// One segment of a prerelease. Numbers sort before texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Only digits: compared by value.
    Number(u64),
    /// Anything else: compared by its ASCII bytes.
    Text(String),
}

impl Segment {
    pub(crate) fn parse(text: &str) -> Result<Self, VersionError> {
        let wrong = || VersionError::Prerelease(text.to_owned());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(wrong());
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self::Text(text.to_owned()));
        }
        if text.len() > 1 && text.starts_with('0') {
            return Err(wrong());
        }
        text.parse().map(Self::Number).map_err(|_| wrong())
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Text(t) => t.fmt(f),
        }
    }
}

/// `1.2.3-beta.1`: one or more numbers and an optional prerelease.
///
/// Missing numbers count as zero, so `1` equals `1.0.0`; a version with a prerelease comes before the
/// same version without one.
#[derive(Clone, Debug, ts_rs::TS)]
#[ts(type = "string")]
pub struct Version {
    numbers: Vec<u64>,
    prerelease: Vec<Segment>,
}

impl Version {
    /// A version without prerelease. No numbers at all mean `0`.
    #[must_use]
    pub fn new(numbers: impl Into<Vec<u64>>) -> Self {
        Self::with_prerelease(numbers, Vec::new())
    }

    pub(crate) fn with_prerelease(numbers: impl Into<Vec<u64>>, prerelease: Vec<Segment>) -> Self {
        let mut numbers = numbers.into();
        if numbers.is_empty() {
            numbers.push(0);
        }
        Self {
            numbers,
            prerelease,
        }
    }

    /// The numbers as written, trailing zeros included.
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// The prerelease segments; empty for a release.
    #[must_use]
    pub fn prerelease(&self) -> &[Segment] {
        &self.prerelease
    }

    /// The numbers that matter to a comparison: without trailing zeros.
    pub(crate) fn significant(&self) -> &[u64] {
        let end = self.numbers.iter().rposition(|n| *n != 0);
        &self.numbers[..end.map_or(0, |last| last + 1)]
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant() && self.prerelease == other.prerelease
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.significant().hash(state);
        self.prerelease.hash(state);
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without trailing zeros, comparing slices is the same as padding with zeros: the longer one
        // has a number above zero somewhere past the end of the shorter one.
        self.significant().cmp(other.significant()).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => self.prerelease.cmp(&other.prerelease),
            }
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.numbers.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        for (index, segment) in self.prerelease.iter().enumerate() {
            let mark = if index == 0 { '-' } else { '.' };
            write!(f, "{mark}{segment}")?;
        }
        Ok(())
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (numbers, prerelease) = match text.split_once('-') {
            None => (text, None),
            Some((numbers, prerelease)) => (numbers, Some(prerelease)),
        };
        let numbers = numbers
            .split('.')
            .map(number)
            .collect::<Result<Vec<_>, _>>()?;
        let prerelease = match prerelease {
            None => Vec::new(),
            Some(text) => text
                .split('.')
                .map(Segment::parse)
                .collect::<Result<_, _>>()?,
        };
        Ok(Self::with_prerelease(numbers, prerelease))
    }
}

/// Leading zeros are read and dropped, as the reference does; its leading `+` is not.
fn number(text: &str) -> Result<u64, VersionError> {
    let wrong = || VersionError::Number(text.to_owned());
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

/// Serde as strings: what is written is `Display`, what is read is `FromStr`.
macro_rules! as_string {
    ($type:ty, $expecting:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
pub(crate) use as_string;

as_string!(Version, "a version such as \"1.2.3\"");

//! Names that become paths, host names and keys.
//!
//! Invariant: a value of these types matches its pattern, so it may be used as one path segment and
//! in a command line without further checks. The constructor is the only way in, serde included.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// A text is not an identifier of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}; expected {expected}")]
pub struct IdError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

impl IdError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        crate::ErrorKind::InvalidId.code()
    }
}

/// `^[a-z0-9]+(-[a-z0-9]+)*$`
fn follows_id_pattern(text: &str) -> bool {
    text.split('-').all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, ts_rs::TS)]
        #[serde(transparent)]
        #[ts(type = "string")]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// [`IdError`] if the text does not match the pattern of this kind of name.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    return Ok(Self(text));
                }
                Err(IdError { text, what: $what, expected: $expected })
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<std::path::Path> for $name {
            fn as_ref(&self) -> &std::path::Path {
                self.0.as_ref()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// The name of a package, such as `hello-world`. `x_system` is reserved for the system itself.
    PackageId,
    "a package id",
    "small letters and digits in groups joined by `-`, as in `hello-world`",
    |text| follows_id_pattern(text) || text == "x_system"
);

id!(
    /// The name of a volume: a folder that keeps a service's data. `BACKUP` names the backup target.
    VolumeId,
    "a volume id",
    "small letters and digits in groups joined by `-`, as in `main`, or `BACKUP`",
    |text| follows_id_pattern(text) || text == "BACKUP"
);

id!(
    /// The name of an image: a root filesystem of one of a service's processes.
    ImageId,
    "an image id",
    "small letters and digits in groups joined by `-`, as in `main`",
    follows_id_pattern
);

id!(
    /// A processor architecture by its kernel name: `x86_64`, `aarch64`, `riscv64`.
    Arch,
    "an architecture",
    "a kernel name such as `x86_64`, `aarch64` or `riscv64`",
    |text| {
        !text.is_empty()
            && text.len() <= 32
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }
);

impl Arch {
    /// The architecture this program was built for.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self(std::env::consts::ARCH.to_owned())
    }
}

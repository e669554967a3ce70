//! What a package wants of a machine.

use std::collections::BTreeSet;
use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::id::Arch;

/// What the machine must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct HardwareRequirements {
    /// Each filter must match at least one device.
    #[serde(default)]
    pub device: Vec<DeviceFilter>,
    /// Bytes of memory the machine must have; none means any.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub ram: Option<u64>,
    /// Architectures of which the machine must be one; none means any.
    #[serde(default)]
    pub arch: Option<BTreeSet<Arch>>,
}

impl HardwareRequirements {
    /// Whether a machine of this architecture is acceptable.
    #[must_use]
    pub fn accepts(&self, arch: &Arch) -> bool {
        self.arch.as_ref().is_none_or(|list| list.contains(arch))
    }

    /// Sorts variants of a package from most to least specific.
    ///
    /// Third in the key, less memory sorts first: StartOS has it so, and registries rely on it.
    #[must_use]
    pub fn specificity(&self) -> (u32, u32, u64) {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (
            u32::MAX - count(self.device.len()),
            self.arch
                .as_ref()
                .map_or(u32::MAX, |list| count(list.len())),
            self.ram.unwrap_or(0),
        )
    }
}

/// A kind of device.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ts_rs::TS,
)]
#[serde(rename_all = "lowercase")]
pub enum DeviceClass {
    /// A processor.
    Processor,
    /// A graphics adapter.
    Display,
}

/// A device the machine must have. Two filters are equal when they match the same, whatever their
/// descriptions say.
#[derive(Clone, Debug, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFilter {
    /// What is asked for, in words.
    pub description: String,
    /// The kind of device.
    pub class: DeviceClass,
    /// Must match the product's name, which must be known.
    #[serde(default)]
    pub product: Option<Pattern>,
    /// Must match the vendor's name, which must be known.
    #[serde(default)]
    pub vendor: Option<Pattern>,
    /// Must all be among the device's capabilities.
    #[serde(default)]
    pub capabilities: Option<BTreeSet<String>>,
    /// The exact driver; only for displays.
    #[serde(default)]
    pub driver: Option<String>,
}

impl PartialEq for DeviceFilter {
    fn eq(&self, other: &Self) -> bool {
        (&self.class, &self.product, &self.vendor) == (&other.class, &other.product, &other.vendor)
            && (&self.capabilities, &self.driver) == (&other.capabilities, &other.driver)
    }
}

/// A regular expression, matched anywhere in a text.
#[derive(Clone, Debug, ts_rs::TS)]
#[ts(type = "string")]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it occurs in `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Regex::new(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

//! Extended versions (`#flavor:1.2.3-beta.1:0`) and the ranges over them.
//!
//! Invariants:
//! - Versions of different flavors are incomparable: neither less, equal nor greater. Only
//!   [`VersionString`], which sorts maps, has a total order.
//! - A range that was parsed can be printed and parsed again without changing what it accepts.
//! - Nothing here does I/O or reads a clock.
//!
//! | type | text | used for |
//! | --- | --- | --- |
//! | [`Version`] | `1.2.3-beta.1` | versions of the system and the SDK |
//! | [`ExtendedVersion`] | `#flavor:1.2.3:0` | versions of packages |
//! | [`VersionString`] | the same, keeping its spelling | manifests, map keys |
//! | [`VersionRange`] | `>=1.2:0 <2:0` | what a package can migrate from or to |

mod extended;
mod number_line;
mod range;
mod range_parser;
mod version;

pub use extended::{ExtendedVersion, Flavor, VersionString};
pub use range::{Operator, VersionRange};
pub use range_parser::RangeError;
pub use version::{Segment, Version, VersionError};

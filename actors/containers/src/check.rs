//! One line of the preflight.

use serde::Serialize;

/// Something this host must be able to do, tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was tried, such as "idmapped mount of a squashfs".
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// What was seen: a version, a count, or the error.
    pub found: String,
    /// What to do when it does not work.
    pub next_step: Option<String>,
}

//! House rules: what `style.md` of the design asks for and a compiler does not see. One file per rule; each returns what it
//! found wrong, in words that say what to do.

mod arrows;
mod bulk;
mod contract;
mod unfinished;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::checkout::Checkout;

/// Checks all rules on `files`, seen from the top of the checkout, and tells everything that is wrong at once.
pub(crate) fn check(checkout: &Checkout, files: &[PathBuf]) -> Result<()> {
    let found = [
        arrows::check(checkout)?,
        bulk::check(checkout, files)?,
        contract::check(checkout)?,
        unfinished::check(checkout, files)?,
    ]
    .concat();
    if found.is_empty() {
        return Ok(());
    }
    bail!(
        "{} against the house rules:\n  {}",
        found.len(),
        found.join("\n  ")
    )
}

//! The tree holds what people wrote: nothing generated in bulk, nothing vendored, no archives.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::checkout::Checkout;

/// Longer files than this are rarely read, and so rarely written.
const MAX_BYTES: u64 = 256 * 1024;

pub(super) fn check(checkout: &Checkout, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !is_exempt(file)) {
        let path = checkout.root.join(file);
        let size = fs::metadata(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .len();
        if size > MAX_BYTES {
            found.push(format!(
                "{} has {size} bytes: make it in the build, or keep it out",
                file.display()
            ));
        }
    }
    Ok(found)
}

/// Lock files are how builds stay the same; the vectors are how we know to be compatible.
fn is_exempt(file: &Path) -> bool {
    file.ends_with("Cargo.lock")
        || file.ends_with("package-lock.json")
        || file.starts_with("s9pk/tests/vectors")
}

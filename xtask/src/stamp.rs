//! Doing work only when what it is made from has changed.
//!
//! A stamp is a file next to the cache that holds a hash of the inputs; it is written after the work succeeded, so work
//! that was cut short is done again. The hash guards against mistakes, not against attacks.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::steps::Outcome;

/// What is never an input: made by builds, by Git, or by packing (the signing key).
const SKIPPED: [&str; 6] = [
    "node_modules",
    "dist",
    "target",
    ".git",
    ".angular",
    ".startos",
];

/// Does `work` unless `output` exists and was made from the same `inputs` (files, or folders with all below them).
pub(crate) fn unless_unchanged(
    checkout: &Checkout,
    name: &str,
    inputs: &[PathBuf],
    output: &Path,
    work: impl FnOnce() -> Result<()>,
) -> Result<Outcome> {
    let stamp = checkout.own_cache().join("stamps").join(name);
    let hash = hash(inputs)?;
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == hash) {
        return Ok(Outcome::Unchanged);
    }
    work()?;
    anyhow::ensure!(
        output.exists(),
        "it succeeded, but {} is not there",
        output.display()
    );
    checkout.write(&stamp, &hash)?;
    Ok(Outcome::Done)
}

/// The same for the same contents under the same names, wherever they lie.
pub(crate) fn hash(inputs: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for input in inputs {
        add(&mut hasher, input)?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn add(hasher: &mut DefaultHasher, path: &Path) -> Result<()> {
    let read = |error| format!("cannot read {}: {error}", path.display());
    hasher.write(path.file_name().unwrap_or_default().as_encoded_bytes());
    if path.is_dir() {
        let entries = fs::read_dir(path)
            .map_err(read)
            .map_err(anyhow::Error::msg)?;
        let mut entries: Vec<_> = entries
            .collect::<Result<_, _>>()
            .map_err(read)
            .map_err(anyhow::Error::msg)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                add(hasher, &entry.path())?;
            }
        }
    } else {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_contents_and_names_and_nothing_else() {
        let tree = |names: &[&str], text: &str| {
            let top = tempfile::tempdir().unwrap();
            let folder = top.path().join("in");
            for name in names {
                let file = folder.join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            hash(&[folder]).unwrap()
        };
        let first = tree(&["a", "b/c"], "1");
        assert_eq!(first, tree(&["a", "b/c"], "1"));
        assert_eq!(
            first,
            tree(&["a", "b/c", "dist/x", "b/node_modules/y"], "1")
        );
        assert_ne!(first, tree(&["a", "b/c"], "2"));
        assert_ne!(first, tree(&["a", "b/d"], "1"));
    }
}

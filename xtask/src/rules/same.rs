//! Generated files are the ones that generating now would give.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Compares the committed folder with one that was just generated.
///
/// # Errors
/// Names every file that differs, and the verb that mends it.
pub(crate) fn same(committed: &Path, generated: &Path) -> Result<()> {
    let (old, new) = (texts(committed)?, texts(generated)?);
    let differs = |name: &&PathBuf| old.get(*name) != new.get(*name);
    let mut names: Vec<_> = old.keys().chain(new.keys()).filter(differs).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = names
        .iter()
        .map(|name| name.display().to_string())
        .collect();
    bail!(
        "{} is not what `make gen` writes now: {}",
        committed.display(),
        names.join(", ")
    )
}

fn texts(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        if !next.exists() {
            continue;
        }
        for entry in
            fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                found.insert(path.strip_prefix(folder).unwrap_or(&path).to_owned(), text);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_an_added_and_a_removed_file_are_all_named() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, name, text) in [
            (&old, "a", "1"),
            (&new, "a", "1"),
            (&old, "b", "1"),
            (&new, "b", "2"),
            (&old, "c", ""),
            (&new, "d", ""),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let error = same(old.path(), new.path()).unwrap_err().to_string();
        assert!(error.ends_with(": b, c, d"), "{error}");
        assert!(same(old.path(), old.path()).is_ok());
    }
}

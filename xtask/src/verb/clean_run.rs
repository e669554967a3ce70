//! `make clean-run`: stops, then removes the data and every trace outside it. Removes nothing else.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use coppice_remove_tree::remove_tree;

use crate::checkout::Checkout;
use crate::leftovers;
use crate::server::{DataDir, Server, short_id};

pub(crate) fn run(checkout: &Checkout, data: &DataDir) -> Result<()> {
    let data = data.path(checkout)?;
    if !data.exists() {
        eprintln!(
            "There is no {}, so there is nothing to remove.",
            data.display()
        );
        return Ok(());
    }
    // A folder that somebody named by mistake is not ours to empty.
    ensure!(
        is_ours(&data)?,
        "{} does not look like a data folder of Coppice; nothing was removed",
        data.display()
    );

    if let Some(server) = Server::built(checkout, &data).filter(Server::answers) {
        server.stop()?;
    }
    leftovers::end_server(&data)?;
    if let Some(id) = short_id(&data) {
        leftovers::remove(&id)?;
    }
    leftovers::free_loop_devices(&data)?;
    // A service's files may lie deeper than a process has descriptors.
    remove_tree(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    eprintln!(
        "Removed {} and what belonged to it on this machine.",
        data.display()
    );
    Ok(())
}

/// Empty, or with the files that a first start makes.
fn is_ours(data: &Path) -> Result<bool> {
    let mut entries =
        fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))?;
    Ok(data.join("VERSION").is_file() || short_id(data).is_some() || entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_ours(folder.path()).unwrap());
        fs::write(folder.path().join("thesis.txt"), "").unwrap();
        assert!(!is_ours(folder.path()).unwrap());
        fs::write(folder.path().join("VERSION"), "1").unwrap();
        assert!(is_ours(folder.path()).unwrap());
    }
}

//! A store's file comes into being whole.
//!
//! LMDB writes the first pages of a new file in place: a power cut in that moment leaves a file that
//! it refuses for ever. So a new one is made beside its place, and gets its name when it is on the
//! disk.

use std::{fs, path::Path};

use heed::{CommitOrAbort, EnvFlags, EnvOpenOptions, types::Bytes};

use super::sync_dir;
use crate::error::OpenError;

/// Makes the file of a store with the databases `tables`, unless there is one. The caller holds the
/// store's lock.
pub(crate) fn ensure_born(dir: &Path, map_size: usize, tables: &[&str]) -> Result<(), OpenError> {
    let data = dir.join("data.mdb");
    let io = |source| OpenError::Io {
        path: data.clone(),
        source,
    };
    if data.try_exists().map_err(io)? {
        return Ok(());
    }
    let unborn = dir.join("data.mdb.partial");
    // What a crash left; usually nothing.
    let _ = fs::remove_file(&unborn);
    fill(&unborn, map_size, tables).map_err(|source| OpenError::Database {
        dir: dir.to_owned(),
        source,
    })?;
    fs::rename(&unborn, &data).map_err(io)?;
    sync_dir(dir)
}

fn fill(file: &Path, map_size: usize, tables: &[&str]) -> Result<(), heed::Error> {
    let mut options = EnvOpenOptions::new();
    options.map_size(map_size).max_dbs(3);
    // SAFETY: nobody else knows of this file, so it needs no lock; it is not mapped elsewhere.
    let env = unsafe {
        options
            .flags(EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK)
            .open(file)?
    };
    let txn = env.write_txn()?;
    env.create_databases_and_commit(txn, |open, txn| {
        for table in tables {
            open.create_database::<Bytes, Bytes>(txn, Some(table))?;
        }
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(()))
    })?;
    // The commit has synced what it wrote; the file's first pages are older than it.
    fs::File::open(file)?.sync_all()?;
    Ok(())
}

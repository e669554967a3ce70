//! Looking a store's file over, row by row and page by page.
//!
//! Invariant: nothing is written, and no lock is taken: nobody may write to the file meanwhile.
//!
//! LMDB trusts the pages it maps. A file cut short ends whoever reads it with SIGBUS, a page of
//! garbage may end it with SIGSEGV; so this runs in a process of its own ([`super::examiner`]).

use std::{collections::BTreeMap, fs::File, path::Path};

use heed::{
    CommitOrAbort, CompactionOption, Env, EnvFlags, EnvOpenOptions, RoTxn, WithoutTls, types::Bytes,
};

use super::{
    DamagedRow, Table, history,
    layout::{self, LayoutError},
    meta, rows, unseal,
};

/// More databases than any format of ours has, so that a newer one can be told from a damaged one.
const MOST_DATABASES: u32 = 16;

/// A file in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sound {
    /// Over the names of all databases and all their rows: two files with the same hold the same.
    pub(crate) digest: blake3::Hash,
    /// Rows in all databases.
    pub(crate) rows: u64,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    /// A row is not what was written.
    #[error(transparent)]
    Row(#[from] DamagedRow),
    /// Its pages are not where they should be.
    #[error("its pages are in disorder: {0}")]
    Layout(#[from] LayoutError),
    /// LMDB cannot find its way in it.
    #[error("its pages cannot be read: {0}")]
    Pages(#[from] heed::Error),
}

/// Reads everything that is in `file`, and holds what is said to be free against it.
pub(crate) fn examine(file: &Path) -> Result<Sound, Flaw> {
    layout::check(file)?;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.max_dbs(MOST_DATABASES);
    let flags = EnvFlags::READ_ONLY | EnvFlags::NO_LOCK | EnvFlags::NO_SUB_DIR;
    // SAFETY: the flags only take away: writing, the lock file, the folder. Whoever calls this holds
    // the owner lock of the store, or has made the file itself, so nobody writes to it.
    let env = unsafe { options.flags(flags).open(file)? };
    let mut names = names(&env)?;
    // Before any other: what a newer program wrote is not for us to call damaged.
    names.sort_by_key(|name| name != "meta");
    let mut found = Tally::default();
    let mut newer = false;
    for name in &names {
        let Some(table) = table(&env, Some(name))? else {
            continue;
        };
        let txn = env.read_txn()?;
        newer |= name == "meta" && meta::is_newer(table, &txn)?;
        found.add(name, table, &txn, newer)?;
    }
    // Copying visits the pages from another side: what is free, and whether the count comes out.
    env.copy_to_file(&mut sink()?, CompactionOption::Enabled)?;
    Ok(found.finish())
}

/// Everything in tables that are open already.
pub(super) fn digest(
    tables: [(&'static str, Table); 3],
    txn: &RoTxn<'_, WithoutTls>,
) -> Result<Sound, Flaw> {
    let mut found = Tally::default();
    for (name, table) in tables {
        found.add(name, table, txn, false)?;
    }
    Ok(found.finish())
}

fn names(env: &Env<WithoutTls>) -> Result<Vec<String>, Flaw> {
    let mut names = Vec::new();
    if let Some(main) = table(env, None)? {
        let txn = env.read_txn()?;
        for row in main.iter(&txn)? {
            names.push(String::from_utf8_lossy(row?.0).into_owned());
        }
    }
    Ok(names)
}

fn table(env: &Env<WithoutTls>, name: Option<&str>) -> Result<Option<Table>, heed::Error> {
    let txn = env.read_txn()?;
    let table = env.open_databases_and_commit(txn, |open, txn| {
        open.open_database::<Bytes, Bytes>(txn, name)
            .map(CommitOrAbort::<_, ()>::Commit)
    })?;
    Ok(table.unwrap_commit())
}

/// Somewhere to copy to that keeps nothing.
fn sink() -> Result<File, heed::Error> {
    Ok(File::options().write(true).open("/dev/null")?)
}

#[derive(Default)]
struct Tally {
    /// By name: databases are met in another order than they have in the file.
    tables: BTreeMap<String, blake3::Hash>,
    rows: u64,
}

impl Tally {
    fn add(
        &mut self,
        name: &str,
        table: Table,
        txn: &RoTxn<'_, WithoutTls>,
        newer: bool,
    ) -> Result<(), Flaw> {
        let mut hasher = blake3::Hasher::new();
        let mut builder = rows::TreeBuilder::default();
        for row in table.iter(txn)? {
            let (key, value) = row?;
            for part in [key, value] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            self.rows += 1;
            match name {
                _ if newer => {}
                "doc" => builder.add(key, value)?,
                "history" => drop(history::read(key, value)?),
                _ => drop(unseal(key, value)?),
            }
        }
        self.tables.insert(name.to_owned(), hasher.finalize());
        Ok(())
    }

    fn finish(self) -> Sound {
        let mut hasher = blake3::Hasher::new();
        for (name, table) in &self.tables {
            hasher.update(name.as_bytes());
            hasher.update(table.as_bytes());
        }
        Sound {
            digest: hasher.finalize(),
            rows: self.rows,
        }
    }
}

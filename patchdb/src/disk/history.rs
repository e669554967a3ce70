//! The stored revisions: who changed what, when and why.

use coppice_clock::Wall;
use heed::{RoTxn, RwTxn, WithoutTls};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{DamagedRow, Table, seal, unseal};
use crate::{
    pointer::Pointer,
    position::Why,
    tree::{JsonOps, Op},
};

/// One durable revision as the history keeps it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LogEntry {
    /// Its number; the first change of a document has 1.
    #[serde(skip)]
    pub durable: u64,
    /// When it was committed.
    pub at: Wall,
    /// Who made it and why.
    pub why: Why,
    /// What it did, seen from the root. May name private places. `None` when it was larger than
    /// 1 MiB: then only that it happened is kept, and nobody resumes over it.
    pub ops: Option<Vec<Op>>,
}

impl LogEntry {
    /// As JSON, for an operator with full rights: it may name private places and hold their values.
    #[must_use]
    pub fn reveal(&self) -> Value {
        let ops = self.ops.as_deref().map(JsonOps);
        json!({
            "revision": self.durable,
            "at": self.at,
            "actor": self.why.actor,
            "cause": self.why.cause,
            "request": self.why.request,
            "ops": ops,
        })
    }

    /// Whether it did something at `place`, below it or above it. When it is not known what it did, it
    /// may have.
    #[must_use]
    pub fn touches(&self, place: &Pointer) -> bool {
        let touches = |op: &Op| op.path.is_within(place) || place.is_within(&op.path);
        self.ops.as_ref().is_none_or(|ops| ops.iter().any(touches))
    }
}

/// The history has room for this much of one revision. Rows that are larger would leave so many
/// free pages when they are pruned that LMDB writes long lists of them with every commit.
const MOST_BYTES: usize = 1 << 20;

/// A revision on its way to the disk.
pub(crate) struct HistoryEntry {
    durable: u64,
    value: Vec<u8>,
}

impl HistoryEntry {
    pub(crate) fn new(durable: u64, at: Wall, why: &Why, ops: &[Op]) -> Self {
        #[derive(Serialize)]
        struct Stored<'a> {
            at: Wall,
            why: &'a Why,
            ops: Option<JsonOps<'a>>,
        }

        let bytes: usize = ops.iter().map(Op::weight).sum();
        let ops = (bytes <= MOST_BYTES).then_some(JsonOps(ops));
        let body =
            serde_json::to_vec(&Stored { at, why, ops }).expect("a node always has a JSON form");
        Self {
            durable,
            value: seal(&durable.to_be_bytes(), &body),
        }
    }
}

pub(super) fn append(
    table: Table,
    txn: &mut RwTxn<'_>,
    entries: &[HistoryEntry],
) -> Result<(), heed::Error> {
    for entry in entries {
        table.put(txn, &entry.durable.to_be_bytes(), &entry.value)?;
    }
    Ok(())
}

/// Removes what is older than `keep_from`; a few rows in the usual case.
pub(super) fn prune(table: Table, txn: &mut RwTxn<'_>, keep_from: u64) -> Result<(), heed::Error> {
    while let Some((key, _)) = table.first(txn)? {
        let Ok(key) = <[u8; 8]>::try_from(key) else {
            break;
        };
        if u64::from_be_bytes(key) >= keep_from {
            break;
        }
        table.delete(txn, &key)?;
    }
    Ok(())
}

pub(super) fn range(
    table: Table,
    txn: &RoTxn<'_, WithoutTls>,
    from: u64,
    to: u64,
) -> Result<Result<Vec<LogEntry>, DamagedRow>, heed::Error> {
    let (first, last) = (from.to_be_bytes(), to.to_be_bytes());
    if from > to {
        return Ok(Ok(Vec::new()));
    }
    let bounds = (
        std::ops::Bound::Included(&first[..]),
        std::ops::Bound::Included(&last[..]),
    );
    let mut entries = Vec::new();
    for row in table.range(txn, &bounds)? {
        let (key, value) = row?;
        match read(key, value) {
            Ok(entry) => entries.push(entry),
            Err(row) => return Ok(Err(row)),
        }
    }
    Ok(Ok(entries))
}

/// One at a time: all of them together may be more than there is memory.
pub(super) fn back(
    table: Table,
    txn: &RoTxn<'_, WithoutTls>,
    count: usize,
    wanted: impl Fn(&LogEntry) -> bool,
) -> Result<Result<Vec<LogEntry>, DamagedRow>, heed::Error> {
    let mut entries = Vec::new();
    for row in table.rev_iter(txn)? {
        if entries.len() == count {
            break;
        }
        let (key, value) = row?;
        match read(key, value) {
            Ok(entry) if wanted(&entry) => entries.push(entry),
            Ok(_) => {}
            Err(row) => return Ok(Err(row)),
        }
    }
    Ok(Ok(entries))
}

pub(super) fn read(key: &[u8], value: &[u8]) -> Result<LogEntry, DamagedRow> {
    let damaged = |reason| DamagedRow {
        name: format!("revision {key:?}"),
        reason,
    };
    let number = <[u8; 8]>::try_from(key).map_err(|_| damaged("its number has not 8 bytes"))?;
    let body = unseal(key, value)?;
    let mut entry: LogEntry =
        serde_json::from_slice(body).map_err(|_| damaged("it is not a revision"))?;
    entry.durable = u64::from_be_bytes(number);
    Ok(entry)
}

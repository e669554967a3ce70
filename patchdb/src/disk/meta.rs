//! Counters and versions, in one small sealed row that every commit writes, and the list of opens,
//! in one that only an open writes.

use heed::{RoTxn, RwTxn, WithoutTls};
use serde::{Deserialize, Serialize};

use super::{DamagedRow, Table, seal, unseal};

const COUNTERS: &[u8] = b"counters";
const EPOCH_LIST: &[u8] = b"epochs";

/// The version of the rows' layout that this code reads and writes.
pub(crate) const FORMAT: u32 = 1;

/// How many opens back a client may resume from.
const EPOCHS: usize = 64;

/// What the store knows about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) format: u32,
    /// Version of the document's shape; the program migrates it.
    pub(crate) schema: u32,
    /// The last durable revision.
    pub(crate) durable: u64,
    /// Ids below this may have been given out.
    pub(crate) id_limit: u64,
    /// The last opens of this document, oldest first.
    #[serde(skip)]
    pub(crate) epochs: Vec<EpochStart>,
}

/// One open: which durable revision it began at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EpochStart {
    pub(crate) epoch: u64,
    pub(crate) durable: u64,
}

impl Meta {
    pub(crate) fn new(schema: u32) -> Self {
        Self {
            format: FORMAT,
            schema,
            durable: 0,
            id_limit: 1,
            epochs: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, epoch: u64) {
        self.epochs.push(EpochStart {
            epoch,
            durable: self.durable,
        });
        let surplus = self.epochs.len().saturating_sub(EPOCHS);
        self.epochs.drain(..surplus);
    }

    /// Whether `durable` is a revision that this document really had in `epoch`. A copy restored
    /// from a backup shares its past with the original, not its future.
    pub(crate) fn had(&self, epoch: u64, durable: u64) -> bool {
        let Some(index) = self.epochs.iter().position(|start| start.epoch == epoch) else {
            return false;
        };
        let end = self
            .epochs
            .get(index + 1)
            .map_or(self.durable, |next| next.durable);
        durable <= end
    }
}

pub(super) fn load(
    table: Table,
    txn: &RoTxn<'_, WithoutTls>,
) -> Result<Option<Result<Meta, DamagedRow>>, heed::Error> {
    let Some(counters) = table.get(txn, COUNTERS)? else {
        return Ok(None);
    };
    let epochs = table.get(txn, EPOCH_LIST)?.unwrap_or_default();
    Ok(Some(read(counters, epochs)))
}

/// Whether a newer program wrote this; `false` when that cannot be read.
pub(super) fn is_newer(table: Table, txn: &RoTxn<'_, WithoutTls>) -> Result<bool, heed::Error> {
    let Some(Ok(body)) = table.get(txn, COUNTERS)?.map(|row| unseal(COUNTERS, row)) else {
        return Ok(false);
    };
    let meta: Result<Meta, _> = serde_json::from_slice(body);
    Ok(meta.is_ok_and(|meta| meta.format > FORMAT))
}

fn read(counters: &[u8], epochs: &[u8]) -> Result<Meta, DamagedRow> {
    let damaged = |_| DamagedRow {
        name: "meta".to_owned(),
        reason: "it is not readable",
    };
    let mut meta: Meta = serde_json::from_slice(unseal(COUNTERS, counters)?).map_err(damaged)?;
    meta.epochs = serde_json::from_slice(unseal(EPOCH_LIST, epochs)?).map_err(damaged)?;
    Ok(meta)
}

pub(super) fn save(
    table: Table,
    txn: &mut RwTxn<'_>,
    meta: &Meta,
    with_epochs: bool,
) -> Result<(), heed::Error> {
    let json = "plain numbers always have a JSON form";
    let body = serde_json::to_vec(meta).expect(json);
    table.put(txn, COUNTERS, &seal(COUNTERS, &body))?;
    if with_epochs {
        let body = serde_json::to_vec(&meta.epochs).expect(json);
        table.put(txn, EPOCH_LIST, &seal(EPOCH_LIST, &body))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_revisions_of_the_own_past_are_known() {
        let mut meta = Meta::new(0);
        meta.begin(11);
        meta.durable = 100;
        meta.begin(22);
        meta.durable = 150;
        assert!(meta.had(11, 100));
        assert!(
            !meta.had(11, 101),
            "the original went on after the copy was taken"
        );
        assert!(meta.had(22, 150));
        assert!(!meta.had(22, 151));
        assert!(!meta.had(33, 1));
    }

    #[test]
    fn old_epochs_are_forgotten() {
        let mut meta = Meta::new(0);
        for epoch in 0..200 {
            meta.begin(epoch);
        }
        assert_eq!(meta.epochs.len(), EPOCHS);
        assert!(!meta.had(0, 0));
        assert!(meta.had(199, 0));
    }
}

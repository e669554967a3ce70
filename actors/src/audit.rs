//! The audit trail: a bounded number of rows in the private part of the document.
//!
//! Invariant: rows are in an object by number, so that a new one costs the same however many there
//! are; numbers are never given twice while there is a row.

use crate::{
    document::Document,
    model::{AuditRow, AuditTrail},
    problem::Problem,
};

const AUDIT: [&str; 2] = ["private", "audit"];

impl Document {
    /// Adds a row to a trail, and takes away the oldest beyond its bound.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn add_audit_row(&self, trail: AuditTrail, row: AuditRow) -> Result<(), Problem> {
        let cause = row.method.clone();
        self.transact("audit", &cause, move |transaction| {
            let at = |key| [AUDIT[0], AUDIT[1], trail.name(), key];
            let keys = transaction.keys(&[AUDIT[0], AUDIT[1], trail.name()]);
            let last = keys.last().and_then(|key| key.parse::<u64>().ok());
            // As wide as the largest number, so that the order of the names is that of the numbers.
            let key = format!("{:020}", last.map_or(0, |last| last + 1));
            transaction.put(&at(&key), &row);
            let surplus = (keys.len() + 1).saturating_sub(trail.bound());
            for oldest in &keys[..surplus] {
                transaction.remove(&at(oldest));
            }
            Ok(())
        })
        .await
    }

    /// Every row of both trails, oldest first.
    #[must_use]
    pub fn audit_rows(&self) -> Vec<AuditRow> {
        let snapshot = self.store().snapshot();
        let mut rows = Vec::new();
        for trail in AuditTrail::ALL {
            let trail = format!("/{}/{}/{}", AUDIT[0], AUDIT[1], trail.name());
            for key in snapshot.keys(trail.as_str()) {
                match snapshot.get(format!("{trail}/{key}").as_str()) {
                    Ok(row) => rows.extend::<Option<AuditRow>>(row),
                    Err(error) => tracing::error!(trail, key, %error, "an audit row is unreadable"),
                }
            }
        }
        rows.sort_by_key(|row| row.at.as_millis());
        rows
    }
}

#[cfg(test)]
mod tests {
    use coppice_clock::Wall;
    use patchdb::{Options, PublicPointer, Store};

    use super::*;

    fn row(at: i64, account: &str) -> AuditRow {
        AuditRow {
            at: Wall::from_millis(at),
            account: account.into(),
            role: account.into(),
            from: Some("192.0.2.7".parse().unwrap()),
            method: "package.stop".into(),
            object: Some("hello".into()),
            error: None,
        }
    }

    fn document() -> (Document, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        (Document::new(store), folder)
    }

    #[tokio::test]
    async fn the_oldest_rows_of_a_full_trail_go_and_the_other_trail_keeps_its_own() {
        let (document, _folder) = document();
        document
            .add_audit_row(AuditTrail::People, row(0, "admin"))
            .await
            .unwrap();
        let bound = i64::try_from(AuditTrail::Strangers.bound()).unwrap();
        for at in 1..=bound + 3 {
            document
                .add_audit_row(AuditTrail::Strangers, row(at, "anonymous"))
                .await
                .unwrap();
        }
        let rows = document.audit_rows();
        assert_eq!(rows[0], row(0, "admin"));
        let times: Vec<i64> = rows[1..].iter().map(|row| row.at.as_millis()).collect();
        assert_eq!(times, (4..=bound + 3).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn nothing_of_the_trail_is_public() {
        let (document, _folder) = document();
        document
            .add_audit_row(AuditTrail::People, row(0, "admin"))
            .await
            .unwrap();
        let store = document.store().public_store();
        let dump = serde_json::to_string(&store.dump(&PublicPointer::root())).unwrap();
        assert!(!dump.contains("192.0.2.7"), "{dump}");
    }
}

//! The audit trail: a bounded number of rows in the private part of the document.
//!
//! Two lists of [`crate::document::Transaction::append`], one per trail.

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
            let at = [AUDIT[0], AUDIT[1], trail.name()];
            transaction.append(&at, trail.bound(), &row);
            Ok(())
        })
        .await
    }

    /// Every row of both trails, oldest first.
    #[must_use]
    pub fn audit_rows(&self) -> Vec<AuditRow> {
        let trails = AuditTrail::ALL.into_iter();
        let mut rows: Vec<AuditRow> = trails
            .flat_map(|trail| self.appended(&[AUDIT[0], AUDIT[1], trail.name()]))
            .collect();
        rows.sort_by_key(|row| row.at.as_millis());
        rows
    }
}

#[cfg(test)]
mod tests {
    use coppice_clock::Wall;
    use patchdb::PublicPointer;

    use super::*;
    use crate::testing::document;

    fn row(at: i64, account: &str) -> AuditRow {
        AuditRow {
            at: Wall::from_millis(at),
            account: account.into(),
            role: account.into(),
            with: None,
            from: Some("192.0.2.7".parse().unwrap()),
            method: "package.stop".into(),
            object: Some("hello".into()),
            error: None,
        }
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

    #[test]
    fn a_row_from_before_credentials_were_recorded_is_read() {
        let mut old = serde_json::to_value(row(0, "admin")).unwrap();
        old.as_object_mut().unwrap().remove("with");
        assert_eq!(
            serde_json::from_value::<AuditRow>(old).unwrap(),
            row(0, "admin")
        );
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

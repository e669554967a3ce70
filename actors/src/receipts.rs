//! Receipts: a bounded number of rows in the private part of the document, each said in the log as well.

use coppice_clock::Wall;
use coppice_containers::Finding;

use crate::{
    document::Document,
    model::{MOST_RECEIPTS, ReceiptOf, ReceiptRow},
    problem::Problem,
};

const RECEIPTS: [&str; 2] = ["private", "receipts"];

/// How an upgrade ended, as the heart tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The name that the try was given.
    pub attempt: String,
    /// The program it was to.
    pub program: String,
    /// Why it was not done.
    pub problem: Option<String>,
}

impl Document {
    /// Keeps a receipt.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn add_receipt(&self, of: ReceiptOf) -> Result<(), Problem> {
        for finding in found(&of) {
            match &finding.failure {
                None => tracing::info!(?finding.kind, finding.what, "found and removed"),
                Some(why) => {
                    tracing::warn!(?finding.kind, finding.what, why, "found, and still there")
                }
            }
        }
        let row = ReceiptRow {
            at: Wall::now(),
            of,
        };
        self.transact("receipts", "receipt", move |transaction| {
            transaction.append(&RECEIPTS, MOST_RECEIPTS, &row);
            Ok(())
        })
        .await
    }

    /// Keeps the receipt of an upgrade, once, however often it is told.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn add_upgrade_receipt(&self, upgraded: &Upgraded) -> Result<(), Problem> {
        let known = self.receipts().into_iter().any(|row| {
            matches!(row.of, ReceiptOf::Upgrade { attempt, .. } if attempt == upgraded.attempt)
        });
        if known {
            return Ok(());
        }
        self.add_receipt(ReceiptOf::Upgrade {
            attempt: upgraded.attempt.clone(),
            program: upgraded.program.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            problem: upgraded.problem.clone(),
        })
        .await
    }

    /// Every receipt, oldest first.
    #[must_use]
    pub fn receipts(&self) -> Vec<ReceiptRow> {
        self.appended(&RECEIPTS)
    }
}

fn found(of: &ReceiptOf) -> &[Finding] {
    match of {
        ReceiptOf::Start { found, .. } | ReceiptOf::Firewall { found } => found,
        ReceiptOf::Upgrade { .. } => &[],
    }
}

#[cfg(test)]
mod tests {
    use coppice_containers::Leftover;

    use super::*;
    use crate::testing::document;

    #[tokio::test]
    async fn receipts_are_kept_in_their_order_and_the_oldest_go() {
        let (document, _folder) = document();
        for number in 0..MOST_RECEIPTS + 2 {
            let found = vec![Finding {
                kind: Leftover::Veth,
                what: number.to_string(),
                failure: None,
            }];
            let of = ReceiptOf::Firewall { found };
            document.add_receipt(of).await.unwrap();
        }
        let kept = document.receipts();
        let numbers: Vec<_> = kept
            .iter()
            .map(|row| found(&row.of)[0].what.clone())
            .collect();
        let expected: Vec<_> = (2..MOST_RECEIPTS + 2)
            .map(|number| number.to_string())
            .collect();
        assert_eq!(numbers, expected);
    }

    #[tokio::test]
    async fn an_upgrade_that_is_told_twice_has_one_receipt() {
        let (document, _folder) = document();
        let mut upgraded = Upgraded {
            attempt: "a".to_owned(),
            program: "/usr/local/bin/coppice".to_owned(),
            problem: None,
        };
        document.add_upgrade_receipt(&upgraded).await.unwrap();
        document.add_upgrade_receipt(&upgraded).await.unwrap();
        upgraded.attempt = "b".to_owned();
        document.add_upgrade_receipt(&upgraded).await.unwrap();
        assert_eq!(document.receipts().len(), 2);
    }
}

//! Notifications: a bounded number of rows in the public part of the document.
//!
//! Invariant: each sender has rows of its own number, so that one that says much pushes out nobody
//! else's.

use std::collections::BTreeMap;

use patchdb::Place;

use crate::{
    document::{Document, Transaction},
    model::{Notification, PublicPlaces, Root, RootPlaces},
    problem::Problem,
};

/// Rows kept of one sender; the oldest go first.
const MOST_OF_ONE: usize = 32;
/// Rows kept of all senders together.
const MOST: usize = 512;

impl Document {
    /// Tells the people who look after this server something.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn notify(&self, new: Notification) -> Result<(), Problem> {
        self.transact("notifications", "notify", move |transaction| {
            tell(transaction, &new)
        })
        .await
    }

    /// What people were told, by number, the oldest first.
    #[must_use]
    pub fn notifications(&self) -> BTreeMap<String, Notification> {
        self.read(&place()).unwrap_or_default()
    }
}

/// Tells people something, in the write that makes it so.
///
/// # Errors
/// When the rows have another shape, which only a damaged store can bring about.
pub(crate) fn tell(transaction: &mut Transaction<'_>, new: &Notification) -> Result<(), Problem> {
    tracing::info!(sender = new.package_id, level = ?new.level, title = new.title, "notification");
    let rows = transaction.read(&place())?.unwrap_or_default();
    if let Some(oldest) = surplus(&rows, new) {
        transaction.remove(&["public", "notifications", oldest]);
    }
    let last = rows
        .keys()
        .next_back()
        .and_then(|key| key.parse::<u64>().ok());
    // As wide as the largest number, so that the order of the names is that of the numbers.
    let key = format!("{:020}", last.map_or(0, |last| last + 1));
    transaction.put(&["public", "notifications", &key], new);
    Ok(())
}

fn place() -> Place<BTreeMap<String, Notification>> {
    Place::<Root>::root().public().notifications()
}

/// The rows that go when `new` comes.
fn surplus<'a>(rows: &'a BTreeMap<String, Notification>, new: &Notification) -> Option<&'a String> {
    let same = |row: &Notification| row.package_id == new.package_id;
    if rows.values().filter(|row| same(row)).count() >= MOST_OF_ONE {
        let mut of_same = rows.iter().filter(|(_, row)| same(row));
        return of_same.next().map(|(key, _)| key);
    }
    rows.keys().next().filter(|_| rows.len() >= MOST)
}

#[cfg(test)]
mod tests {
    use coppice_clock::Wall;
    use patchdb::{Options, Store};

    use super::*;
    use crate::model::NotificationLevel;

    fn said(sender: &str, title: usize) -> Notification {
        Notification {
            package_id: Some(sender.into()),
            created_at: Wall::from_millis(0),
            level: NotificationLevel::Info,
            title: title.to_string(),
            message: String::new(),
            data: None,
            seen: false,
        }
    }

    #[tokio::test]
    async fn who_says_much_pushes_out_its_own_oldest_only() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document::new(Store::open(folder.path(), Options::default()).unwrap());
        document.notify(said("quiet", 0)).await.unwrap();
        for title in 0..MOST_OF_ONE + 3 {
            document.notify(said("loud", title)).await.unwrap();
        }
        let rows = document.notifications();
        let of = |sender: &str| {
            let rows = rows.values();
            let own = rows.filter(|row| row.package_id.as_deref() == Some(sender));
            own.map(|row| row.title.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of("quiet"), ["0"]);
        let newest: Vec<String> = (3..MOST_OF_ONE + 3)
            .map(|title| title.to_string())
            .collect();
        assert_eq!(of("loud"), newest);
    }

    #[test]
    fn many_senders_together_have_a_bound_too() {
        let rows: BTreeMap<String, Notification> = (0..MOST)
            .map(|at| (format!("{at:020}"), said(&at.to_string(), at)))
            .collect();
        assert_eq!(surplus(&rows, &said("new", 0)), rows.keys().next());
    }
}

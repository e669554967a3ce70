//! Notifications: a bounded number of rows in the public part of the document.
//!
//! Invariants: each sender has rows of its own number, so that one that says much pushes out nobody
//! else's; a number is given once, so that what is asked about one never meets a later one.

use std::collections::{BTreeMap, BTreeSet};

use patchdb::Place;

use crate::{
    document::{Document, Transaction},
    effects::limits,
    model::{Notification, PrivatePlaces, PublicPlaces, Root, RootPlaces},
    problem::Problem,
};

/// Rows kept of one sender; the oldest go first.
const MOST_OF_ONE: usize = 32;
/// Rows kept of all senders together.
const MOST: usize = 512;

const ROWS: [&str; 2] = ["public", "notifications"];

/// Which notifications are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// Those with these numbers; those that are gone are not missed.
    These(BTreeSet<u64>),
    /// Those with smaller numbers.
    Before(u64),
    /// The one with this number, and those with smaller ones.
    UpTo(u64),
}

impl Meant {
    fn includes(&self, number: u64) -> bool {
        match self {
            Self::These(numbers) => numbers.contains(&number),
            Self::Before(end) => number < *end,
            Self::UpTo(last) => number <= *last,
        }
    }
}

impl Document {
    /// Tells the people who look after this server something.
    ///
    /// # Errors
    /// When it is too long, or the store cannot write.
    pub async fn notify(&self, new: Notification) -> Result<(), Problem> {
        limits::notification(&new)?;
        self.transact("notifications", "notify", move |transaction| {
            tell(transaction, &new)
        })
        .await
    }

    /// What people were told, by number, the oldest first.
    #[must_use]
    pub fn notifications(&self) -> BTreeMap<u64, Notification> {
        let rows = self.read(&place()).unwrap_or_default().into_iter();
        rows.filter_map(|(key, row)| Some((number(&key)?, row)))
            .collect()
    }

    /// Takes notifications away.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn remove_notifications(&self, meant: Meant) -> Result<(), Problem> {
        self.transact("notifications", "remove", move |transaction| {
            for key in transaction.keys(&ROWS) {
                if number(&key).is_some_and(|number| meant.includes(number)) {
                    transaction.remove(&[ROWS[0], ROWS[1], &key]);
                }
            }
            Ok(())
        })
        .await
    }

    /// Notes that notifications were seen, or that they were not.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn mark_notifications(&self, meant: Meant, seen: bool) -> Result<(), Problem> {
        self.transact("notifications", "mark", move |transaction| {
            for key in transaction.keys(&ROWS) {
                if number(&key).is_some_and(|number| meant.includes(number)) {
                    transaction.put(&[ROWS[0], ROWS[1], &key, "seen"], &seen);
                }
            }
            Ok(())
        })
        .await
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
        transaction.remove(&[ROWS[0], ROWS[1], oldest]);
    }
    let newest = rows.keys().next_back().and_then(|key| number(key));
    let newest = newest.max(transaction.read(&newest_place())?.flatten());
    let number = newest.map_or(0, |newest| newest + 1);
    transaction.put(&["private", "notified"], &number);
    transaction.put(&[ROWS[0], ROWS[1], &key(number)], new);
    Ok(())
}

fn place() -> Place<BTreeMap<String, Notification>> {
    Place::<Root>::root().public().notifications()
}

fn newest_place() -> Place<Option<u64>> {
    Place::<Root>::root().private().notified()
}

/// As wide as the largest number, so that the order of the names is that of the numbers.
fn key(number: u64) -> String {
    format!("{number:020}")
}

fn number(key: &str) -> Option<u64> {
    key.parse().ok()
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

    use super::*;
    use crate::{model::NotificationLevel, testing::document};

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
        let (document, _folder) = document();
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

    #[tokio::test]
    async fn a_number_is_not_given_again_when_its_notification_is_gone() {
        let (document, _folder) = document();
        for title in 0..3 {
            document.notify(said("hello", title)).await.unwrap();
        }
        let newest = Meant::These([2, 9].into());
        document.remove_notifications(newest).await.unwrap();
        document.notify(said("hello", 3)).await.unwrap();
        let numbers = |document: &Document| Vec::from_iter(document.notifications().into_keys());
        assert_eq!(numbers(&document), [0, 1, 3]);
        let all = Meant::UpTo(3);
        document.remove_notifications(all).await.unwrap();
        document.notify(said("hello", 4)).await.unwrap();
        assert_eq!(numbers(&document), [4]);
    }

    #[tokio::test]
    async fn what_is_meant_is_marked_or_removed_and_nothing_else() {
        let (document, _folder) = document();
        for title in 0..4 {
            document.notify(said("hello", title)).await.unwrap();
        }
        let seen = |document: &Document| {
            let rows = document.notifications().into_iter();
            Vec::from_iter(rows.filter(|(_, row)| row.seen).map(|(number, _)| number))
        };
        document
            .mark_notifications(Meant::UpTo(2), true)
            .await
            .unwrap();
        assert_eq!(seen(&document), [0, 1, 2]);
        let one = Meant::These([1].into());
        document.mark_notifications(one, false).await.unwrap();
        assert_eq!(seen(&document), [0, 2]);
        document
            .remove_notifications(Meant::Before(2))
            .await
            .unwrap();
        let left = document.notifications();
        assert_eq!(Vec::from_iter(left.keys()), [&2, &3]);
        assert!(left[&2].seen && !left[&3].seen);
        assert_eq!(left[&2].title, "2");
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused_by_name_whoever_says_it() {
        let (document, _folder) = document();
        let endless = Notification {
            message: "x".repeat(5000),
            ..said("hello", 0)
        };
        let refused = document.notify(endless).await.unwrap_err();
        assert!(refused.details.contains("message"), "{refused}");
        assert!(document.notifications().is_empty());
    }

    #[test]
    fn many_senders_together_have_a_bound_too() {
        let rows: BTreeMap<String, Notification> = (0..MOST)
            .map(|at| (format!("{at:020}"), said(&at.to_string(), at)))
            .collect();
        assert_eq!(surplus(&rows, &said("new", 0)), rows.keys().next());
    }
}

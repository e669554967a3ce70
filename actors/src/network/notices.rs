//! What of the network and the machine needs somebody's attention, from all who notice something.
//!
//! Invariant: everyone owns its own list and replaces it whole; `/public/serverInfo/notices` is all
//! of them together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::document::Document;

/// Who notices something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// The store, when it was damaged.
    Store,
    /// The heart, whose sockets could not all be opened.
    Listeners,
    /// Who makes the routing table.
    Table,
    /// Who makes the firewall.
    Firewall,
    /// The heart, which could not change to another program.
    Upgrade,
    /// Who looks at the disk.
    Disk,
}

/// Every list; see the module.
#[derive(Clone, Debug, Default)]
pub struct Notices(Arc<Mutex<BTreeMap<Watch, Vec<String>>>>);

impl Notices {
    /// Replaces the list of `watch`; what is new in it, or `None` when it is the same as before.
    fn replace(&self, watch: Watch, list: Vec<String>) -> Option<Vec<String>> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = lists.insert(watch, list.clone()).unwrap_or_default();
        (before != list).then(|| {
            let new = list.into_iter().filter(|one| !before.contains(one));
            new.collect()
        })
    }

    fn all(&self) -> Vec<String> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.values().flatten().cloned().collect()
    }

    /// Makes this the list of `watch`: says in the log what is new in it, and shows it.
    pub async fn show(&self, document: &Document, watch: Watch, list: Vec<String>) {
        let Some(new) = self.replace(watch, list) else {
            return;
        };
        for notice in new {
            tracing::warn!(notice);
        }
        let lists = self.clone();
        let written = document
            .transact("network", "notices", move |transaction| {
                // Read here, in the writer: of two that come at once, the later has both.
                transaction.put(&["public", "serverInfo", "notices"], &lists.all());
                Ok(())
            })
            .await;
        if let Err(problem) = written {
            tracing::warn!(%problem, "a notice was not shown");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_replaces_its_own_list_and_all_are_shown() {
        let notices = Notices::default();
        let list = |text: &str| vec![text.to_owned()];
        assert_eq!(
            notices.replace(Watch::Table, list("a")),
            Some(list("a")),
            "new"
        );
        assert_eq!(notices.replace(Watch::Table, list("a")), None, "known");
        notices.replace(Watch::Listeners, list("b"));
        assert_eq!(notices.all(), ["b", "a"]);
        assert_eq!(notices.replace(Watch::Table, vec![]), Some(vec![]));
        assert_eq!(notices.all(), ["b"]);
    }
}

//! The way to a service's Node process, which is shut before it goes to sleep.
//!
//! Invariant: while it is shut nothing is on its way to Node, and what could not go in is known. So a Node
//! that has nothing to do when it asks has still nothing to do when it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::callbacks::Changed;

/// One service's way to its Node process; a handle.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<Mutex<Hall>>);

#[derive(Debug, Default)]
struct Hall {
    is_shut: bool,
    inside: usize,
    missed: Vec<Changed>,
}

/// Something on its way to Node; the door is not shut while there is one.
#[derive(Debug)]
pub struct Visit(Door);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.hall().inside -= 1;
    }
}

impl Door {
    fn hall(&self) -> MutexGuard<'_, Hall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes in, unless it is shut.
    #[must_use]
    pub fn enter(&self) -> Option<Visit> {
        let mut hall = self.hall();
        if hall.is_shut {
            return None;
        }
        hall.inside += 1;
        Some(Visit(self.clone()))
    }

    /// Shuts it unless somebody is inside; tells whether it is shut now.
    #[must_use]
    pub fn shut(&self) -> bool {
        let mut hall = self.hall();
        hall.is_shut |= hall.inside == 0;
        hall.is_shut
    }

    /// Whether it is shut.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.hall().is_shut
    }

    /// Notes changes that Node waited for and could not hear of.
    pub fn miss(&self, changed: &[Changed]) {
        let mut hall = self.hall();
        let news = changed.iter().filter(|one| !hall.missed.contains(one));
        let news: Vec<Changed> = news.cloned().collect();
        hall.missed.extend(news);
    }

    /// Opens it; gives what was missed.
    pub fn open(&self) -> Vec<Changed> {
        let mut hall = self.hall();
        hall.is_shut = false;
        std::mem::take(&mut hall.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Watched, *};

    #[test]
    fn it_is_not_shut_while_somebody_is_inside_and_nobody_enters_while_it_is() {
        let door = Door::default();
        let visit = door.enter().unwrap();
        assert!(!door.shut());
        drop(visit);
        assert!(door.shut() && door.shut());
        assert!(door.enter().is_none());
        assert!(door.open().is_empty());
        assert!(door.enter().is_some());
    }

    #[test]
    fn what_was_missed_is_given_once_and_not_twice() {
        let door = Door::default();
        let changed = [Changed::One(Watched::Smtp)];
        assert!(door.shut());
        door.miss(&changed);
        door.miss(&changed);
        assert_eq!(door.open(), changed);
        assert!(door.open().is_empty());
    }
}

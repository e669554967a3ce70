//! Whose turn it is with an instance.
//!
//! Making a container and removing it would undo each other half-way, and leave what nobody finds: a
//! container that starts after its record was removed. So these two wait for everything else that
//! changes the same instance, in the order they came. What only needs the container to stay as it is,
//! or ends it, goes side by side.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::Segment;

/// One queue per instance; instances share nothing.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<Segment, Arc<RwLock<()>>>>>);

/// A turn that has come. It goes along with the work, which goes on when its caller stops waiting.
pub(crate) type Turn = Arc<Held>;

#[expect(dead_code, reason = "held, not read")]
pub(crate) enum Held {
    Alone(OwnedRwLockWriteGuard<()>),
    Shared(OwnedRwLockReadGuard<()>),
}

impl Turns {
    /// Waits until nothing else is done with this instance.
    pub(crate) async fn alone(&self, instance: &Segment) -> Turn {
        Arc::new(Held::Alone(self.queue(instance).write_owned().await))
    }

    /// Waits until this instance is neither being made nor being removed.
    pub(crate) async fn shared(&self, instance: &Segment) -> Turn {
        Arc::new(Held::Shared(self.queue(instance).read_owned().await))
    }

    fn queue(&self, instance: &Segment) -> Arc<RwLock<()>> {
        // Each change is one call, so a panic elsewhere has not spoilt the table.
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A queue that somebody holds or waits in has a second owner.
        queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        Arc::clone(queues.entry(instance.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn name(text: &str) -> Segment {
        Segment::new(text).unwrap()
    }

    #[tokio::test]
    async fn what_makes_or_removes_waits_for_all_others_and_they_for_it() {
        let turns = Turns::default();
        let (one, other) = (name("one"), name("other"));
        let first = turns.shared(&one).await;
        let second = turns.shared(&one).await;
        assert!(turns.alone(&one).now_or_never().is_none());
        assert!(turns.alone(&other).now_or_never().is_some());
        let along = Arc::clone(&first);
        drop((first, second));
        assert!(turns.alone(&one).now_or_never().is_none(), "work goes on");
        drop(along);
        let alone = turns.alone(&one).now_or_never().unwrap();
        assert!(turns.shared(&one).now_or_never().is_none());
        drop(alone);
        assert!(turns.shared(&one).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_queue_lasts_as_long_as_somebody_is_in_it() {
        let turns = Turns::default();
        let held = turns.alone(&name("held")).await;
        drop(turns.alone(&name("left")).await);
        let _other = turns.shared(&name("other")).await;
        assert_eq!(turns.0.lock().unwrap().len(), 2);
        assert!(turns.alone(&name("held")).now_or_never().is_none());
        drop(held);
    }
}

//! The thread that keeps copies to go back to, and the file small.
//!
//! It looks when the store was opened and then once in a while; a copy is made when something was
//! committed since the last one. What it cannot do it tells the log, and tries again next time.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    disk::{Disk, copies},
    examiner::Examiner,
    live::Live,
    writer::{Job, Queue},
};

pub(crate) struct Keeper {
    pub(crate) disk: Arc<Disk>,
    pub(crate) live: Arc<Live>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) examiner: Examiner,
    pub(crate) every: Duration,
    pub(crate) ends: Arc<Ends>,
}

/// Says that the store is being closed.
#[derive(Default)]
pub(crate) struct Ends {
    told: Mutex<bool>,
    wake: Condvar,
}

impl Ends {
    pub(crate) fn tell(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }

    /// Waits that long at most; whether the end was told.
    fn within(&self, time: Duration) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .wake
            .wait_timeout_while(told, time, |told| !*told)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl Keeper {
    pub(crate) fn run(self) {
        let mut copied = None;
        loop {
            let durable = self.live.state().position.durable;
            if copied != Some(durable) {
                self.compact_if_worth();
                match copies::make(&self.disk, &self.examiner) {
                    Ok(copy) => {
                        tracing::debug!(copy = %copy.display(), durable, "copied the store");
                        copied = Some(durable);
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "no copy of the store was made");
                    }
                }
            }
            if self.ends.within(self.every) {
                return;
            }
        }
    }

    fn compact_if_worth(&self) {
        if !self.disk.is_worth_compacting().unwrap_or(false) {
            return;
        }
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job::Compact { reply });
        match answer.blocking_recv() {
            Ok(Ok(done)) => tracing::info!(
                before = done.before,
                after = done.after,
                "compacted the store"
            ),
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the store was not compacted");
            }
            // Closed meanwhile.
            Err(_) => {}
        }
    }
}

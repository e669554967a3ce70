//! How many effects of one kind a service has under way, and how fast it may repeat them.
//!
//! A message over the socket is cheap; what an effect sets in motion is not. A write waits in the
//! store's one queue, in front of every other service's, and costs an SD card a little of its life;
//! a report is sent to every browser; a root is a mount on the host. So each kind has turns of its
//! own. An effect that has no turn yet waits: nothing is refused, and nobody else is delayed.
//!
//! Invariant: an effect that waits for package code never holds a turn that the package code it
//! waits for could need, but for a chain of more than [`CODE`]'s turns.

use std::sync::{Mutex, PoisonError};

use coppice_clock::Mono;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::link::{Bucket, Pace};

/// What an effect sets in motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It reads what this process knows.
    Read,
    /// It writes the document or a file, durably.
    Write,
    /// It stores a task, and may ask package code first whether it is met.
    Task,
    /// It is shown in every browser.
    Show,
    /// It makes or removes a mount.
    Mount,
    /// It runs package code, this service's own or another's.
    Code,
}

impl Kind {
    /// The kind of an effect. An unknown one is answered from memory.
    pub(super) fn of(method: &str) -> Self {
        match method {
            "restart"
            | "shutdown"
            | "set-main-status"
            | "fall-asleep"
            | "action.export"
            | "action.clear"
            | "action.clear-tasks"
            | "set-daemons"
            | "set-dependencies"
            | "notification.create"
            | "bind"
            | "bind-range"
            | "clear-bindings"
            | "export-service-interface"
            | "export-range-service-interface"
            | "plugin.url.register"
            | "plugin.url.export-url"
            | "plugin.url.clear-urls"
            | "get-ssl-certificate"
            | "get-ssl-key"
            | "clear-service-interfaces"
            | "set-data-version" => Self::Write,
            "action.create-task" => Self::Task,
            "set-health" | "set-init-progress" | "set-backup-progress" => Self::Show,
            "mount" | "bind-mount" | "subcontainer.create-fs" | "subcontainer.destroy-fs" => {
                Self::Mount
            }
            "action.get-input" | "action.run" => Self::Code,
            _ => Self::Read,
        }
    }
}

/// An `init` declares some hundred things at once; afterwards a write is a rare thing.
const WRITE: Pace = Pace {
    burst: 1024,
    per_second: 20,
};
const TASK: Pace = Pace {
    burst: 256,
    per_second: 10,
};
/// Checks that are not well report once a second each.
const SHOW: Pace = Pace {
    burst: 512,
    per_second: 100,
};
/// A check may make and remove a subcontainer each time it looks.
const MOUNT: Pace = Pace {
    burst: 1024,
    per_second: 150,
};
const RUN: Pace = Pace {
    burst: 256,
    per_second: 20,
};
/// Effects of one cheap kind under way at once.
const FEW: usize = 8;
/// Pieces of package code that wait for one another at once.
const CODE: usize = 32;

/// The turns of one service.
#[derive(Debug)]
pub(super) struct Turns {
    write: Turn,
    task: Turn,
    show: Turn,
    mount: Turn,
    code: Turn,
}

impl Turns {
    /// Nothing under way.
    pub(super) fn new(now: Mono) -> Self {
        Self {
            write: Turn::new(FEW, WRITE, now),
            task: Turn::new(FEW, TASK, now),
            show: Turn::new(FEW, SHOW, now),
            mount: Turn::new(FEW, MOUNT, now),
            code: Turn::new(CODE, RUN, now),
        }
    }

    /// Waits for a turn; it is over when what this gives is dropped.
    pub(super) async fn take(&self, kind: Kind) -> Option<SemaphorePermit<'_>> {
        match kind {
            Kind::Read => None,
            Kind::Write => self.write.take().await,
            Kind::Task => self.task.take().await,
            Kind::Show => self.show.take().await,
            Kind::Mount => self.mount.take().await,
            Kind::Code => self.code.take().await,
        }
    }
}

#[derive(Debug)]
struct Turn {
    places: Semaphore,
    pace: Mutex<Bucket>,
}

impl Turn {
    fn new(places: usize, pace: Pace, now: Mono) -> Self {
        Self {
            places: Semaphore::new(places),
            pace: Mutex::new(Bucket::full(pace, now)),
        }
    }

    async fn take(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there is always one.
        let place = self.places.acquire().await.ok();
        loop {
            let taken = self
                .pace
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(1, Mono::now());
            match taken {
                Ok(()) => return place,
                Err(time) => tokio::time::sleep(time).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn now_or_never<T>(work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::from_millis(20), work)
            .await
            .ok()
    }

    #[tokio::test]
    async fn a_service_has_few_writes_under_way_and_any_number_of_reads() {
        let turns = Turns::new(Mono::now());
        let mut held = Vec::new();
        for _ in 0..FEW {
            held.push(now_or_never(turns.take(Kind::Write)).await.unwrap());
        }
        assert!(now_or_never(turns.take(Kind::Write)).await.is_none());
        for _ in 0..1000 {
            assert!(now_or_never(turns.take(Kind::Read)).await.is_some());
        }
        held.pop();
        assert!(now_or_never(turns.take(Kind::Write)).await.is_some());
    }

    #[tokio::test]
    async fn each_kind_waits_for_its_own_turns_only() {
        let turns = Turns::new(Mono::now());
        let mut held = Vec::new();
        for _ in 0..FEW {
            held.push(turns.take(Kind::Write).await);
        }
        for kind in [Kind::Task, Kind::Show, Kind::Mount, Kind::Code] {
            assert!(now_or_never(turns.take(kind)).await.is_some(), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn reports_come_at_a_pace_that_browsers_can_bear() {
        let turns = Turns::new(Mono::now());
        let mut shown = 0;
        let _ = tokio::time::timeout(Duration::from_millis(500), async {
            loop {
                drop(turns.take(Kind::Show).await);
                shown += 1;
            }
        })
        .await;
        assert!(
            (512..700).contains(&shown),
            "{shown} reports in half a second"
        );
    }
}

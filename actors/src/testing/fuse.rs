//! Cuts a life of the core at a durable write: that one and all after it are never made.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::sim::chance::{Chance, Weather};

/// How many durable changes are left to make.
pub(crate) struct Fuse {
    left: AtomicU32,
    blown: watch::Sender<bool>,
    /// In a simulation: how long a write takes, and whose turn it is.
    disk: Option<(Chance, Arc<Mutex<()>>)>,
}

impl Fuse {
    /// One that is not lit: it lets everything through.
    pub(crate) fn new() -> Arc<Self> {
        Self::beside(None)
    }

    /// The same, over a disk that takes its time.
    pub(super) fn beside(disk: Option<Chance>) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU32::new(u32::MAX),
            blown: watch::Sender::new(false),
            disk: disk.map(|chance| (chance, Arc::default())),
        })
    }

    /// From now on so many changes are made; `None`: as many as there are.
    pub(crate) fn light(&self, writes: Option<u32>) {
        self.left
            .store(writes.unwrap_or(u32::MAX), Ordering::SeqCst);
    }

    /// Before every durable change; does not return when it is not to be made. The change is made while
    /// what is returned is held.
    pub(crate) async fn pass(&self) -> Option<OwnedMutexGuard<()>> {
        let turn = match &self.disk {
            Some((chance, turn)) => {
                let turn = Arc::clone(turn).lock_owned().await;
                chance.delay(Weather::Disk).await;
                Some(turn)
            }
            None => None,
        };
        let burn = |left: u32| (left != u32::MAX).then(|| left.saturating_sub(1));
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, burn);
        if before == Ok(0) {
            self.blown.send_replace(true);
            pending::<()>().await;
        }
        turn
    }

    /// Resolves when a change was held back.
    pub(crate) async fn blown(&self) {
        // The sender is in `self`.
        let _ = self.blown.subscribe().wait_for(|blown| *blown).await;
    }
}

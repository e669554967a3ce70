//! Cuts a life of the core at a durable write: that one and all after it are never made.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::watch;

/// How many durable changes are left to make.
pub(crate) struct Fuse {
    left: AtomicU32,
    blown: watch::Sender<bool>,
}

impl Fuse {
    /// One that is not lit: it lets everything through.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU32::new(u32::MAX),
            blown: watch::Sender::new(false),
        })
    }

    /// From now on so many changes are made; `None`: as many as there are.
    pub(crate) fn light(&self, writes: Option<u32>) {
        self.left
            .store(writes.unwrap_or(u32::MAX), Ordering::SeqCst);
    }

    /// Before every durable change; does not return when it is not to be made.
    pub(crate) async fn pass(&self) {
        let burn = |left: u32| (left != u32::MAX).then(|| left.saturating_sub(1));
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, burn);
        if before == Ok(0) {
            self.blown.send_replace(true);
            pending::<()>().await;
        }
    }

    /// Resolves when a change was held back.
    pub(crate) async fn blown(&self) {
        // The sender is in `self`.
        let _ = self.blown.subscribe().wait_for(|blown| *blown).await;
    }
}

//! Where a supervisor takes the time from.

use std::{fmt, sync::Arc};

use coppice_clock::Mono;

/// A source of [`Mono`]; [`Clock::default`] is the machine's.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Mono + Send + Sync>);

impl Clock {
    /// A clock of the caller's making.
    pub fn new(now: impl Fn() -> Mono + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that moves with `tokio::time`, so with its pauses and jumps: for tests that run
    /// with `start_paused`. It starts one day after boot.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn following_tokio() -> Self {
        let start = tokio::time::Instant::now();
        Self::new(move || Mono::from_millis(24 * 3600 * 1000) + start.elapsed())
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Mono {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(Mono::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

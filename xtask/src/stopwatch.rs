//! How long steps take, for people to read.

use std::time::{Duration, Instant};

/// Runs from its start on. Nothing is decided by it, so it needs no clock that survives a reboot.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "coppice-clock would have to be built before the build tool"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

//! Waiting for a state, with an end.

use std::time::Duration;

use coppice_clock::Mono;

/// Asks again and again until there is an answer; panics with `what` when there is none in time.
#[track_caller]
pub(crate) fn until<T>(what: &str, within: Duration, ask: impl FnMut() -> Option<T>) -> T {
    match patiently(within, Duration::from_millis(50), ask) {
        Some(answer) => answer,
        None => panic!("waited {} s in vain: {what}", within.as_secs_f32()),
    }
}

/// The same, asking as often as `every` says, and with `None` at the end of patience.
pub(crate) fn patiently<T>(
    within: Duration,
    every: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Option<T> {
    let give_up = Mono::now() + within;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Mono::now() >= give_up {
            return None;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "what is asked here (programs, /proc, cgroups of version 1) tells nobody when it changes"
        )]
        std::thread::sleep(every);
    }
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

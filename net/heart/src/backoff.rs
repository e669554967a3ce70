//! How long to wait before a child is started again.

use std::time::Duration;

/// A child that lived this long starts its row of failures anew.
const PROVEN: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The failures in a row of one child.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    row: u32,
}

impl Backoff {
    /// The wait after a child that lived for `uptime` has ended: none the first time, then 100 ms,
    /// doubled each time up to 5 s. Short, because everyone waits; not zero, because a child that
    /// cannot start must not take the machine with it.
    pub(crate) fn after(&mut self, uptime: Duration) -> Duration {
        if uptime >= PROVEN {
            self.row = 0;
        }
        let wait = match self.row {
            0 => Duration::ZERO,
            row => FIRST
                .saturating_mul(2u32.saturating_pow(row - 1))
                .min(LONGEST),
        };
        self.row = self.row.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_the_next_wait_longer_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9)
            .map(|_| backoff.after(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[test]
    fn a_child_that_lived_long_enough_is_restarted_at_once_again() {
        let mut backoff = Backoff::default();
        backoff.after(Duration::ZERO);
        backoff.after(Duration::ZERO);
        assert_eq!(backoff.after(PROVEN), Duration::ZERO);
    }
}

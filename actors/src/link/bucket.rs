//! A token bucket: how fast something may go on for long, and how much of it may come at once.
//!
//! Pure: the caller passes the time.

use std::time::Duration;

use coppice_clock::Mono;

/// What a bucket holds and how fast it fills; both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Tokens that a full bucket holds.
    pub(crate) burst: u32,
    /// Tokens that come back each second.
    pub(crate) per_second: u32,
}

/// Tokens that come back with time.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pace: Pace,
    /// Thousandths of a token, so that each millisecond counts.
    level: u64,
    at: Mono,
}

impl Bucket {
    /// A full bucket.
    pub(crate) const fn full(pace: Pace, now: Mono) -> Self {
        Self {
            level: pace.burst as u64 * 1000,
            pace,
            at: now,
        }
    }

    /// Takes `cost` tokens, or says how long until there are so many. What costs more than a full
    /// bucket costs a full bucket.
    ///
    /// # Errors
    /// How long to wait before asking again; nothing was taken.
    pub(crate) fn take(&mut self, cost: u32, now: Mono) -> Result<(), Duration> {
        let full = u64::from(self.pace.burst) * 1000;
        let rate = u64::from(self.pace.per_second.max(1));
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.level = full.min(self.level.saturating_add(passed.saturating_mul(rate)));
        self.at = self.at.max(now);
        let wanted = full.min(u64::from(cost) * 1000);
        match self.level.checked_sub(wanted) {
            Some(rest) => {
                self.level = rest;
                Ok(())
            }
            None => Err(Duration::from_millis(
                (wanted - self.level).div_ceil(rate).max(1),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACE: Pace = Pace {
        burst: 10,
        per_second: 5,
    };

    #[test]
    fn a_full_bucket_is_emptied_at_once_and_refills_with_time() {
        let now = Mono::from_millis(1_000);
        let mut bucket = Bucket::full(PACE, now);
        for _ in 0..10 {
            assert_eq!(bucket.take(1, now), Ok(()));
        }
        assert_eq!(bucket.take(1, now), Err(Duration::from_millis(200)));
        let later = now + Duration::from_millis(200);
        assert_eq!(bucket.take(1, later), Ok(()));
        assert!(bucket.take(1, later).is_err());
    }

    #[test]
    fn what_costs_more_than_a_full_bucket_waits_for_a_full_one() {
        let now = Mono::from_millis(0);
        let mut bucket = Bucket::full(PACE, now);
        assert_eq!(bucket.take(1_000, now), Ok(()));
        assert_eq!(bucket.take(1_000, now), Err(Duration::from_secs(2)));
        assert_eq!(bucket.take(1_000, now + Duration::from_secs(2)), Ok(()));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_came_back_is_taken(
            script in prop::collection::vec((1_u32..20, 0_u64..500), 1..200),
        ) {
            let mut now = Mono::from_millis(0);
            let mut bucket = Bucket::full(PACE, now);
            let mut taken = 0;
            for (cost, wait) in script {
                now = now + Duration::from_millis(wait);
                match bucket.take(cost, now) {
                    Ok(()) => taken += u64::from(cost.min(PACE.burst)),
                    Err(wait) => {
                        // What it says is true: not earlier, and then indeed.
                        let mut then = bucket.clone();
                        prop_assert_eq!(then.take(cost, now + wait), Ok(()));
                    }
                }
                prop_assert!(taken * 1000 <= 10_000 + now.as_millis() * 5);
            }
        }
    }
}

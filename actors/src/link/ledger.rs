//! What one service has under way, and whether one message more may join.
//!
//! ```text
//!   message ──admit──▶ Go    (counted until it is released)
//!                  ├─▶ Full  (nothing counted; ask again after a release)
//!                  └─▶ Wait  (nothing counted; ask again when tokens have come back)
//! ```
//!
//! Pure: the caller passes the time, and waits.

use std::time::Duration;

use coppice_clock::Mono;

use super::bucket::{Bucket, Pace};

/// What may be under way at once, and how fast it may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Memory of the messages under way, in bytes.
    pub(super) weight: usize,
    /// Messages under way.
    pub(super) messages: usize,
    /// Messages that may come, by time.
    pub(super) pace: Pace,
}

/// The answer to a message that wants in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in.
    Go,
    /// Something has to end first.
    Full,
    /// Some time has to pass first.
    Wait(Duration),
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Ledger {
    limits: Limits,
    weight: usize,
    messages: usize,
    bucket: Bucket,
}

impl Ledger {
    /// Nothing under way.
    pub(super) const fn new(limits: Limits, now: Mono) -> Self {
        Self {
            limits,
            weight: 0,
            messages: 0,
            bucket: Bucket::full(limits.pace, now),
        }
    }

    /// The heaviest message that is ever let in, in bytes.
    pub(super) const fn heaviest(&self) -> usize {
        self.limits.weight
    }

    /// Lets a message of `weight` bytes in that costs so many tokens, or says what it waits for. A
    /// message over [`Self::heaviest`] counts as that; the caller does not read it.
    pub(super) fn admit(&mut self, weight: usize, cost: u32, now: Mono) -> Verdict {
        let after = self.weight + weight.min(self.limits.weight);
        // Room first: a message that has to wait for it must not use up tokens meanwhile.
        if self.messages >= self.limits.messages || after > self.limits.weight {
            return Verdict::Full;
        }
        match self.bucket.take(cost, now) {
            Err(wait) => Verdict::Wait(wait),
            Ok(()) => {
                self.messages += 1;
                self.weight = after;
                Verdict::Go
            }
        }
    }

    /// A message of `weight` bytes that was let in is over.
    pub(super) fn release(&mut self, weight: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.weight = self.weight.saturating_sub(weight.min(self.limits.weight));
    }

    /// Memory of what is under way, in bytes.
    #[cfg(test)]
    pub(super) const fn held(&self) -> (usize, usize) {
        (self.messages, self.weight)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        weight: 1000,
        messages: 4,
        pace: Pace {
            burst: 20,
            per_second: 10,
        },
    };

    #[test]
    fn messages_and_their_weight_are_limited_each_by_itself() {
        let now = Mono::from_millis(0);
        let mut many = Ledger::new(LIMITS, now);
        for _ in 0..4 {
            assert_eq!(many.admit(1, 1, now), Verdict::Go);
        }
        assert_eq!(many.admit(1, 1, now), Verdict::Full);
        many.release(1);
        assert_eq!(many.admit(1, 1, now), Verdict::Go);

        let mut heavy = Ledger::new(LIMITS, now);
        assert_eq!(heavy.admit(900, 1, now), Verdict::Go);
        assert_eq!(heavy.admit(101, 1, now), Verdict::Full);
        assert_eq!(heavy.admit(100, 1, now), Verdict::Go);
    }

    #[test]
    fn a_message_that_finds_no_room_uses_up_no_tokens() {
        let now = Mono::from_millis(0);
        let mut ledger = Ledger::new(LIMITS, now);
        assert_eq!(ledger.admit(1000, 19, now), Verdict::Go);
        for _ in 0..100 {
            assert_eq!(ledger.admit(1, 1, now), Verdict::Full);
        }
        ledger.release(1000);
        assert_eq!(ledger.admit(1, 1, now), Verdict::Go);
        assert!(matches!(ledger.admit(1, 1, now), Verdict::Wait(_)));
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_passed_and_nothing_leaks(
            script in prop::collection::vec((0_usize..3000, any::<bool>(), 0_u64..300), 0..200),
        ) {
            let mut now = Mono::from_millis(0);
            let mut ledger = Ledger::new(LIMITS, now);
            let mut under_way = Vec::new();
            for (weight, ends, wait) in script {
                now = now + Duration::from_millis(wait);
                if ends && let Some(weight) = under_way.pop() {
                    ledger.release(weight);
                } else if ledger.admit(weight, 1, now) == Verdict::Go {
                    under_way.push(weight);
                }
                let (messages, held) = ledger.held();
                prop_assert!(messages <= LIMITS.messages && held <= LIMITS.weight);
                prop_assert_eq!(messages, under_way.len());
            }
            for weight in under_way.drain(..) {
                ledger.release(weight);
            }
            prop_assert_eq!(ledger.held(), (0, 0));
        }
    }
}

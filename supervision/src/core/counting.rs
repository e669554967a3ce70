//! Restart accounting and waits.
//!
//! Invariant: at most `intensity` restarts are granted in any `period`. A period includes both of
//! its ends, as in OTP.

use std::{collections::VecDeque, time::Duration};

use coppice_clock::Mono;

use super::{child::Key, rules::Intensity};

/// The restarts of the last period.
#[derive(Clone, Debug, Default)]
pub(super) struct Window(VecDeque<(Mono, Key)>);

impl Window {
    /// Counts one more restart, and says whether it is granted.
    pub(super) fn admit(&mut self, intensity: Intensity, key: Key, now: Mono) -> bool {
        self.0.retain(|(at, _)| now <= *at + intensity.period);
        self.0.push_back((now, key));
        self.0.len() <= intensity.restarts as usize
    }

    /// Forgets the restarts of one child.
    pub(super) fn forget(&mut self, key: Key) {
        self.0.retain(|(_, whose)| *whose != key);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// A small deterministic source of jitter (splitmix64): the state machine stays a function.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `wait`, shortened by at most `percent` of itself.
    pub(super) fn shorten(&mut self, wait: Duration, percent: u8) -> Duration {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let most = millis / 100 * u64::from(percent.min(100))
            + millis % 100 * u64::from(percent.min(100)) / 100;
        Duration::from_millis(millis - mixed % (most + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_IN_TEN: Intensity = Intensity::new(2, Duration::from_millis(10));

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    #[test]
    fn the_restart_after_the_last_granted_one_is_too_many() {
        let mut window = Window::default();
        assert!(window.admit(TWO_IN_TEN, Key(0), at(0)));
        assert!(window.admit(TWO_IN_TEN, Key(0), at(5)));
        assert!(!window.admit(TWO_IN_TEN, Key(0), at(10)));
    }

    #[test]
    fn a_restart_older_than_the_period_does_not_count() {
        let mut window = Window::default();
        assert!(window.admit(TWO_IN_TEN, Key(0), at(0)));
        assert!(window.admit(TWO_IN_TEN, Key(0), at(5)));
        assert!(window.admit(TWO_IN_TEN, Key(0), at(11)));
    }

    #[test]
    fn forgetting_a_child_leaves_the_restarts_of_the_others() {
        let mut window = Window::default();
        assert!(window.admit(TWO_IN_TEN, Key(0), at(0)));
        assert!(window.admit(TWO_IN_TEN, Key(1), at(0)));
        window.forget(Key(0));
        assert!(window.admit(TWO_IN_TEN, Key(0), at(1)));
        assert!(!window.admit(TWO_IN_TEN, Key(0), at(1)));
    }

    #[test]
    fn jitter_only_shortens_and_never_by_more_than_its_share() {
        let mut jitter = Jitter::new(7);
        let wait = Duration::from_millis(1_000);
        for _ in 0..1_000 {
            let short = jitter.shorten(wait, 20);
            assert!(short <= wait && short >= Duration::from_millis(800));
        }
        assert_eq!(jitter.shorten(wait, 0), wait);
    }
}

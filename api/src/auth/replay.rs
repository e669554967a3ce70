//! What was signed is accepted once. Pure: the caller passes times, and keeps what must be kept.
//!
//! A signature is good for a minute, so its nonce has to be remembered for that long. In memory that
//! is a set per key. On the disk it is one number per key, its *horizon*: no later time than that was
//! ever accepted. The next core refuses what was signed up to there, since it cannot know better.
//!
//! Invariants: what was once accepted is never accepted again, by this core or a later one, whatever
//! the clock does; a key's signed requests cost one write a second at most.

use std::collections::{HashMap, HashSet};

use super::signature::WINDOW;

/// Requests of one key within the window: beyond, something is wrong with who sends them.
const MOST: usize = 4096;

/// Why a signature that fits is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Replayed {
    #[error("this request was sent before; sign it again, with another nonce")]
    Seen,
    #[error(
        "the request was signed before others that were accepted, or before Coppice restarted; \
         sign it again"
    )]
    Old,
    #[error("this key sent {MOST} requests within a minute; send fewer")]
    TooMany,
}

/// What was seen of one key.
#[derive(Default)]
struct Seen {
    /// Whatever was signed at this second or before is refused: it may have been seen.
    floor: i64,
    /// What is on the disk.
    horizon: i64,
    nonces: HashSet<(i64, u64)>,
}

/// What was seen of all keys.
#[derive(Default)]
pub(super) struct Replay {
    keys: HashMap<String, Seen>,
}

impl Replay {
    /// Whether the key's horizon has yet to be read.
    pub(super) fn is_new(&self, key: &str) -> bool {
        !self.keys.contains_key(key)
    }

    /// The horizon of a key, as an earlier core left it.
    pub(super) fn begin(&mut self, key: &str, horizon: i64) {
        let seen = Seen {
            floor: horizon,
            horizon,
            nonces: HashSet::new(),
        };
        self.keys.insert(key.to_owned(), seen);
    }

    /// Accepts a signature that fits and is in its time. When it gives a number, that has to be on
    /// the disk as the horizon before anything is done.
    pub(super) fn accept(
        &mut self,
        key: &str,
        timestamp: i64,
        nonce: u64,
        now: i64,
    ) -> Result<Option<i64>, Replayed> {
        let seen = self.keys.entry(key.to_owned()).or_default();
        // What is forgotten is refused from then on, also when the clock is set back.
        let forgotten = now.saturating_sub(WINDOW + 1);
        if seen.nonces.iter().any(|(at, _)| *at <= forgotten) {
            seen.nonces.retain(|(at, _)| *at > forgotten);
            seen.floor = seen.floor.max(forgotten);
        }
        if timestamp <= seen.floor {
            return Err(Replayed::Old);
        }
        if seen.nonces.len() >= MOST {
            return Err(Replayed::TooMany);
        }
        if !seen.nonces.insert((timestamp, nonce)) {
            return Err(Replayed::Seen);
        }
        if timestamp <= seen.horizon {
            return Ok(None);
        }
        seen.horizon = timestamp;
        Ok(Some(timestamp))
    }

    /// Forgets a key; its horizon stays on the disk.
    pub(super) fn forget(&mut self, key: &str) {
        self.keys.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_nonce_is_accepted_once_at_its_time_and_each_key_has_its_own() {
        let mut replay = Replay::default();
        assert_eq!(replay.accept("a", 100, 1, 100), Ok(Some(100)));
        assert_eq!(replay.accept("a", 100, 1, 100), Err(Replayed::Seen));
        assert_eq!(replay.accept("a", 100, 2, 100), Ok(None), "no write again");
        assert_eq!(replay.accept("a", 99, 1, 100), Ok(None), "another second");
        assert_eq!(replay.accept("b", 100, 1, 100), Ok(Some(100)));
    }

    #[test]
    fn what_was_forgotten_is_refused_when_the_clock_is_set_back() {
        let mut replay = Replay::default();
        replay.accept("a", 100, 1, 100).unwrap();
        replay.accept("a", 200, 1, 200).unwrap();
        assert_eq!(replay.accept("a", 100, 1, 100), Err(Replayed::Old));
    }

    #[test]
    fn a_key_sends_so_many_within_the_window() {
        let mut replay = Replay::default();
        for nonce in 0..MOST as u64 {
            replay.accept("a", 100, nonce, 100).unwrap();
        }
        let more = u64::MAX;
        assert_eq!(replay.accept("a", 100, more, 100), Err(Replayed::TooMany));
        assert!(replay.accept("b", 100, more, 100).is_ok());
        assert!(replay.accept("a", 140, more, 140).is_ok(), "later");
    }

    proptest! {
        /// Cores come and go, the clock goes forth and back; an attacker sends everything again.
        #[test]
        fn nothing_is_ever_accepted_twice(
            script in proptest::collection::vec((0i64..200, -30i64..=30, 0u64..3, any::<bool>()), 1..200),
        ) {
            let mut disk = 0;
            let mut accepted = HashSet::new();
            let mut replay = Replay::default();
            for (now, off, nonce, restarts) in script {
                if restarts {
                    replay = Replay::default();
                }
                if replay.is_new("a") {
                    replay.begin("a", disk);
                }
                if let Ok(horizon) = replay.accept("a", now + off, nonce, now) {
                    disk = horizon.unwrap_or(disk);
                    prop_assert!(accepted.insert((now + off, nonce)));
                    prop_assert!(disk >= now + off);
                }
            }
        }
    }
}

//! How fast passwords may be tried. Nothing here reads a clock or waits: the caller passes `now`.
//!
//! Invariants:
//! - A try counts as wrong from the moment it is let in until it turns out right, and an address
//!   has one under way at most. So tries made at the same time do not slip past one another.
//! - Slow-downs count per address, and an address from which somebody has signed in is never made
//!   to stand behind strangers. So nobody can lock the owner out from elsewhere.
//! - What waits is bounded, and what is remembered, too.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use coppice_clock::Mono;

/// Wrong passwords from one address before it has to wait.
const FREE_TRIES: u32 = 5;
/// The first wait; it doubles with every further wrong password.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Addresses remembered; beyond, the oldest strangers are forgotten.
const SOURCES_KEPT: usize = 4096;
/// Strangers whose tries are under way or in the queue: about four seconds of work.
const STRANGERS_AT_ONCE: usize = 16;

/// Which queue a try stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Root, and addresses from which somebody has signed in.
    Known,
    /// All others.
    Strangers,
}

/// Why a password is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Too many were wrong.
    #[error("too many wrong passwords from this device; try again in {seconds} s")]
    Wait {
        /// How long from now.
        seconds: u64,
    },
    /// The last one is still being looked at.
    #[error("the last password from this device is still being checked; try again in a second")]
    UnderWay,
    /// Many addresses try at once.
    #[error(
        "many devices that never signed in are trying passwords; try again in a few seconds, or \
         sign in from a device that you have used before"
    )]
    Crowded,
}

struct Source {
    wrong: u32,
    last: Mono,
    under_way: bool,
    known: bool,
}

impl Source {
    /// Whether it occupies a place among the strangers.
    const fn is_stranger_under_way(&self) -> bool {
        self.under_way && !self.known
    }
}

/// What is known of who tries.
#[derive(Default)]
pub(crate) struct Throttle {
    sources: HashMap<IpAddr, Source>,
}

impl Throttle {
    /// Lets a try in, or not. Each one let in is followed by one [`Self::end`].
    pub(crate) fn admit(&mut self, from: IpAddr, now: Mono) -> Result<Lane, Refused> {
        if let Some(source) = self.sources.get(&from) {
            if source.under_way {
                return Err(Refused::UnderWay);
            }
            let (passed, wait) = (now.since(source.last), wait_after(source.wrong));
            if passed < wait {
                let seconds = (wait - passed).as_secs() + 1;
                return Err(Refused::Wait { seconds });
            }
        }
        let known = self.sources.get(&from).is_some_and(|source| source.known);
        let strangers = self.sources.values();
        if !known
            && strangers.filter(|one| one.is_stranger_under_way()).count() >= STRANGERS_AT_ONCE
        {
            return Err(Refused::Crowded);
        }
        self.make_room(from);
        let source = self.sources.entry(from).or_insert(Source {
            wrong: 0,
            last: now,
            under_way: false,
            known: false,
        });
        source.wrong = source.wrong.saturating_add(1);
        source.last = now;
        source.under_way = true;
        Ok(if source.known {
            Lane::Known
        } else {
            Lane::Strangers
        })
    }

    /// A try has ended. One that was given up counts as wrong.
    pub(crate) fn end(&mut self, from: IpAddr, right: bool, now: Mono) {
        // It is there: what is under way is not forgotten.
        let Some(source) = self.sources.get_mut(&from) else {
            return;
        };
        source.under_way = false;
        source.last = now;
        if right {
            source.wrong = 0;
            source.known = true;
        }
    }

    /// Forgets the oldest stranger when there is no room for one more, or else the oldest of all.
    fn make_room(&mut self, newcomer: IpAddr) {
        if self.sources.len() < SOURCES_KEPT || self.sources.contains_key(&newcomer) {
            return;
        }
        let idle = self.sources.iter().filter(|(_, one)| !one.under_way);
        let first = idle.min_by_key(|(_, one)| (one.known, one.last));
        if let Some(first) = first.map(|(from, _)| *from) {
            self.sources.remove(&first);
        }
    }
}

/// How long an address waits after this many wrong passwords in a row.
fn wait_after(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE_TRIES) {
        None => Duration::ZERO,
        Some(more) => FIRST_WAIT
            .saturating_mul(2u32.saturating_pow(more))
            .min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    fn address(number: u16) -> IpAddr {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    fn one_wrong(throttle: &mut Throttle, from: IpAddr, now: Mono) {
        throttle.admit(from, now).unwrap();
        throttle.end(from, false, now);
    }

    #[test]
    fn waits_double_and_end() {
        assert_eq!(wait_after(4), Duration::ZERO);
        assert_eq!(wait_after(5), FIRST_WAIT);
        assert_eq!(wait_after(6), FIRST_WAIT * 2);
        assert_eq!(wait_after(1000), LONGEST_WAIT);
    }

    #[test]
    fn of_tries_made_at_once_from_one_address_one_is_let_in() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.admit(address(1), at(0)), Ok(Lane::Strangers));
        assert_eq!(throttle.admit(address(1), at(0)), Err(Refused::UnderWay));
        throttle.end(address(1), false, at(1));
        assert!(throttle.admit(address(1), at(1)).is_ok());
    }

    #[test]
    fn an_address_that_guesses_has_to_wait_and_no_other() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE_TRIES {
            one_wrong(&mut throttle, address(1), at(0));
        }
        assert_eq!(
            throttle.admit(address(1), at(0)),
            Err(Refused::Wait { seconds: 3 })
        );
        assert!(throttle.admit(address(2), at(0)).is_ok());
        assert!(throttle.admit(address(1), at(2)).is_ok(), "it has waited");
    }

    #[test]
    fn a_try_that_was_given_up_counts_as_wrong() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE_TRIES {
            throttle.admit(address(1), at(0)).unwrap();
            throttle.end(address(1), false, at(0));
        }
        assert!(throttle.admit(address(1), at(0)).is_err());
    }

    #[test]
    fn the_right_password_makes_the_wrong_ones_forgotten() {
        let mut throttle = Throttle::default();
        for _ in 1..FREE_TRIES {
            one_wrong(&mut throttle, address(1), at(0));
        }
        throttle.admit(address(1), at(0)).unwrap();
        throttle.end(address(1), true, at(0));
        one_wrong(&mut throttle, address(1), at(0));
        assert!(throttle.admit(address(1), at(0)).is_ok());
    }

    #[test]
    fn a_crowd_of_strangers_is_bounded_and_does_not_stand_before_a_known_address() {
        let mut throttle = Throttle::default();
        let owner = address(0);
        throttle.admit(owner, at(0)).unwrap();
        throttle.end(owner, true, at(0));
        let crowd = u16::try_from(STRANGERS_AT_ONCE).unwrap();
        for number in 1..=crowd {
            assert_eq!(throttle.admit(address(number), at(0)), Ok(Lane::Strangers));
        }
        assert_eq!(
            throttle.admit(address(crowd + 1), at(0)),
            Err(Refused::Crowded)
        );
        assert_eq!(throttle.admit(owner, at(0)), Ok(Lane::Known));
        throttle.end(address(1), false, at(1));
        assert!(throttle.admit(address(crowd + 1), at(1)).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_makes_no_known_address_forgotten() {
        let mut throttle = Throttle::default();
        let owner = address(u16::MAX);
        throttle.admit(owner, at(0)).unwrap();
        throttle.end(owner, true, at(0));
        for number in 0..=u16::try_from(SOURCES_KEPT).unwrap() {
            one_wrong(&mut throttle, address(number), at(1));
        }
        assert_eq!(throttle.sources.len(), SOURCES_KEPT);
        assert_eq!(throttle.admit(owner, at(2)), Ok(Lane::Known));
    }
}

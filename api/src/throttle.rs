//! How fast passwords and codes may be tried. Nothing here reads a clock or waits: the caller passes `now`.
//!
//! Invariants:
//! - A try counts as wrong from the moment it is let in until it turns out right, and a source has
//!   one under way at most. So tries made at the same time do not slip past one another.
//! - Slow-downs count per source, and a browser or an address that somebody has signed in from is
//!   never made to stand behind strangers. A browser shows so with a cookie: it is known after a
//!   restart, and whatever others do behind the same address. So nobody can lock the owner out.
//! - Who knows the password and guesses codes from many addresses is slowed down as a whole.
//! - What waits is bounded, and what is remembered, too.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use coppice_clock::Mono;

use crate::rpc::network;

/// Wrong passwords from one source before it has to wait.
const FREE_TRIES: u32 = 5;
/// The first wait; it doubles with every further wrong password.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Sources remembered; beyond, the oldest strangers are forgotten.
const SOURCES_KEPT: usize = 4096;
/// Strangers whose tries are under way or in the queue: about four seconds of work.
const STRANGERS_AT_ONCE: usize = 16;
/// The same of one IPv6 network, whose owner has as many addresses as it likes.
const NEIGHBOURS_AT_ONCE: usize = 4;

/// Wrong codes of strangers, all together, before strangers have to wait.
const FREE_CODES: u32 = 10;
/// The first wait for codes, and the longest: 24 tries a day, of a million codes.
const FIRST_CODE_WAIT: Duration = Duration::from_secs(30);
const LONGEST_CODE_WAIT: Duration = Duration::from_secs(3600);

/// Where a try comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A browser that has signed in before.
    Device(String),
    /// Anything else.
    Address(IpAddr),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

impl Source {
    fn network(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(network(*address)),
            Self::Device(_) => None,
        }
    }
}

/// Which queue a try stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Root, and whoever has signed in before.
    Known,
    /// All others.
    Strangers,
}

/// Why a password or a code is not even looked at.
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
    /// Too many codes were wrong.
    #[error(
        "devices that never signed in have tried many codes; try again in {seconds} s, use a \
         recovery code, or sign in from a device that you have used before"
    )]
    CodesWait {
        /// How long from now.
        seconds: u64,
    },
}

struct Tries {
    wrong: u32,
    last: Mono,
    under_way: bool,
    known: bool,
}

impl Tries {
    /// Whether it occupies a place among the strangers.
    const fn is_stranger_under_way(&self) -> bool {
        self.under_way && !self.known
    }
}

/// Wrong codes of strangers in a row.
#[derive(Default)]
struct Codes {
    wrong: u32,
    last: Mono,
}

/// What is known of who tries.
#[derive(Default)]
pub(crate) struct Throttle {
    sources: HashMap<Source, Tries>,
    codes: Codes,
}

impl Throttle {
    /// Lets a try in, or not. Each one let in is followed by one [`Self::end`].
    pub(crate) fn admit(&mut self, from: &Source, now: Mono) -> Result<Lane, Refused> {
        if let Some(tries) = self.sources.get(from) {
            if tries.under_way {
                return Err(Refused::UnderWay);
            }
            let wait = wait_after(tries.wrong, FREE_TRIES, FIRST_WAIT, LONGEST_WAIT);
            if let Some(seconds) = left(wait, tries.last, now) {
                return Err(Refused::Wait { seconds });
            }
        }
        let seen = self.sources.get(from).is_some_and(|tries| tries.known);
        let known = seen || matches!(from, Source::Device(_));
        if !known && self.is_crowded(from) {
            return Err(Refused::Crowded);
        }
        self.make_room(from);
        let tries = self.sources.entry(from.clone()).or_insert(Tries {
            wrong: 0,
            last: now,
            under_way: false,
            known,
        });
        tries.wrong = tries.wrong.saturating_add(1);
        tries.last = now;
        tries.under_way = true;
        Ok(if known { Lane::Known } else { Lane::Strangers })
    }

    /// Lets a code be looked at, or not. One that is counts as wrong until the try ends right.
    pub(crate) fn admit_code(&mut self, lane: Lane, now: Mono) -> Result<(), Refused> {
        if lane == Lane::Known {
            return Ok(());
        }
        let Codes { wrong, last } = self.codes;
        let wait = wait_after(wrong, FREE_CODES, FIRST_CODE_WAIT, LONGEST_CODE_WAIT);
        if let Some(seconds) = left(wait, last, now) {
            return Err(Refused::CodesWait { seconds });
        }
        self.codes = Codes {
            wrong: wrong.saturating_add(1),
            last: now,
        };
        Ok(())
    }

    /// A try has ended. One that was given up counts as wrong.
    pub(crate) fn end(&mut self, from: &Source, right: bool, now: Mono) {
        // It is there: what is under way is not forgotten.
        let Some(tries) = self.sources.get_mut(from) else {
            return;
        };
        tries.under_way = false;
        tries.last = now;
        if right {
            if !tries.known {
                self.codes = Codes::default();
            }
            tries.wrong = 0;
            tries.known = true;
        }
    }

    fn is_crowded(&self, from: &Source) -> bool {
        let strangers = || {
            let sources = self.sources.iter();
            sources.filter(|(_, tries)| tries.is_stranger_under_way())
        };
        let network = from.network();
        let neighbours = strangers().filter(|(source, _)| source.network() == network);
        strangers().count() >= STRANGERS_AT_ONCE || neighbours.count() >= NEIGHBOURS_AT_ONCE
    }

    /// Forgets the oldest stranger when there is no room for one more, or else the oldest of all.
    fn make_room(&mut self, newcomer: &Source) {
        if self.sources.len() < SOURCES_KEPT || self.sources.contains_key(newcomer) {
            return;
        }
        let idle = self.sources.iter().filter(|(_, one)| !one.under_way);
        let first = idle.min_by_key(|(_, one)| (one.known, one.last));
        if let Some(first) = first.map(|(from, _)| from.clone()) {
            self.sources.remove(&first);
        }
    }
}

/// How long to wait after this many wrong ones in a row.
fn wait_after(wrong: u32, free: u32, first: Duration, longest: Duration) -> Duration {
    match wrong.checked_sub(free) {
        None => Duration::ZERO,
        Some(more) => first.saturating_mul(2u32.saturating_pow(more)).min(longest),
    }
}

/// Seconds that are left of a wait.
fn left(wait: Duration, since: Mono, now: Mono) -> Option<u64> {
    let passed = now.since(since);
    (passed < wait).then(|| (wait - passed).as_secs() + 1)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    fn address(number: u16) -> Source {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([10, 0, high, low]).into()
    }

    fn one_wrong(throttle: &mut Throttle, from: &Source, now: Mono) {
        throttle.admit(from, now).unwrap();
        throttle.end(from, false, now);
    }

    fn signed_in(throttle: &mut Throttle, from: &Source, now: Mono) {
        throttle.admit(from, now).unwrap();
        throttle.end(from, true, now);
    }

    #[test]
    fn waits_double_and_end() {
        let after = |wrong| wait_after(wrong, FREE_TRIES, FIRST_WAIT, LONGEST_WAIT);
        assert_eq!(after(4), Duration::ZERO);
        assert_eq!(after(5), FIRST_WAIT);
        assert_eq!(after(6), FIRST_WAIT * 2);
        assert_eq!(after(1000), LONGEST_WAIT);
    }

    #[test]
    fn of_tries_made_at_once_from_one_address_one_is_let_in() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.admit(&address(1), at(0)), Ok(Lane::Strangers));
        assert_eq!(throttle.admit(&address(1), at(0)), Err(Refused::UnderWay));
        throttle.end(&address(1), false, at(1));
        assert!(throttle.admit(&address(1), at(1)).is_ok());
    }

    #[test]
    fn an_address_that_guesses_has_to_wait_and_no_other() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE_TRIES {
            one_wrong(&mut throttle, &address(1), at(0));
        }
        assert_eq!(
            throttle.admit(&address(1), at(0)),
            Err(Refused::Wait { seconds: 3 })
        );
        assert!(throttle.admit(&address(2), at(0)).is_ok());
        assert!(throttle.admit(&address(1), at(2)).is_ok(), "it has waited");
    }

    #[test]
    fn a_try_that_was_given_up_counts_as_wrong() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE_TRIES {
            throttle.admit(&address(1), at(0)).unwrap();
            throttle.end(&address(1), false, at(0));
        }
        assert!(throttle.admit(&address(1), at(0)).is_err());
    }

    #[test]
    fn the_right_password_makes_the_wrong_ones_forgotten() {
        let mut throttle = Throttle::default();
        for _ in 1..FREE_TRIES {
            one_wrong(&mut throttle, &address(1), at(0));
        }
        throttle.admit(&address(1), at(0)).unwrap();
        throttle.end(&address(1), true, at(0));
        one_wrong(&mut throttle, &address(1), at(0));
        assert!(throttle.admit(&address(1), at(0)).is_ok());
    }

    #[test]
    fn a_crowd_of_strangers_is_bounded_and_does_not_stand_before_a_known_address() {
        let mut throttle = Throttle::default();
        let owner = address(0);
        signed_in(&mut throttle, &owner, at(0));
        let crowd = u16::try_from(STRANGERS_AT_ONCE).unwrap();
        for number in 1..=crowd {
            assert_eq!(throttle.admit(&address(number), at(0)), Ok(Lane::Strangers));
        }
        assert_eq!(
            throttle.admit(&address(crowd + 1), at(0)),
            Err(Refused::Crowded)
        );
        assert_eq!(throttle.admit(&owner, at(0)), Ok(Lane::Known));
        throttle.end(&address(1), false, at(1));
        assert!(throttle.admit(&address(crowd + 1), at(1)).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_makes_no_known_address_forgotten() {
        let mut throttle = Throttle::default();
        let owner = address(u16::MAX);
        signed_in(&mut throttle, &owner, at(0));
        for number in 0..=u16::try_from(SOURCES_KEPT).unwrap() {
            one_wrong(&mut throttle, &address(number), at(1));
        }
        assert_eq!(throttle.sources.len(), SOURCES_KEPT);
        assert_eq!(throttle.admit(&owner, at(2)), Ok(Lane::Known));
    }

    #[test]
    fn a_browser_that_signed_in_before_waits_for_nobody_elses_guesses() {
        let (mut throttle, home) = (Throttle::default(), address(1));
        for _ in 0..FREE_TRIES {
            one_wrong(&mut throttle, &home, at(0));
        }
        assert!(throttle.admit(&home, at(0)).is_err(), "the same address");
        let owner = Source::Device("a".into());
        assert_eq!(throttle.admit(&owner, at(0)), Ok(Lane::Known));
        throttle.end(&owner, false, at(0));
        for _ in 1..FREE_TRIES {
            one_wrong(&mut throttle, &owner, at(0));
        }
        let stolen = throttle.admit(&owner, at(0));
        assert_eq!(stolen, Err(Refused::Wait { seconds: 3 }));
    }

    #[test]
    fn one_ipv6_network_leaves_room_for_others() {
        let mut throttle = Throttle::default();
        let of_network = |network: u16, host: u16| {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host);
            Source::from(IpAddr::from(address))
        };
        for host in 0..u16::try_from(NEIGHBOURS_AT_ONCE).unwrap() {
            let admitted = throttle.admit(&of_network(1, host), at(0));
            assert_eq!(admitted, Ok(Lane::Strangers));
        }
        let one_more = throttle.admit(&of_network(1, 99), at(0));
        assert_eq!(one_more, Err(Refused::Crowded));
        assert!(throttle.admit(&of_network(2, 1), at(0)).is_ok());
        assert!(throttle.admit(&address(1), at(0)).is_ok());
    }

    #[test]
    fn codes_guessed_from_many_addresses_are_slowed_down_and_known_browsers_are_not() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE_CODES {
            throttle.admit_code(Lane::Strangers, at(0)).unwrap();
        }
        let refused = throttle.admit_code(Lane::Strangers, at(0));
        assert_eq!(refused, Err(Refused::CodesWait { seconds: 31 }));
        assert_eq!(throttle.admit_code(Lane::Known, at(0)), Ok(()));
        assert_eq!(throttle.admit_code(Lane::Strangers, at(30)), Ok(()));
        let day = 24 * 3600;
        let tried = (30..day).filter(|now| throttle.admit_code(Lane::Strangers, at(*now)).is_ok());
        assert!(tried.count() < 32, "guesses of one day");
    }

    #[test]
    fn the_owners_login_ends_the_wait_for_codes_of_strangers() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE_CODES {
            throttle.admit_code(Lane::Strangers, at(0)).unwrap();
        }
        signed_in(&mut throttle, &address(1), at(0));
        assert_eq!(throttle.admit_code(Lane::Strangers, at(0)), Ok(()));
    }
}

//! When a leaf is replaced.
//!
//! Invariant: the decision needs only the leaf's two moments and `now`; it is the same decision
//! whenever it is asked again with the same values.

use std::time::Duration;

use coppice_clock::Wall;

use super::DAY;

/// What to do about a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is good; ask again at this moment.
    Keep {
        /// When two thirds of its life are over.
        until: Wall,
    },
    /// Issue a new one now.
    Now(Reason),
}

/// Why a leaf is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Two thirds of its life are over.
    Ageing,
    /// It is no longer valid.
    Expired,
    /// It is not valid yet: the clock went back, or the leaf was made with a wrong one.
    FromTheFuture,
}

/// Decides about a leaf that is valid from `not_before` to `not_after`.
///
/// A third of the life is left for the renewal to succeed: for a year's leaf that is four months,
/// so a server that is off over the summer comes back with a valid certificate. A leaf with a
/// third of its life under a day is renewed a day before its end.
#[must_use]
pub fn renewal(not_before: Wall, not_after: Wall, now: Wall) -> Renewal {
    let life = not_after.as_millis() - not_before.as_millis();
    let spare = (life / 3).max(millis(DAY).min(life));
    let until = not_after.as_millis() - spare;
    if now < not_before {
        Renewal::Now(Reason::FromTheFuture)
    } else if now >= not_after {
        Renewal::Now(Reason::Expired)
    } else if now.as_millis() >= until {
        Renewal::Now(Reason::Ageing)
    } else {
        Renewal::Keep {
            until: Wall::from_millis(until),
        }
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

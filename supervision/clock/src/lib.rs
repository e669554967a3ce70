//! The one place that reads a clock.
//!
//! [`Mono`] is for deadlines, backoff, intensity and uptime: it counts from the machine's boot,
//! goes on while the machine sleeps, may be stored, and may be compared by a later process of the
//! same boot. A reboot voids it: keep [`boot_id`] beside every stored value. [`Wall`] is for
//! people, certificates and sessions; it may jump.
//!
//! Everything else in the workspace is forbidden to read a clock (`clippy.toml`), so that a test
//! can pass any time it likes.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Milliseconds since this machine booted, suspended time included (`CLOCK_BOOTTIME`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Mono(u64);

impl Mono {
    /// The time now.
    ///
    /// # Panics
    /// Never on Linux: the clock exists since 2.6.39 and the call has no other failure.
    #[must_use]
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME exists on Linux");
        Self(now.tv_sec().unsigned_abs() * 1000 + now.tv_nsec().unsigned_abs() / 1_000_000)
    }

    /// A time from milliseconds since boot; what tests and stored values use.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since boot.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl fmt::Display for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1000, self.0 % 1000)
    }
}

/// A moment as people name it; printed and stored as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(jiff::Timestamp);

impl Wall {
    /// The time now, cut to milliseconds: finer is noise in a record.
    #[must_use]
    pub fn now() -> Self {
        Self::from_millis(jiff::Timestamp::now().as_millisecond())
    }

    /// A moment from milliseconds since 1970; out of range gives the epoch itself.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0.as_second()
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of this boot; a stored [`Mono`] means something only beside the same id.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_time_is_greater_and_the_difference_is_the_time_between() {
        let start = Mono::from_millis(1_000);
        let end = start + Duration::from_millis(250);
        assert!(end > start);
        assert_eq!(end.since(start), Duration::from_millis(250));
        assert_eq!(start.since(end), Duration::ZERO);
    }

    #[test]
    fn wall_time_is_stored_as_rfc_3339() {
        let moment = Wall::from_millis(1_700_000_000_123);
        let text = serde_json::to_string(&moment).unwrap();
        assert_eq!(text, "\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(serde_json::from_str::<Wall>(&text).unwrap(), moment);
    }
}

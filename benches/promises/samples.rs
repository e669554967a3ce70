//! Measured times, and how they are told.

use std::{fs, time::Duration};

/// Times of one thing, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The smallest sample that this many of a hundred are not above.
    pub(crate) fn percentile(&self, of_hundred: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * of_hundred).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// `median (least to most) ms`.
    pub(crate) fn words(&self) -> String {
        let (least, most) = (self.0.iter().min(), self.0.iter().max());
        let one = |time: Option<&Duration>| millis(time.copied().unwrap_or_default());
        format!(
            "{} ms ({} to {})",
            millis(self.median()),
            one(least),
            one(most)
        )
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 10.0 {
        format!("{millis:.1}")
    } else {
        format!("{millis:.0}")
    }
}

/// One line of the report.
pub(crate) fn tell(what: &str, value: &str) {
    println!("  {what:<58} {value}");
}

/// What was promised, and whether it was kept.
pub(crate) fn verdict(what: &str, value: f64, at_most: f64, unit: &str) {
    let word = if value <= at_most { "met" } else { "MISSED" };
    tell(
        what,
        &format!("{value:.2}{unit}, promised at most {at_most}{unit}: {word}"),
    );
}

pub(crate) fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// How many processes wanted a processor, on average over the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

//! When the server did what, from its log.

use std::time::Duration;

use crate::server::Server;

/// Lines of a log, each with the time of day.
pub(crate) struct Timeline(Vec<(Duration, String)>);

impl Timeline {
    /// What `server` has logged since its log was `offset` bytes long.
    pub(crate) fn since(server: &Server, offset: usize) -> Self {
        let bytes = std::fs::read(&server.log).unwrap();
        let text = plain(&String::from_utf8_lossy(&bytes[offset..]));
        Self(
            text.lines()
                .filter_map(|line| Some((time_of_day(line)?, line.to_owned())))
                .collect(),
        )
    }

    /// When the first line with all of these words came, at `from` or later.
    pub(crate) fn at(&self, from: Duration, words: &[&str]) -> Option<Duration> {
        let fits = |line: &str| words.iter().all(|word| line.contains(word));
        self.0
            .iter()
            .find(|(at, line)| *at >= from && fits(line))
            .map(|(at, _)| *at)
    }
}

/// Without the colours of a terminal.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

/// `2026-01-31T23:59:59.123456Z …`
fn time_of_day(line: &str) -> Option<Duration> {
    let clock = line.split_once('T')?.1.split_once('Z')?.0;
    let (hours, rest) = clock.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let whole = hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60;
    Some(Duration::from_secs(whole) + Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?)
}

/// The time of day, as a log has it.
#[expect(
    clippy::disallowed_methods,
    reason = "the log's clock, finer than Wall"
)]
pub(crate) fn wall() -> Duration {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_nanos(
        u64::try_from(since_1970.as_nanos() % 86_400_000_000_000).unwrap_or_default(),
    )
}

//! Restart records as they are kept: bounded, whatever the package wrote or said.
//!
//! Invariant: a service's records take at most some 40 KiB of the document. The document goes to
//! every browser and into the history of changes; the log is where all of a service's output is.

use std::{collections::BTreeMap, time::Duration};

use coppice_clock::Wall;

use crate::{
    model::{Asked, By, Cause, Link, PackageEntry, RestartRecord},
    text::cut,
};

/// Records kept per service.
const KEPT: usize = 50;
/// The newest records keep their lines; the log has those of older ones for as long as it has them.
const WITH_LINES: usize = 5;
/// Log lines looked at for a record.
pub(super) const LINES: usize = 20;
/// Bytes of one line.
const LINE_BYTES: usize = 500;
/// Bytes of all lines of a record.
const LINES_BYTES: usize = 4096;
/// Bytes of what a failure says of itself.
const MESSAGE_BYTES: usize = 1024;

/// Steps of an explanation.
const STEPS: usize = 8;

/// What a record tells, before it has a time and a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// As [`RestartRecord::what`].
    pub what: String,
    /// As [`RestartRecord::cause`].
    pub cause: Cause,
    /// As [`RestartRecord::because`].
    pub because: Vec<Link>,
    /// As [`RestartRecord::action`].
    pub action: String,
    /// As [`RestartRecord::by`].
    pub by: By,
    /// How long it had been up.
    pub ran: Option<Duration>,
}

impl Event {
    /// Something that Coppice itself answers.
    pub fn new(what: impl Into<String>, cause: Cause, action: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cause,
            because: Vec::new(),
            action: action.into(),
            by: By::Coppice,
            ran: None,
        }
    }

    /// The same, with what is behind it.
    #[must_use]
    pub fn because(self, because: Vec<Link>) -> Self {
        Self { because, ..self }
    }

    /// The same, answered by somebody else.
    #[must_use]
    pub fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    /// The same, with how long it had been up.
    #[must_use]
    pub fn after(self, ran: Option<Duration>) -> Self {
        Self { ran, ..self }
    }

    /// As a record with these lines of the log.
    pub(super) fn recorded(self, at: Wall, logs: Vec<String>) -> RestartRecord {
        RestartRecord {
            seq: 0,
            at,
            what: self.what,
            cause: self.cause,
            because: self.because,
            action: self.action,
            by: self.by,
            ran_ms: self.ran.and_then(|ran| u64::try_from(ran.as_millis()).ok()),
            logs,
        }
    }
}

/// Notes in a service's entry that somebody asked something of it.
///
/// In the very change that makes the wish durable, and without lines of the log: those say nothing
/// about it.
pub(crate) fn note_wish(entry: &mut PackageEntry, by: By, asked: Asked) {
    let action = match asked {
        Asked::Start => "it is started",
        Asked::Stop => "it is stopped, and stays so until somebody starts it",
        Asked::Restart => "it is stopped and started",
    };
    let cause = Cause::Operator {
        by: by.clone(),
        asked,
    };
    note(entry, Event::new("service", cause, action).by(by));
}

/// Adds a record without lines of the log to a service's entry.
pub(crate) fn note(entry: &mut PackageEntry, event: Event) {
    add(&mut entry.restarts, event.recorded(Wall::now(), Vec::new()));
}

/// Adds a record, under the number after the last, and drops what is too old.
pub(super) fn add(records: &mut BTreeMap<u64, RestartRecord>, mut record: RestartRecord) {
    record.seq = records.keys().next_back().map_or(1, |last| last + 1);
    record.logs = cut_lines(record.logs);
    cut_message(&mut record.cause);
    record.because.truncate(STEPS);
    for link in &mut record.because {
        cut_link(link);
    }
    records.insert(record.seq, record);
    while records.len() > KEPT {
        records.pop_first();
    }
    let with_lines = records
        .values_mut()
        .rev()
        .filter(|one| !one.logs.is_empty());
    for old in with_lines.skip(WITH_LINES) {
        old.logs.clear();
    }
}

/// A link's own texts: each may have come from a package.
pub(crate) fn cut_link(link: &mut Link) {
    match link {
        Link::Failed { cause, .. } => cut_message(cause),
        Link::Unwell {
            message: Some(text),
            ..
        }
        | Link::NeedsTask {
            reason: Some(text), ..
        } => cut(text, MESSAGE_BYTES),
        Link::Parked { .. }
        | Link::Held { .. }
        | Link::Stopped { .. }
        | Link::Starting { .. }
        | Link::Unwell { message: None, .. }
        | Link::Missing { .. }
        | Link::NeedsTask { reason: None, .. }
        | Link::DiskFull { .. } => {}
    }
}

/// The newest lines that fit, each cut to its share.
fn cut_lines(mut lines: Vec<String>) -> Vec<String> {
    let mut left = LINES_BYTES;
    let mut first = lines.len();
    for line in lines.iter_mut().rev().take(LINES) {
        cut(line, LINE_BYTES);
        match left.checked_sub(line.len()) {
            Some(rest) => left = rest,
            None => break,
        }
        first -= 1;
    }
    lines.split_off(first)
}

fn cut_message(cause: &mut Cause) {
    match cause {
        Cause::StartFailed { message }
        | Cause::StopFailed { message }
        | Cause::Internal { message }
        | Cause::UpdateFailed { message, .. }
        | Cause::FailedCheck {
            message: Some(message),
            ..
        }
        | Cause::ConfigurationMissing {
            reason: Some(message),
            ..
        } => cut(message, MESSAGE_BYTES),
        Cause::Exit { .. }
        | Cause::Signal { .. }
        | Cause::Oom { .. }
        | Cause::FailedCheck { message: None, .. }
        | Cause::ConfigurationMissing { reason: None, .. }
        | Cause::ContainerDied
        | Cause::RuntimeDied
        | Cause::Operator { .. }
        | Cause::Deadline { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(logs: Vec<String>) -> RestartRecord {
        let event = Event::new("daemon main", Cause::Oom { kills: 1 }, "");
        event.recorded(Wall::from_millis(0), logs)
    }

    #[test]
    fn what_people_ask_for_pushes_no_lines_of_a_death_out() {
        let mut records = BTreeMap::new();
        add(&mut records, record(vec!["the last words".into()]));
        let cause = Cause::Operator {
            by: By::Package,
            asked: Asked::Restart,
        };
        for _ in 0..WITH_LINES + 1 {
            let asked = Event::new("service", cause.clone(), "");
            add(&mut records, asked.recorded(Wall::from_millis(1), vec![]));
        }
        assert_eq!(records[&1].logs, ["the last words"]);
    }

    #[test]
    fn the_newest_lines_are_kept_and_a_long_one_is_cut_within_a_character() {
        let mut lines = vec!["old".to_owned(); 30];
        lines.push("é".repeat(100_000));
        let kept = cut_lines(lines);
        assert_eq!(kept.len(), LINES);
        let last = kept.last().unwrap();
        assert!(last.len() <= LINE_BYTES && last.ends_with("é…"));
    }

    #[test]
    fn the_records_of_a_talkative_service_stay_small() {
        let mut records = BTreeMap::new();
        for _ in 0..200 {
            let mut talkative = record(vec!["x".repeat(128 * 1024); 20]);
            let endless = Cause::StartFailed {
                message: "y".repeat(4 * 1024 * 1024),
            };
            talkative.cause = endless.clone();
            let link = Link::Failed {
                service: "db".into(),
                what: "init".into(),
                cause: endless,
            };
            talkative.because = vec![link; 2];
            add(&mut records, talkative);
        }
        assert_eq!(records.len(), KEPT);
        assert_eq!(*records.keys().next_back().unwrap(), 200);
        assert_eq!(records[&200].seq, 200);
        let lines = |record: &RestartRecord| record.logs.iter().map(String::len).sum::<usize>();
        assert!(records.values().all(|one| lines(one) <= LINES_BYTES));
        assert!(lines(&records[&196]) > 0 && lines(&records[&195]) == 0);
        assert!(serde_json::to_string(&records).unwrap().len() < 256 * 1024);
    }
}

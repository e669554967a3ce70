//! Restart records as they are kept: bounded, whatever the package wrote or said.
//!
//! Invariant: a service's records take at most some 40 KiB of the document. The document goes to
//! every browser and into the history of changes; the log is where all of a service's output is.

use std::collections::BTreeMap;

use crate::{
    model::{Cause, RestartRecord},
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

/// Adds a record, under the number after the last, and drops what is too old.
pub(super) fn add(records: &mut BTreeMap<u64, RestartRecord>, mut record: RestartRecord) {
    record.seq = records.keys().next_back().map_or(1, |last| last + 1);
    record.logs = cut_lines(record.logs);
    cut_message(&mut record.cause);
    records.insert(record.seq, record);
    while records.len() > KEPT {
        records.pop_first();
    }
    for old in records.values_mut().rev().skip(WITH_LINES) {
        old.logs.clear();
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
        | Cause::Internal { message } => cut(message, MESSAGE_BYTES),
        Cause::Exit { .. }
        | Cause::Signal { .. }
        | Cause::Oom
        | Cause::ContainerDied
        | Cause::RuntimeDied
        | Cause::Operator { .. }
        | Cause::Deadline { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use coppice_clock::Wall;

    use super::*;

    fn record(logs: Vec<String>) -> RestartRecord {
        RestartRecord {
            seq: 0,
            at: Wall::from_millis(0),
            what: "daemon main".into(),
            cause: Cause::Oom,
            action: String::new(),
            ran_ms: None,
            logs,
        }
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
            talkative.cause = Cause::StartFailed {
                message: "y".repeat(4 * 1024 * 1024),
            };
            add(&mut records, talkative);
        }
        assert_eq!(records.len(), KEPT);
        assert_eq!(*records.keys().next_back().unwrap(), 200);
        assert_eq!(records[&200].seq, 200);
        let lines = |record: &RestartRecord| record.logs.iter().map(String::len).sum::<usize>();
        assert!(records.values().all(|one| lines(one) <= LINES_BYTES));
        assert!(lines(&records[&196]) > 0 && lines(&records[&195]) == 0);
        assert!(serde_json::to_string(&records).unwrap().len() < 128 * 1024);
    }
}

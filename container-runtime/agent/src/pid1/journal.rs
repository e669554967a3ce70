//! Reports the host has not acknowledged yet.
//!
//! Invariant: sequence numbers grow by one and are never reused; what is kept is a gapless run
//! that ends at the newest; memory stays under [`LIMIT_BYTES`] plus one report. When it is full the
//! oldest go: the host sees the gap and asks for the list of the living.

use std::collections::VecDeque;

/// Bytes of encoded reports kept while the host is away; some ten thousand of them.
pub(super) const LIMIT_BYTES: usize = 2 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    newest: u64,
    /// Newest report handed to the present connection.
    sent: u64,
}

impl Journal {
    /// Adds the report that `encode` makes for its number; `None` from it uses the number up.
    pub(super) fn push(&mut self, encode: impl FnOnce(u64) -> Option<Vec<u8>>) {
        self.newest += 1;
        let Some(line) = encode(self.newest) else {
            return;
        };
        self.bytes += line.len();
        self.entries.push_back((self.newest, line));
        while self.bytes > LIMIT_BYTES && self.entries.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Forgets everything up to and including `seq`.
    pub(super) fn ack(&mut self, seq: u64) {
        while self.entries.front().is_some_and(|(first, _)| *first <= seq) {
            self.drop_oldest();
        }
    }

    /// A new connection: everything kept is to be sent again.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// The next report this connection has not had.
    pub(super) fn next_unsent(&mut self) -> Option<&[u8]> {
        let at = self.entries.partition_point(|(seq, _)| *seq <= self.sent);
        let (seq, line) = self.entries.get(at)?;
        self.sent = *seq;
        Some(line)
    }

    /// Number of the newest report; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether the host has acknowledged everything.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, line)) = self.entries.pop_front() {
            self.bytes -= line.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(journal: &mut Journal, size: usize) {
        journal.push(|seq| Some(vec![u8::try_from(seq % 256).unwrap(); size]));
    }

    fn unsent(journal: &mut Journal) -> Vec<u8> {
        std::iter::from_fn(|| journal.next_unsent().map(|line| line[0])).collect()
    }

    #[test]
    fn reports_go_out_once_per_connection_until_they_are_acknowledged() {
        let mut journal = Journal::default();
        push(&mut journal, 1);
        push(&mut journal, 1);
        assert_eq!(unsent(&mut journal), [1, 2]);
        assert!(unsent(&mut journal).is_empty());
        journal.ack(1);
        push(&mut journal, 1);
        journal.rewind();
        assert_eq!(unsent(&mut journal), [2, 3]);
        journal.ack(3);
        journal.rewind();
        assert!(unsent(&mut journal).is_empty() && journal.is_empty());
    }

    #[test]
    fn a_full_journal_drops_the_oldest_and_keeps_counting() {
        let mut journal = Journal::default();
        for _ in 0..5 {
            push(&mut journal, LIMIT_BYTES / 2);
        }
        assert_eq!(unsent(&mut journal), [4, 5]);
        assert_eq!(journal.newest(), 5);
    }

    #[test]
    fn an_acknowledgement_from_the_future_or_the_past_is_harmless() {
        let mut journal = Journal::default();
        push(&mut journal, 1);
        journal.ack(900);
        push(&mut journal, 1);
        journal.ack(0);
        assert_eq!(unsent(&mut journal), [2]);
    }
}

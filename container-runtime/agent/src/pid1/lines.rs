//! Bytes of an output into lines.
//!
//! Invariant: no byte is lost and none is held beyond [`LINE_BYTES`]: a longer line comes out in
//! pieces of exactly that size.

use coppice_wire::logs::LINE_BYTES;

#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// The lines that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut done = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            self.take(text, &mut done);
            if ended {
                let mut line = std::mem::take(&mut self.partial);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                done.push(line);
            }
        }
        done
    }

    /// What is left when the output ends.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        (!self.partial.is_empty()).then(|| std::mem::take(&mut self.partial))
    }

    fn take(&mut self, mut text: &[u8], done: &mut Vec<Vec<u8>>) {
        while self.partial.len() + text.len() > LINE_BYTES {
            let (now, later) = text.split_at(LINE_BYTES - self.partial.len());
            self.partial.extend_from_slice(now);
            done.push(std::mem::take(&mut self.partial));
            text = later;
        }
        self.partial.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_told_apart_and_the_last_one_waits_for_its_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"a\n\nb\r\nc"), [&b"a"[..], b"", b"b"]);
        assert_eq!(lines.push(b"d\n"), [b"cd"]);
        assert_eq!(lines.finish(), None);
        lines.push(b"e");
        assert_eq!(lines.finish(), Some(b"e".to_vec()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_byte_is_lost_and_no_piece_is_too_long(
            lengths in proptest::collection::vec(0usize..3 * LINE_BYTES, 0..4),
            chunk in 1usize..5000,
        ) {
            let text: Vec<u8> = lengths.iter().flat_map(|n| [vec![b'x'; *n], vec![b'\n']].concat()).collect();
            let mut lines = Lines::default();
            let mut out: Vec<Vec<u8>> = text.chunks(chunk).flat_map(|piece| lines.push(piece)).collect();
            out.extend(lines.finish());
            prop_assert!(out.iter().all(|line| line.len() <= LINE_BYTES));
            prop_assert_eq!(out.iter().map(Vec::len).sum::<usize>(), lengths.iter().sum::<usize>());
        }
    }
}

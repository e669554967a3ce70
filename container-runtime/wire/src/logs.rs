//! Log segments.
//!
//! The agent writes every line of every process it spawned into `<n>.jsonl`, n a 16-digit
//! zero-padded number that only grows. The host reads them beside it: a line without its newline
//! is still being written. A segment is never changed once a higher one exists; the oldest go.

use serde::{Deserialize, Serialize};

/// Bytes after which a new segment begins.
pub const SEGMENT_BYTES: u64 = 2 * 1024 * 1024;
/// Segments kept.
pub const SEGMENTS_KEPT: usize = 8;
/// Bytes of a line; a longer one continues in the next entry.
pub const LINE_BYTES: usize = 16 * 1024;
/// [`LogLine::src`] of the agent's own lines.
pub const SRC_AGENT: &str = "agent";
/// [`LogLine::src`] of the Node runtime and of everything that shares its outputs.
pub const SRC_RUNTIME: &str = "runtime";

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Milliseconds since 1970 when the agent read the line's end.
    pub t: i64,
    /// Uuid of the container life it belongs to.
    pub run: String,
    /// `agent`, `runtime`, or the id of a process.
    pub src: String,
    /// Which output.
    pub stream: Stream,
    /// The text without its newline; what was not UTF-8 is replaced.
    pub line: String,
}

/// File name of segment `number`.
#[must_use]
pub fn segment_name(number: u64) -> String {
    format!("{number:016}.jsonl")
}

/// The number in a segment's file name; `None` for any other file.
#[must_use]
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    (digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_name_gives_its_number_back_and_nothing_else_does() {
        assert_eq!(segment_name(42), "0000000000000042.jsonl");
        assert_eq!(segment_number(&segment_name(42)), Some(42));
        for other in ["42.jsonl", "0000000000000042", "000000000000004x.jsonl", ""] {
            assert_eq!(segment_number(other), None);
        }
    }
}

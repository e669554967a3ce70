//! Bytes to messages and back.
//!
//! ```text
//!            push(bytes)                    next()
//!   Open ──────────────────▶ Open ─────────────────▶ Some(Ok | NotAMessage) / None
//!    │ more than MAX_LINE_BYTES without a newline
//!    ▼
//!   Closed: next() says TooLong once and then None; push() is ignored
//! ```
//!
//! A bad line costs only itself: the next one is read as if nothing had happened. A line that is
//! too long ends the stream, because nothing after it can be trusted to be a line start.

use serde_json::error::Category;

use crate::message::Message;

/// Longest line, newline excluded, in bytes.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Why a line gave no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The stream cannot be read further: close it.
    #[error("a line is longer than {limit} bytes; the connection must be closed")]
    TooLong {
        /// The decoder's limit, in bytes.
        limit: usize,
    },
    /// This line was not JSON; the next may be.
    #[error("a line is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// This line was JSON of another shape; the next may be right.
    #[error("a line is not a JSON-RPC 2.0 message")]
    NotAMessage(#[source] serde_json::Error),
}

impl DecodeError {
    /// What serde said of a line, told apart by whether it was JSON at all.
    pub(crate) fn of_line(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::NotAMessage(error),
            Category::Syntax | Category::Eof | Category::Io => Self::NotJson(error),
        }
    }

    /// Whether the connection has to be closed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::TooLong { .. })
    }
}

/// Why a message could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Splitting is the caller's business; the other side would refuse it.
    #[error("a message of {size} bytes is over the limit of {MAX_LINE_BYTES}")]
    TooLong {
        /// Bytes the line would have had.
        size: usize,
    },
    /// The parameters have no JSON form.
    #[error("a message has no JSON form")]
    NotJson(#[source] serde_json::Error),
}

/// One line for `message`, newline included.
///
/// # Errors
/// [`EncodeError`] when the line would be too long or `message` has no JSON form.
pub fn encode(message: &Message) -> Result<Vec<u8>, EncodeError> {
    let mut line = serde_json::to_vec(message).map_err(EncodeError::NotJson)?;
    if line.len() > MAX_LINE_BYTES {
        return Err(EncodeError::TooLong { size: line.len() });
    }
    line.push(b'\n');
    Ok(line)
}

/// The message that one line (newline excluded) is.
///
/// # Errors
/// [`DecodeError`]; never a fatal one.
pub fn decode(line: &[u8]) -> Result<Message, DecodeError> {
    serde_json::from_slice(line).map_err(DecodeError::of_line)
}

/// Memory a decoder keeps between lines, in bytes; what a longer line took is given back.
const KEPT_BYTES: usize = 64 * 1024;

/// Collects bytes until they are lines.
///
/// Feed with [`Decoder::push`], then take with [`Decoder::next`] or [`Decoder::next_line`] until it
/// says `None`. Memory: one unfinished line of at most the limit, plus the bytes of the last
/// `push`, and as much again for room to grow.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the next line starts in `buffer`.
    start: usize,
    /// Bytes of `buffer` already known to hold no newline; keeps scanning linear.
    scanned: usize,
    limit: usize,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Open,
    Closed,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder with the wire's own limit.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MAX_LINE_BYTES)
    }

    /// A decoder for lines of at most `limit` bytes (1 or more), newline excluded.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            limit: limit.max(1),
            state: State::Open,
        }
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::Open {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
            if self.buffer.len() < KEPT_BYTES {
                self.buffer.shrink_to(KEPT_BYTES);
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes lines of at most `limit` bytes (1 or more) from now on, newline excluded.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// The next whole line as a message, `None` when more bytes are needed.
    #[allow(clippy::should_implement_trait)] // `None` is "not yet", which an Iterator may not mean.
    pub fn next(&mut self) -> Option<Result<Message, DecodeError>> {
        loop {
            let line = match self.next_line()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if is_blank(line) {
                continue;
            }
            return Some(decode(line));
        }
    }

    /// Whether an unfinished line is held: at the end of a stream, that line was cut off.
    #[must_use]
    pub fn has_partial_line(&self) -> bool {
        self.partial_bytes() > 0
    }

    /// Bytes of the unfinished line that is held.
    #[must_use]
    pub fn partial_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next whole line as it came, newline excluded; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`], once.
    pub fn next_line(&mut self) -> Option<Result<&[u8], DecodeError>> {
        match self.state {
            State::Open => {}
            State::Closed => return None,
        }
        let newline = self.buffer[self.scanned..]
            .iter()
            .position(|byte| *byte == b'\n');
        let end = newline.map_or(self.buffer.len(), |at| self.scanned + at);
        if end - self.start > self.limit {
            return Some(Err(self.close()));
        }
        self.scanned = end;
        newline?;
        let line = self.start..end;
        self.start = end + 1;
        self.scanned = self.start;
        Some(Ok(&self.buffer[line]))
    }

    fn close(&mut self) -> DecodeError {
        self.state = State::Closed;
        self.buffer = Vec::new();
        self.start = 0;
        self.scanned = 0;
        DecodeError::TooLong { limit: self.limit }
    }
}

/// Whether a line carries nothing: blank lines are keep-alives of nobody in particular.
#[must_use]
pub fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests;

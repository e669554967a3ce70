//! The connection to the host.
//!
//! ```text
//!            connect ok                  hello answered
//!   Down ───────────────▶ Greeting ───────────────────────▶ Up
//!    ▲  at retry_at          │ refused, or 5 s                │ closed, garbage over the limit,
//!    │                       │                                │ or 8 MiB nobody reads
//!    └───────────────────────┴────────────────────────────────┘
//! ```
//!
//! Invariant: never blocks, never gives up. A host that is away costs one failed `connect` per
//! quarter second; what the host says that is not a message is skipped.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    time::Duration,
};

use coppice_clock::Mono;
use coppice_wire::{Decoder, Id, Message, encode};
use nix::{
    poll::PollFlags,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
};

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LONGEST_RETRY: Duration = Duration::from_millis(250);
const GREETING_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes waiting for a host that does not read, after which the connection is given up.
const OUT_LIMIT: usize = 8 * 1024 * 1024;
/// Bytes waiting above which the journal is not drained into the connection.
const OUT_COMFORT: usize = 256 * 1024;
const HELLO_ID: Id = Id::Number(0);

pub(super) struct Link {
    path: PathBuf,
    hello: Vec<u8>,
    retry: Duration,
    state: State,
}

enum State {
    Down { retry_at: Mono },
    Greeting { conn: Conn, deadline: Mono },
    Up { conn: Conn },
}

struct Conn {
    stream: UnixStream,
    decoder: Decoder,
    out: Vec<u8>,
}

/// What came of a turn.
#[derive(Debug, PartialEq)]
pub(super) enum LinkEvent {
    /// The host said hello: everything unacknowledged is to be sent.
    Up,
    /// The host says something.
    Message(Message),
}

impl Link {
    /// A link that dials `path` and opens with `hello` (an encoded request with id 0).
    pub(super) fn new(path: PathBuf, hello: Vec<u8>, now: Mono) -> Self {
        Self {
            path,
            hello,
            retry: FIRST_RETRY,
            state: State::Down { retry_at: now },
        }
    }

    /// What to poll for, when there is a connection.
    pub(super) fn interest(&self) -> Option<(RawFd, PollFlags)> {
        let conn = match &self.state {
            State::Down { .. } => return None,
            State::Greeting { conn, .. } | State::Up { conn } => conn,
        };
        let mut flags = PollFlags::POLLIN;
        if !conn.out.is_empty() {
            flags |= PollFlags::POLLOUT;
        }
        Some((conn.stream.as_raw_fd(), flags))
    }

    /// When [`Link::turn`] wants to be called although nothing is ready.
    pub(super) fn wake_at(&self) -> Option<Mono> {
        match &self.state {
            State::Down { retry_at } => Some(*retry_at),
            State::Greeting { deadline, .. } => Some(*deadline),
            State::Up { .. } => None,
        }
    }

    /// Whether the host is there.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Whether the host can be told more without piling it up here.
    pub(super) fn wants_more(&self) -> bool {
        matches!(&self.state, State::Up { conn } if conn.out.len() < OUT_COMFORT)
    }

    /// Puts a line on its way; a connection that is not up loses it.
    pub(super) fn send(&mut self, line: &[u8], now: Mono) {
        let State::Up { conn } = &mut self.state else {
            return;
        };
        conn.out.extend_from_slice(line);
        if conn.out.len() > OUT_LIMIT || conn.write().is_err() {
            self.fall(now);
        }
    }

    /// Dials, reads and writes whatever can be done now.
    pub(super) fn turn(&mut self, now: Mono) -> Vec<LinkEvent> {
        let mut events = Vec::new();
        if matches!(self.state, State::Down { retry_at } if retry_at <= now) {
            self.dial(now);
        }
        if let State::Greeting { conn, .. } | State::Up { conn } = &mut self.state {
            let mut failed = conn.write().and_then(|()| conn.read()).is_err();
            // What was read before the end still counts.
            while let Some(read) = self.next_message() {
                match read {
                    Ok(message) => self.take(message, &mut events),
                    Err(fatal) => failed |= fatal,
                }
            }
            if failed {
                self.fall(now);
            }
        }
        if matches!(self.state, State::Greeting { deadline, .. } if deadline <= now) {
            self.fall(now);
        }
        events
    }

    /// The next message, or whether the trouble with it ends the connection.
    fn next_message(&mut self) -> Option<Result<Message, bool>> {
        match &mut self.state {
            State::Greeting { conn, .. } | State::Up { conn } => {
                Some(conn.decoder.next()?.map_err(|error| error.is_fatal()))
            }
            State::Down { .. } => None,
        }
    }

    fn take(&mut self, message: Message, events: &mut Vec<LinkEvent>) {
        if matches!(self.state, State::Up { .. }) {
            events.push(LinkEvent::Message(message));
            return;
        }
        // Anything before the answer to hello is not for us to obey.
        let Message::Response {
            id: Some(HELLO_ID),
            result,
        } = message
        else {
            return;
        };
        let now_up = State::Down {
            retry_at: Mono::from_millis(0),
        };
        self.state = match (std::mem::replace(&mut self.state, now_up), result) {
            (State::Greeting { conn, .. }, Ok(_)) => {
                self.retry = FIRST_RETRY;
                events.push(LinkEvent::Up);
                State::Up { conn }
            }
            // Refused: the deadline of the greeting turns it into a slow retry.
            (other, _) => other,
        };
    }

    fn dial(&mut self, now: Mono) {
        match connect_nonblocking(&self.path) {
            Ok(stream) => {
                let conn = Conn {
                    stream,
                    decoder: Decoder::new(),
                    out: self.hello.clone(),
                };
                self.state = State::Greeting {
                    conn,
                    deadline: now + GREETING_DEADLINE,
                };
            }
            Err(_) => self.fall(now),
        }
    }

    fn fall(&mut self, now: Mono) {
        self.state = State::Down {
            retry_at: now + self.retry,
        };
        self.retry = (self.retry * 2).min(LONGEST_RETRY);
    }
}

impl Conn {
    fn write(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.out.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let mut bytes = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.decoder.push(bytes.get(..count).unwrap_or_default());
                    // One helping per turn: the decoder holds no more than that beyond a line.
                    if count < bytes.len() || self.decoder.has_partial_line() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A Unix stream that never blocks, not even while the listener's queue is full.
fn connect_nonblocking(path: &PathBuf) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(fd))
}

/// `message` as a line; `None` only for a message over the wire's limit, which the agent never makes.
pub(super) fn line(message: &Message) -> Option<Vec<u8>> {
    encode(message).ok()
}

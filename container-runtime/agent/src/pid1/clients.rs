//! Connections of `start-container` to the agent.
//!
//! Invariant: a client can make the agent hold at most [`LINE_BYTES`] of unread text and one table
//! entry; whatever else it sends ends the connection and nothing more.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::local::{LINE_BYTES, Placed, Report};

/// How many launches and execs may be alive at once and still be reported.
const MOST: usize = 1000;

pub(super) struct Clients {
    listener: UnixListener,
    clients: Vec<Client>,
    made: u64,
}

struct Client {
    number: u64,
    stream: UnixStream,
    pid: i32,
    text: Vec<u8>,
}

/// What a client said.
#[derive(Debug)]
pub(super) enum ClientEvent {
    Report {
        client: u64,
        pid: i32,
        report: Report,
    },
    Gone {
        client: u64,
    },
}

impl Clients {
    /// Listens at `path`, for container root only.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            clients: Vec::new(),
            made: 0,
        })
    }

    /// Descriptors to poll for input.
    pub(super) fn interest(&self) -> impl Iterator<Item = RawFd> {
        // With every place taken the queue of the listener holds the rest back.
        let listener = (self.clients.len() < MOST).then(|| self.listener.as_raw_fd());
        listener
            .into_iter()
            .chain(self.clients.iter().map(|client| client.stream.as_raw_fd()))
    }

    /// Takes new connections and whatever the others said.
    pub(super) fn turn(&mut self, is_ready: impl Fn(RawFd) -> bool) -> Vec<ClientEvent> {
        let mut events = Vec::new();
        self.clients.retain_mut(|client| {
            if !is_ready(client.stream.as_raw_fd()) {
                return true;
            }
            let alive = client.read(&mut events);
            if !alive {
                events.push(ClientEvent::Gone {
                    client: client.number,
                });
            }
            alive
        });
        if is_ready(self.listener.as_raw_fd()) {
            self.accept(&mut events);
        }
        events
    }

    /// Answers a `begin`. A client that does not take it at once goes on without.
    pub(super) fn answer(&mut self, number: u64, placed: &Placed) {
        let Some(client) = self
            .clients
            .iter_mut()
            .find(|client| client.number == number)
        else {
            return;
        };
        if let Ok(mut line) = serde_json::to_vec(placed) {
            line.push(b'\n');
            // It waits 50 ms at most and has asked for nothing else: its buffer is empty.
            let _ = client.stream.write(&line);
        }
    }

    fn accept(&mut self, events: &mut Vec<ClientEvent>) {
        while self.clients.len() < MOST {
            let Ok((stream, _)) = self.listener.accept() else {
                return;
            };
            let Ok(peer) = getsockopt(&stream, PeerCredentials) else {
                continue;
            };
            if peer.uid() != 0 || stream.set_nonblocking(true).is_err() {
                continue;
            }
            self.made += 1;
            let mut client = Client {
                number: self.made,
                stream,
                pid: peer.pid(),
                text: Vec::new(),
            };
            // The report is usually there already: waiting for the next turn would cost the launch.
            if client.read(events) {
                self.clients.push(client);
            } else {
                events.push(ClientEvent::Gone {
                    client: client.number,
                });
            }
        }
    }
}

impl Client {
    /// Reads what is there; false when the connection is over.
    fn read(&mut self, events: &mut Vec<ClientEvent>) -> bool {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => {
                    self.text
                        .extend_from_slice(bytes.get(..count).unwrap_or_default());
                    if !self.take_lines(events) {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn take_lines(&mut self, events: &mut Vec<ClientEvent>) -> bool {
        while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.text.drain(..=end).collect();
            let Ok(report) = serde_json::from_slice(&line) else {
                return false;
            };
            events.push(ClientEvent::Report {
                client: self.number,
                pid: self.pid,
                report,
            });
        }
        self.text.len() <= LINE_BYTES
    }
}

//! Tells the agent what is launched.
//!
//! Invariant: an agent that does not answer costs at most 50 ms, and never the launch.

use std::{
    ffi::OsString,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use coppice_wire::{agent::ProcessKind, paths::AGENT_SOCKET};
use nix::sys::{
    socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
    wait::WaitStatus,
};

use crate::local::{ARGV_BYTES, Report};

/// For each of connecting, sending, and the answer.
const CONNECT_PATIENCE: Duration = Duration::from_millis(5);
const SEND_PATIENCE: Duration = Duration::from_millis(5);
const ANSWER_PATIENCE: Duration = Duration::from_millis(40);

/// A connection to the agent; `None` inside when there is none.
pub(super) struct AgentReport(Option<UnixStream>);

impl AgentReport {
    /// Announces a command, and waits until the agent has moved this process into its leaf.
    pub(super) fn begin(kind: ProcessKind, root: &Path, argv: &[OsString]) -> Self {
        let root = root
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let mut left = ARGV_BYTES;
        let argv = argv
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .take_while(|word| match left.checked_sub(word.len() + 1) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            })
            .collect();
        let root = root.unwrap_or_default();
        let mut report = Self(dial().ok());
        report.say(&Report::Begin { kind, root, argv });
        if let Some(stream) = &mut report.0 {
            // What it says does not matter: an answer means that the leaf is ours.
            let mut answer = [0; 512];
            let _ = stream.read(&mut answer);
        }
        report
    }

    /// The child exists and waits.
    pub(super) fn running(&mut self, pid: i32) {
        self.say(&Report::Running { pid });
    }

    /// The caller wants the child to end.
    pub(super) fn asked(&mut self) {
        self.say(&Report::Asked);
    }

    /// The child is gone.
    pub(super) fn ended(mut self, status: WaitStatus) {
        let (code, signal) = match status {
            WaitStatus::Exited(_, code) => (Some(code), None),
            WaitStatus::Signaled(_, signal, _) => (None, Some(signal as i32)),
            _ => (None, None),
        };
        self.say(&Report::Ended { code, signal });
    }

    fn say(&mut self, report: &Report) {
        let Some(stream) = &mut self.0 else { return };
        let Ok(mut line) = serde_json::to_vec(report) else {
            return;
        };
        line.push(b'\n');
        if stream.write_all(&line).is_err() {
            self.0 = None;
        }
    }
}

fn dial() -> std::io::Result<UnixStream> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let stream = UnixStream::from(fd);
    // The send timeout also bounds a connect to a listener whose queue is full.
    stream.set_write_timeout(Some(CONNECT_PATIENCE))?;
    connect(
        std::os::fd::AsRawFd::as_raw_fd(&stream),
        &UnixAddr::new(AGENT_SOCKET)?,
    )?;
    stream.set_write_timeout(Some(SEND_PATIENCE))?;
    stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
    Ok(stream)
}

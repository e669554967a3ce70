//! A server that this process started, in the foreground: it ends with the terminal's Ctrl-C, and is waited for.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigHandler, Signal, signal};
use serde::{Deserialize, Serialize};

use crate::server::Server;
use crate::steps::Steps;
use crate::stopwatch::Stopwatch;

/// How long a server may take until it answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The heart of a server, as a child of this process.
pub(crate) struct Heart {
    ended: Receiver<std::io::Result<ExitStatus>>,
}

impl Heart {
    /// Starts the server of `data` where it listened before, else on free ports, and waits until it answers.
    pub(crate) fn start(
        steps: &mut Steps,
        server: &Server,
        data: &Path,
        more: &[OsString],
    ) -> Result<Self> {
        let ports = Ports::of(data)?;
        let mut command = server.command(&["heart"])?;
        for (flag, port) in [
            ("--https-port", ports.https),
            ("--http-port", ports.http),
            ("--dns-port", ports.dns),
        ] {
            command.arg(flag).arg(port.to_string());
        }
        let child = command.args(more).spawn().context("cannot start Coppice")?;
        // Ctrl-C reaches the server too; it says what goes on, and then this process sees it end. Set only now, because
        // a child would inherit it.
        // SAFETY: to ignore a signal runs no code in a handler.
        unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }.context("cannot ignore Ctrl-C")?;
        let heart = Self::watch(child);

        steps.always("start Coppice", || {
            let watch = Stopwatch::start();
            while !server.answers() {
                match heart.ended.recv_timeout(LOOK_EVERY) {
                    Ok(status) => bail!("Coppice ended with {}, see above", status?),
                    Err(RecvTimeoutError::Timeout) if watch.elapsed() < ANSWERS_WITHIN => {}
                    Err(_) => bail!(
                        "Coppice does not answer after {} s",
                        ANSWERS_WITHIN.as_secs()
                    ),
                }
            }
            Ok(())
        })?;
        ports.keep(data)?;
        Ok(heart)
    }

    fn watch(mut child: Child) -> Self {
        let (tell, ended) = channel();
        // Nobody listens any more once this process is about to end itself.
        thread::spawn(move || tell.send(child.wait()).is_ok());
        Self { ended }
    }

    /// Waits until the server ends.
    pub(crate) fn wait(self) -> Result<()> {
        let status = self
            .ended
            .recv()
            .context("the server is not watched any more")??;
        if !status.success() {
            bail!("Coppice ended with {status}");
        }
        Ok(())
    }
}

/// Where a server listens. They are chosen once and kept, so that addresses stay.
#[derive(Serialize, Deserialize)]
struct Ports {
    https: u16,
    http: u16,
    dns: u16,
}

impl Ports {
    fn of(data: &Path) -> Result<Self> {
        if let Ok(text) = fs::read_to_string(Self::file(data)) {
            return serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged", Self::file(data).display()));
        }
        Ok(Self {
            https: free_port(&[443, 8443])?,
            http: free_port(&[80, 8080])?,
            dns: free_port(&[53, 5300])?,
        })
    }

    fn keep(&self, data: &Path) -> Result<()> {
        let file = Self::file(data);
        fs::write(&file, serde_json::to_string(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn file(data: &Path) -> PathBuf {
        data.join("ports.json")
    }
}

/// The first of `wanted` that is free for TCP and UDP, else any that is.
fn free_port(wanted: &[u16]) -> Result<u16> {
    for &port in wanted.iter().chain(&[0; 16]) {
        let Ok(tcp) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else {
            continue;
        };
        let port = tcp.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let taken_udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let ports = [
            taken.local_addr().unwrap().port(),
            taken_udp.local_addr().unwrap().port(),
        ];
        assert!(!ports.contains(&free_port(&ports).unwrap()));
    }

    #[test]
    fn ports_are_chosen_once() {
        let data = tempfile::tempdir().unwrap();
        let ports = Ports {
            https: 1,
            http: 2,
            dns: 3,
        };
        ports.keep(data.path()).unwrap();
        assert_eq!(Ports::of(data.path()).unwrap().dns, 3);
    }
}

//! What systemd is told, when it started us: `sd_notify` of its protocol, which is one datagram per message.
//!
//! Nothing here fails: a manager that does not listen is no reason to do anything differently.

use std::{
    ffi::{OsStr, OsString},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Where systemd listens. The children are not told: the heart speaks for all.
pub(crate) const SOCKET: &str = "NOTIFY_SOCKET";

#[derive(Debug)]
pub(crate) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// What was said last of how we are.
    status: String,
}

impl Notifier {
    pub(crate) fn from_env() -> Self {
        Self::to(std::env::var_os(SOCKET))
    }

    fn to(name: Option<OsString>) -> Self {
        let connect = |name: OsString| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address(&name)?))
        };
        Self {
            to: name.and_then(connect),
            status: String::new(),
        }
    }

    /// Everything works.
    pub(crate) fn ready(&mut self, status: &str) {
        self.say("READY=1", status);
    }

    /// An upgrade is under way.
    pub(crate) fn reloading(&mut self, status: &str) {
        self.say("RELOADING=1", status);
    }

    /// The end has begun.
    pub(crate) fn stopping(&mut self, status: &str) {
        self.say("STOPPING=1", status);
    }

    /// How it stands, in a sentence.
    pub(crate) fn status(&mut self, status: &str) {
        if self.status != status {
            self.say("", status);
        }
    }

    /// The core has shown that it is alive.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn say(&mut self, what: &str, status: &str) {
        // A status is one line; what a program is called may hold anything.
        status.replace('\n', " ").clone_into(&mut self.status);
        self.send(&format!("{what}\nSTATUS={}", self.status));
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.to {
            // See the module: whether it is heard changes nothing.
            let _ = socket.send_to_addr(message.trim_start().as_bytes(), address);
        }
    }
}

/// A path, or a name without one, which is written with `@` before it.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn it_is_said_to_sockets_with_and_without_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("coppice-notify-{}", std::process::id());
        let hidden = SocketAddr::from_abstract_name(&name).unwrap();
        for (name, socket) in [
            (path.clone().into(), UnixDatagram::bind(&path).unwrap()),
            (
                format!("@{name}").into(),
                UnixDatagram::bind_addr(&hidden).unwrap(),
            ),
        ] {
            let mut notifier = Notifier::to(Some(name));
            notifier.ready("two\nlines");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=two lines");
            notifier.status("two lines");
            notifier.status("another");
            assert_eq!(heard(&socket), "STATUS=another");
            notifier.alive();
            assert_eq!(heard(&socket), "WATCHDOG=1");
        }
    }

    #[test]
    fn nobody_has_to_listen() {
        for name in [None, Some("/nowhere/at/all".into()), Some(OsString::new())] {
            Notifier::to(name).ready("fine");
        }
    }
}

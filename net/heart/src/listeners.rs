//! The listening sockets.
//!
//! Invariant: a socket whose protocol and address are published again is kept as it is, whatever it
//! is called now; connections that wait in it are never lost.

use std::{
    collections::HashMap,
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt,
        socket, sockopt,
    },
};

use crate::{
    channel::MAX_FDS,
    protocol::{FailedListener, Listener, Proto},
};

const BACKLOG: i32 = 1024;

#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// Each name and each address once.
    wanted: Vec<Listener>,
    open: HashMap<(Proto, SocketAddr), Arc<OwnedFd>>,
    /// Published, but against the rules.
    refused: Vec<FailedListener>,
    /// Tried, and tried again every second.
    closed: Vec<FailedListener>,
}

impl Listeners {
    /// As a predecessor in this process had them.
    pub(crate) fn handed_over(wanted: Vec<Listener>, open: Vec<(Listener, OwnedFd)>) -> Self {
        let open = open
            .into_iter()
            .map(|(listener, fd)| (key(&listener), Arc::new(fd)))
            .collect();
        let mut listeners = Self {
            open,
            ..Self::default()
        };
        listeners.publish(wanted);
        listeners
    }

    /// All that are published, open or not.
    pub(crate) fn wanted(&self) -> &[Listener] {
        &self.wanted
    }

    /// Makes this the whole set: closes what is not in it, opens what is new.
    pub(crate) fn publish(&mut self, published: Vec<Listener>) {
        self.wanted.clear();
        self.refused.clear();
        for one in published {
            let refusal = if self.wanted.len() >= MAX_FDS {
                Some(format!("more than {MAX_FDS} listeners"))
            } else if self.wanted.iter().any(|other| other.id == one.id) {
                Some(format!("`{}` is listed twice", one.id))
            } else if self.wanted.iter().any(|other| key(other) == key(&one)) {
                Some(format!("{} is listed twice", one.addr))
            } else {
                None
            };
            match refusal {
                Some(error) => self.refused.push(FailedListener { id: one.id, error }),
                None => self.wanted.push(one),
            }
        }
        let wanted = &self.wanted;
        self.open
            .retain(|open, _| wanted.iter().any(|one| key(one) == *open));
        self.open_missing();
    }

    /// Tries those again that could not be opened. Whether anything changed.
    pub(crate) fn retry(&mut self) -> bool {
        let before = self.open.len();
        self.open_missing();
        self.open.len() != before
    }

    fn open_missing(&mut self) {
        self.closed.clear();
        for one in &self.wanted {
            if self.open.contains_key(&key(one)) {
                continue;
            }
            match open(one.proto, one.addr) {
                Ok(fd) => {
                    self.open.insert(key(one), Arc::new(fd));
                }
                Err(error) => self.closed.push(FailedListener {
                    id: one.id.clone(),
                    error: explain(error, one),
                }),
            }
        }
    }

    /// Whether trying again may help.
    pub(crate) fn any_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// What was published and is not open.
    pub(crate) fn failed(&self) -> Vec<FailedListener> {
        self.refused.iter().chain(&self.closed).cloned().collect()
    }

    /// The open ones in the published order, each with its socket.
    pub(crate) fn open(&self) -> (Vec<Listener>, Vec<Arc<OwnedFd>>) {
        self.wanted
            .iter()
            .filter_map(|one| Some((one.clone(), self.open.get(&key(one))?.clone())))
            .unzip()
    }
}

fn key(listener: &Listener) -> (Proto, SocketAddr) {
    (listener.proto, listener.addr)
}

fn explain(error: Errno, listener: &Listener) -> String {
    let addr = listener.addr;
    match error {
        Errno::EADDRINUSE => format!("{addr} is in use by another program"),
        Errno::EACCES => format!("{addr} needs root"),
        other => format!("{addr}: {}", other.desc()),
    }
}

fn open(proto: Proto, addr: SocketAddr) -> nix::Result<OwnedFd> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = match proto {
        Proto::Tcp => SockType::Stream,
        Proto::Udp => SockType::Datagram,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, kind, flags, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    // An address that comes later (DHCP, a cable) is listened on already.
    setsockopt(&fd, sockopt::IpFreebind, &true)?;
    if addr.is_ipv6() {
        // v4 has listeners of its own; without this, `[::]:443` would take its place.
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(addr))?;
    if proto == Proto::Tcp {
        listen(&fd, Backlog::new(BACKLOG)?)?;
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, TcpListener, TcpStream},
        sync::{
            Mutex, MutexGuard, PoisonError,
            atomic::{AtomicU8, AtomicU16, Ordering},
        },
    };

    use super::*;

    fn listener(id: &str, proto: Proto, addr: SocketAddr) -> Listener {
        Listener {
            id: id.to_owned(),
            proto,
            addr,
        }
    }

    /// One test at a time: a socket on every address takes its port from those on addresses of their own.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On an address of one test's own, and below the ports that are given to whoever asks for any one:
    /// nobody takes it before it is used.
    fn free_port() -> SocketAddr {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        static PORT: AtomicU16 = AtomicU16::new(20_000);
        let [.., high, low] = std::process::id().to_be_bytes();
        let own = IpAddr::from([127, high & 0x7f, low, NEXT.fetch_add(1, Ordering::SeqCst)]);
        let next = || SocketAddr::new(own, PORT.fetch_add(1, Ordering::SeqCst));
        let mut all = std::iter::repeat_with(next);
        let free = all.find(|addr| TcpListener::bind(addr).is_ok());
        free.expect("it looks until it finds one")
    }

    #[test]
    fn a_listener_published_again_under_another_name_is_the_same_socket() {
        let _alone = alone();
        let addr = free_port();
        let mut listeners = Listeners::default();
        listeners.publish(vec![listener("a", Proto::Tcp, addr)]);
        let before = listeners.open().1[0].as_raw_fd();
        let _waiting = TcpStream::connect(addr).unwrap();
        listeners.publish(vec![listener("b", Proto::Tcp, addr)]);
        let (open, fds) = listeners.open();
        assert_eq!((open[0].id.as_str(), fds[0].as_raw_fd()), ("b", before));
    }

    #[test]
    fn a_listener_no_longer_published_is_closed() {
        let _alone = alone();
        let addr = free_port();
        let mut listeners = Listeners::default();
        listeners.publish(vec![listener("a", Proto::Tcp, addr)]);
        let socket = Arc::downgrade(&listeners.open().1[0]);
        listeners.publish(vec![]);
        assert!(socket.upgrade().is_none());
    }

    #[test]
    fn a_port_in_use_is_reported_and_opened_once_it_is_free() {
        let _alone = alone();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let mut listeners = Listeners::default();
        listeners.publish(vec![
            listener("a", Proto::Tcp, addr),
            listener("b", Proto::Udp, addr),
        ]);
        let failed = listeners.failed();
        assert_eq!((failed.len(), failed[0].id.as_str()), (1, "a"));
        assert_eq!(
            failed[0].error,
            format!("{addr} is in use by another program")
        );
        assert_eq!(listeners.open().0.len(), 1);
        assert!(!listeners.retry());
        drop(taken);
        assert!(listeners.retry());
        assert!(listeners.failed().is_empty());
    }

    #[test]
    fn v4_and_v6_share_a_port_and_addresses_may_come_later() {
        let _alone = alone();
        let port = free_port().port();
        let mut listeners = Listeners::default();
        listeners.publish(vec![
            listener("v6", Proto::Tcp, format!("[::]:{port}").parse().unwrap()),
            listener("v4", Proto::Tcp, format!("0.0.0.0:{port}").parse().unwrap()),
            listener(
                "later",
                Proto::Tcp,
                format!("203.0.113.7:{}", free_port().port())
                    .parse()
                    .unwrap(),
            ),
        ]);
        assert_eq!(listeners.failed(), []);
    }

    #[test]
    fn a_name_or_an_address_listed_twice_is_reported_and_the_first_one_counts() {
        let _alone = alone();
        let addr = free_port();
        let mut listeners = Listeners::default();
        listeners.publish(vec![
            listener("a", Proto::Tcp, addr),
            listener("a", Proto::Udp, addr),
            listener("b", Proto::Tcp, addr),
        ]);
        let errors: Vec<_> = listeners
            .failed()
            .into_iter()
            .map(|one| one.error)
            .collect();
        assert_eq!(
            errors,
            [
                "`a` is listed twice".to_owned(),
                format!("{addr} is listed twice")
            ]
        );
        assert_eq!(listeners.open().0.len(), 1);
    }
}

//! Who else on this machine uses a port.
//!
//! A port that we publish becomes a rule in the kernel which goes before every socket. Nothing in
//! the kernel keeps us from publishing one that another program serves: its clients would find a
//! service of ours instead. So before a port is given, we try to bind it, and read which ports
//! other Coppice servers publish, since their rules occupy no socket either.
//!
//! Asking is quick and waits for nobody; it is done while a change of the document is under way.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket},
};

use coppice_net::firewall::{PortRange, ports_elsewhere};

use super::{Holder, Serves};

/// This machine, as it was when first asked.
pub(super) struct Machine {
    own_table: String,
    elsewhere: Option<Vec<PortRange>>,
}

impl Machine {
    /// The machine as the server sees it whose nft tables have this name.
    pub(super) const fn around(own_table: String) -> Self {
        Self {
            own_table,
            elsewhere: None,
        }
    }

    /// Who keeps us from using `port`.
    pub(super) fn holder(&mut self, port: u16, serves: Serves) -> Option<Holder> {
        if in_use(port, serves) {
            return Some(Holder::Program);
        }
        let own_table = &self.own_table;
        let elsewhere = self.elsewhere.get_or_insert_with(|| {
            ports_elsewhere(own_table).unwrap_or_else(|error| {
                tracing::warn!(%error, "the ports of other Coppice servers are not known");
                Vec::new()
            })
        });
        let published = elsewhere.iter().any(|range| range.contains(port));
        published.then_some(Holder::Server)
    }
}

/// Whether a program has bound `port` on any address. One that did so on a single address counts:
/// what we publish is published on all of them.
fn in_use(port: u16, serves: Serves) -> bool {
    let all = [
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    ];
    // Other refusals (a machine without IPv6) say nothing of the port.
    let taken = |error: std::io::Error| error.kind() == ErrorKind::AddrInUse;
    all.into_iter().any(|address| {
        TcpListener::bind((address, port)).is_err_and(taken)
            || (serves == Serves::Anything && UdpSocket::bind((address, port)).is_err_and(taken))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            own_table: "coppice_test".into(),
            elsewhere: Some(vec![PortRange::one(22000)]),
        }
    }

    #[test]
    fn a_port_that_a_program_listens_on_is_its_own_on_every_address() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(program) = TcpListener::bind(address) else {
                continue; // a machine without IPv6
            };
            let port = program.local_addr().unwrap().port();
            for serves in [Serves::Anything, Serves::Tls] {
                let holder = machine().holder(port, serves);
                assert_eq!(holder, Some(Holder::Program), "{address}");
            }
        }
    }

    #[test]
    fn a_program_on_udp_is_in_the_way_of_a_plain_port_and_not_of_a_tls_port() {
        let program = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = program.local_addr().unwrap().port();
        let holder = machine().holder(port, Serves::Anything);
        assert_eq!(holder, Some(Holder::Program));
    }

    #[test]
    fn a_port_that_another_server_publishes_is_its_own_though_nobody_listens() {
        for serves in [Serves::Anything, Serves::Tls] {
            let holder = machine().holder(22000, serves);
            // A program of this machine may happen to have it, which is no less a holder.
            assert!(holder.is_some());
        }
    }
}

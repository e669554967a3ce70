//! Whether the ports that a server listens on are free, or its own already.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
};

use coppice_containers::Check;

use super::check;
use crate::ports::Ports;

#[derive(Clone, Copy)]
enum Protocol {
    Tcp,
    Udp,
}

pub(super) fn checks(ports: Ports) -> Vec<Check> {
    let (https, http, dns) = (ports.https_port, ports.http_port, ports.dns_port);
    [
        ("HTTPS", https, Protocol::Tcp, "--https-port"),
        ("HTTP", http, Protocol::Tcp, "--http-port"),
        ("DNS", dns, Protocol::Udp, "--dns-port"),
        ("DNS", dns, Protocol::Tcp, "--dns-port"),
    ]
    .map(|(what, port, protocol, option)| {
        let kind = match protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        };
        check(
            &format!("{kind} port {port} for {what}"),
            free(port, protocol),
            &format!("end that program, or start the server with another {option}"),
        )
    })
    .into()
}

fn free(port: u16, protocol: Protocol) -> Result<String, String> {
    let all = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let tried = match protocol {
        Protocol::Tcp => TcpListener::bind((all, port)).map(drop),
        Protocol::Udp => UdpSocket::bind((all, port)).map(drop),
    };
    let tables = match protocol {
        Protocol::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Protocol::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    match tried {
        Ok(()) => Ok("free".to_owned()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let mut sockets = tables.iter().flat_map(|table| {
                let text = fs::read_to_string(table).unwrap_or_default();
                sockets_on(&text, port)
            });
            match sockets.find_map(holder) {
                Some(name) if name == "coppice" => Ok("Coppice has it".to_owned()),
                Some(name) => Err(format!("`{name}` has it")),
                None => Err("another program has it".to_owned()),
            }
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The sockets on a port that are no connections, by inode, from a table of `/proc/net`.
fn sockets_on(table: &str, port: u16) -> Vec<u64> {
    // Columns: number, local address, remote address, state, …, and the inode tenth.
    let rows = table.lines().skip(1);
    let sockets = rows.filter_map(|row| {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let (_, local) = columns.get(1)?.rsplit_once(':')?;
        let (_, remote) = columns.get(2)?.rsplit_once(':')?;
        let on = u16::from_str_radix(local, 16).ok()? == port && remote == "0000";
        on.then(|| columns.get(9)?.parse().ok())?
    });
    sockets.collect()
}

/// The name of the program that has this socket.
fn holder(socket: u64) -> Option<String> {
    let wanted = format!("socket:[{socket}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut holders = processes.filter(|process| {
        let descriptors = fs::read_dir(process.path().join("fd"));
        let mut links = descriptors.into_iter().flatten().flatten();
        links.any(|link| {
            fs::read_link(link.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str())
        })
    });
    let name = fs::read_to_string(holders.next()?.path().join("comm")).ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_connections_to_the_same_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n\
            \x20  1: 0100007F:01BB 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n\
            \x20  2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0\n";
        assert_eq!(sockets_on(table, 443), [4711]);
        assert_eq!(sockets_on(table, 80), [4713]);
        assert!(sockets_on(table, 53).is_empty());
        assert!(sockets_on("", 443).is_empty());
    }

    #[test]
    fn a_port_in_use_is_said_to_be_and_by_whom() {
        let held = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let said = free(port, Protocol::Tcp).unwrap_err();
        assert_eq!(said, format!("`{}` has it", own.trim()));
        let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
        assert!(free(udp.local_addr().unwrap().port(), Protocol::Udp).is_err());
    }
}

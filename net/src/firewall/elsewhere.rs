//! Which ports the other servers on this machine have rules about.
//!
//! A published port is a rule in the kernel and no socket, so nobody who tries to bind it learns
//! that it is taken: another server's rules have to be read. The kernel is asked itself, without
//! `nft`, because the answer is needed where nothing may wait: it is a copy of memory, and takes
//! well under a millisecond.
//!
//! Invariant: what the kernel answers is parsed within its bounds; a rule we cannot make sense of
//! is about no port.

use std::{io, os::fd::AsRawFd, time::Duration};

use nix::sys::{
    socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
        sockopt,
    },
    time::TimeVal,
};

use super::PortRange;

/// What every server's tables are called, before what is its own.
const OURS: &str = "coppice_";

/// The kernel answers at once; this is for the day when it does not.
const PATIENCE: Duration = Duration::from_secs(1);

/// Larger than any message the kernel makes for a dump.
const BUFFER: usize = 64 * 1024;

// From linux/netlink.h, linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h.
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 10 << 8 | 6;
const NFT_MSG_GETRULE: u16 = 10 << 8 | 7;
const NFPROTO_INET: u8 = 1;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_PAYLOAD: [(u16, u32); 3] = [(2, 2), (3, 2), (4, 2)];
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFTA_RANGE_OP: u16 = 2;
const NFTA_RANGE_FROM: u16 = 3;
const NFTA_RANGE_TO: u16 = 4;
const NFTA_DATA_VALUE: u16 = 1;

/// The ports that rules of Coppice servers other than the one of `own` are about: what they publish
/// and what they listen on.
///
/// # Errors
/// When the kernel does not answer, as without `CAP_NET_ADMIN`.
pub fn ports_elsewhere(own: &str) -> io::Result<Vec<PortRange>> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    let patience = TimeVal::new(PATIENCE.as_secs().cast_signed(), 0);
    setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
    send(socket.as_raw_fd(), &request(), MsgFlags::empty())?;
    let mut buffer = vec![0; BUFFER];
    let mut found = Vec::new();
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        for (kind, body) in messages(&buffer[..length]) {
            match kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => {
                    let code = body
                        .first_chunk()
                        .map_or(0, |code| i32::from_ne_bytes(*code));
                    return Err(io::Error::from_raw_os_error(-code));
                }
                NFT_MSG_NEWRULE => found.extend(port_of(body, own)),
                _ => {}
            }
        }
    }
}

/// All rules of all tables of the family that ours are of.
fn request() -> Vec<u8> {
    let mut message = Vec::with_capacity(20);
    message.extend(20_u32.to_ne_bytes());
    message.extend(NFT_MSG_GETRULE.to_ne_bytes());
    message.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([NFPROTO_INET, 0, 0, 0]);
    message
}

/// The messages in one datagram: what kind each is, and what follows its header.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?);
        let kind = u16::from_ne_bytes(*rest.get(4..)?.first_chunk()?);
        let length = usize::try_from(length).ok()?;
        let body = rest.get(16..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// Attributes: the type of each without its flags, and its value.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?) & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn attribute(of: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(of).find_map(|(kind, value)| (kind == wanted).then_some(value))
}

/// Names end with a zero.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value)).ok()
}

/// The destination ports a rule asks for; `None` when it is not another server's or asks for none.
fn port_of(message: &[u8], own: &str) -> Option<PortRange> {
    let rule = message.get(4..)?;
    let table = text(attribute(rule, NFTA_RULE_TABLE)?)?;
    if table == own || !table.starts_with(OURS) {
        return None;
    }
    let (mut of_port, mut first, mut last) = (false, None, None);
    for (_, expression) in attributes(attribute(rule, NFTA_RULE_EXPRESSIONS)?) {
        let name = text(attribute(expression, NFTA_EXPR_NAME)?)?;
        let Some(data) = attribute(expression, NFTA_EXPR_DATA) else {
            continue;
        };
        match name {
            // What was loaded is what the next comparison looks at.
            "payload" => of_port = loads_destination_port(data),
            "cmp" if of_port => {
                let value = attribute(data, NFTA_CMP_DATA).and_then(port);
                match attribute(data, NFTA_CMP_OP).and_then(number)? {
                    0 => (first, last) = (value, value),
                    3 => last = value,
                    5 => first = value,
                    _ => {}
                }
            }
            "range" if of_port && attribute(data, NFTA_RANGE_OP).and_then(number)? == 0 => {
                first = attribute(data, NFTA_RANGE_FROM).and_then(port);
                last = attribute(data, NFTA_RANGE_TO).and_then(port);
            }
            "meta" | "fib" | "ct" => of_port = false,
            _ => {}
        }
    }
    let (first, last) = (first?, last?);
    PortRange::new(first, last.checked_sub(first)?.checked_add(1)?)
}

/// Two bytes of the transport header from the third on, in TCP and UDP alike.
fn loads_destination_port(data: &[u8]) -> bool {
    NFTA_PAYLOAD
        .iter()
        .all(|(kind, wanted)| attribute(data, *kind).and_then(number) == Some(*wanted))
}

/// Numbers of attributes are in the order of the network.
fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*value.first_chunk()?))
}

fn port(data: &[u8]) -> Option<u16> {
    let value = attribute(data, NFTA_DATA_VALUE)?;
    (value.len() == 2).then_some(())?;
    Some(u16::from_be_bytes(*value.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_the_kernel_says_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            for (_, body) in messages(&bytes) {
                let _ = port_of(body, "coppice_a");
            }
            let _ = port_of(&bytes, "coppice_a");
        }
    }
}

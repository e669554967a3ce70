//! Frames as they are on the cable, made and heard by hand.

use std::{
    io,
    net::Ipv6Addr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

const IPV6: [u8; 2] = [0x86, 0xdd];
/// LLDP, which goes to a group that no bridge passes on.
const LLDP: [u8; 2] = [0x88, 0xcc];
const NEAREST_BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];

/// What an interface sends and hears, of every kind.
pub(crate) struct Cable(OwnedFd);

impl Cable {
    /// That of an interface in the calling thread's network.
    pub(crate) fn of(interface: &str) -> io::Result<Self> {
        let every = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: three integers; the answer is ours.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                i32::from(every),
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fresh and unowned.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let index = nix::net::if_::if_nametoindex(interface)?;
        // SAFETY: all zeroes is a valid address, a structure of integers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = every;
        address.sll_ifindex = index.cast_signed();
        // SAFETY: a descriptor, and a structure of the size that is passed with it.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(socket))
    }

    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        nix::sys::socket::send(
            self.0.as_raw_fd(),
            frame,
            nix::sys::socket::MsgFlags::empty(),
        )?;
        Ok(())
    }

    /// The frames that are heard until one has `last` in it, that one too; an error when none has in time.
    pub(crate) fn hear_until(&self, last: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let patience = nix::sys::time::TimeVal::new(Duration::from_secs(10).as_secs() as i64, 0);
        nix::sys::socket::setsockopt(
            &self.0,
            nix::sys::socket::sockopt::ReceiveTimeout,
            &patience,
        )?;
        let mut heard = Vec::new();
        loop {
            let mut frame = vec![0; 2048];
            let length = nix::unistd::read(&self.0, &mut frame)?;
            frame.truncate(length);
            let is_last = has(&frame, last);
            heard.push(frame);
            if is_last {
                return Ok(heard);
            }
        }
    }
}

/// Whether these bytes are in a frame.
pub(crate) fn has(frame: &[u8], part: &[u8]) -> bool {
    frame.windows(part.len()).any(|window| window == part)
}

/// A frame for the bridge's own ears, from the hardware address `from`.
pub(crate) fn for_the_bridge(from: [u8; 6]) -> Vec<u8> {
    let mut frame = [&NEAREST_BRIDGE[..], &from, &LLDP].concat();
    frame.resize(60, 0);
    frame
}

/// An advertisement to `(mac, address)` by `(mac, address)` that `whose` is where `from` is.
pub(crate) fn advertisement(
    (to_mac, to): ([u8; 6], Ipv6Addr),
    (from_mac, from): ([u8; 6], Ipv6Addr),
    whose: Ipv6Addr,
) -> Vec<u8> {
    // Neighbour advertisement: solicited, and to override what is known.
    let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    message.extend(whose.octets());
    message.extend([2, 1]);
    message.extend(from_mac);
    let sum = checksum(from, to, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = (message.len() as u16).to_be_bytes();
    let mut frame = [&to_mac[..], &from_mac, &IPV6].concat();
    frame.extend([0x60, 0, 0, 0, length[0], length[1], 58, 255]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(message);
    frame
}

fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let mut all = [from.octets(), to.octets()].concat();
    all.extend((message.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, 58]);
    all.extend(message);
    let mut sum: u32 = all
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

//! One end of a control channel: frames with descriptors over a non-blocking stream socket.
//!
//! Nothing here waits. Descriptors arrive in the order of the messages that announce them, so they
//! are queued and each message takes as many as it names.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};

use crate::protocol::broken;

/// The most descriptors that one message may carry (the kernel's SCM_MAX_FD).
pub(crate) const MAX_FDS: usize = 253;

const READ_AT_ONCE: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    max_frame: usize,
    takes_fds: bool,
    inbox: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    outbox: VecDeque<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    frame: Vec<u8>,
    sent: usize,
    fds: Vec<Arc<OwnedFd>>,
}

impl Channel {
    /// An end that takes frames of up to `max_frame` bytes, and descriptors only if `takes_fds`:
    /// others are closed by the kernel before they get here.
    pub(crate) fn new(stream: UnixStream, max_frame: usize, takes_fds: bool) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            max_frame,
            takes_fds,
            inbox: Vec::new(),
            fds: VecDeque::new(),
            outbox: VecDeque::new(),
        })
    }

    /// The end that a predecessor had, with what had come of a frame by then. It takes no descriptors.
    pub(crate) fn resumed(
        stream: UnixStream,
        max_frame: usize,
        inbox: Vec<u8>,
    ) -> io::Result<Self> {
        Ok(Self {
            inbox,
            ..Self::new(stream, max_frame, false)?
        })
    }

    /// What a successor needs besides the socket, unless something is half sent.
    pub(crate) fn when_nothing_is_unsent(&self) -> Option<&[u8]> {
        self.outbox.is_empty().then_some(&self.inbox)
    }

    pub(crate) fn queue(&mut self, frame: Vec<u8>, fds: Vec<Arc<OwnedFd>>) {
        self.outbox.push_back(Outgoing {
            frame,
            sent: 0,
            fds,
        });
    }

    /// Queues a frame in place of all that have not begun to leave: for values of which only the
    /// newest counts, so that a peer that does not read costs no memory.
    pub(crate) fn queue_newest(&mut self, frame: Vec<u8>, fds: Vec<Arc<OwnedFd>>) {
        self.outbox.retain(|outgoing| outgoing.sent > 0);
        self.queue(frame, fds);
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Sends what the socket takes now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while let Some(outgoing) = self.outbox.front_mut() {
            let rest = [IoSlice::new(&outgoing.frame[outgoing.sent..])];
            let fds: Vec<RawFd> = outgoing.fds.iter().map(|fd| fd.as_raw_fd()).collect();
            let rights = [ControlMessage::ScmRights(&fds)];
            let control: &[ControlMessage<'_>] = if outgoing.sent == 0 && !fds.is_empty() {
                &rights
            } else {
                &[]
            };
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match sendmsg::<()>(self.stream.as_raw_fd(), &rest, control, flags, None) {
                Ok(sent) => outgoing.sent += sent,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if outgoing.sent == outgoing.frame.len() {
                self.outbox.pop_front();
            }
        }
        Ok(())
    }

    /// Reads what is there. `false`: the other end is closed, and no more will come.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = vec![0; READ_AT_ONCE];
        // A bounded number of reads, so that a peer that writes without end does not keep us here.
        for _ in 0..64 {
            let read = match self.read(&mut bytes) {
                Err(Errno::EAGAIN) => return Ok(true),
                Err(Errno::EINTR) => continue,
                // What a peer that died with our bytes unread leaves behind.
                Ok(0) | Err(Errno::ECONNRESET) => return Ok(false),
                other => other?,
            };
            self.inbox.extend_from_slice(&bytes[..read]);
            if self.inbox.len() > self.max_frame + 4 + READ_AT_ONCE {
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn read(&mut self, bytes: &mut [u8]) -> nix::Result<usize> {
        let mut space = cmsg_space!([RawFd; MAX_FDS]);
        let mut slices = [IoSliceMut::new(bytes)];
        let message = recvmsg::<()>(
            self.stream.as_raw_fd(),
            &mut slices,
            self.takes_fds.then_some(&mut space[..]),
            MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT,
        )?;
        if self.takes_fds {
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(fds) = control {
                    for fd in fds {
                        // SAFETY: the kernel has just made this descriptor for us; nobody else
                        // knows its number.
                        self.fds.push_back(unsafe { OwnedFd::from_raw_fd(fd) });
                    }
                }
            }
        }
        Ok(message.bytes)
    }

    /// The JSON of the next message that has arrived whole.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = self.inbox.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.max_frame {
            return Err(broken("message longer than allowed"));
        }
        if self.inbox.len() < 4 + length {
            return Ok(None);
        }
        let json = self.inbox[4..4 + length].to_vec();
        self.inbox.drain(..4 + length);
        Ok(Some(json))
    }

    /// The descriptors of the message just taken.
    pub(crate) fn take_fds(&mut self, count: usize) -> io::Result<Vec<OwnedFd>> {
        if self.fds.len() < count {
            return Err(broken("message without its descriptors"));
        }
        Ok(self.fds.drain(..count).collect())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read};

    use super::*;
    use crate::protocol::MAX_FRAME;

    fn pair(max_frame: usize) -> (Channel, Channel) {
        let (a, b) = UnixStream::pair().unwrap();
        (
            Channel::new(a, MAX_FRAME, true).unwrap(),
            Channel::new(b, max_frame, true).unwrap(),
        )
    }

    fn framed(json: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(json.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(json);
        frame
    }

    fn file_with(text: &str) -> Arc<OwnedFd> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, text).unwrap();
        Arc::new(File::open(path).unwrap().into())
    }

    fn content(fd: OwnedFd) -> String {
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn messages_arrive_in_order_each_with_its_own_descriptors() {
        let (mut a, mut b) = pair(MAX_FRAME);
        a.queue(framed(b"one"), vec![file_with("1a"), file_with("1b")]);
        a.queue(framed(b"none"), vec![]);
        a.queue(framed(b"two"), vec![file_with("2")]);
        a.flush().unwrap();
        assert!(b.fill().unwrap());
        assert_eq!(b.next().unwrap().unwrap(), b"one");
        let first = b.take_fds(2).unwrap().into_iter().map(content);
        assert_eq!(first.collect::<Vec<_>>(), ["1a", "1b"]);
        assert_eq!(b.next().unwrap().unwrap(), b"none");
        assert_eq!(b.next().unwrap().unwrap(), b"two");
        assert_eq!(content(b.take_fds(1).unwrap().remove(0)), "2");
        assert_eq!(b.next().unwrap(), None);
    }

    #[test]
    fn a_message_larger_than_the_socket_takes_arrives_in_parts() {
        let (mut a, mut b) = pair(MAX_FRAME);
        let json = vec![b'x'; 3 << 20];
        a.queue(framed(&json), vec![file_with("fd")]);
        loop {
            a.flush().unwrap();
            b.fill().unwrap();
            if let Some(got) = b.next().unwrap() {
                assert_eq!(got, json);
                break;
            }
        }
        assert!(!a.has_unsent());
        assert_eq!(content(b.take_fds(1).unwrap().remove(0)), "fd");
    }

    #[test]
    fn a_message_longer_than_allowed_is_an_error_before_it_has_arrived() {
        let (mut a, mut b) = pair(8);
        a.queue(framed(&[b'x'; 9])[..6].to_vec(), vec![]);
        a.flush().unwrap();
        b.fill().unwrap();
        assert!(b.next().is_err());
    }

    #[test]
    fn only_the_newest_of_several_waiting_values_is_sent() {
        let (mut a, mut b) = pair(MAX_FRAME);
        for value in ["1", "2", "3"] {
            a.queue_newest(framed(value.as_bytes()), vec![]);
        }
        a.flush().unwrap();
        b.fill().unwrap();
        assert_eq!(b.next().unwrap().unwrap(), b"3");
        assert_eq!(b.next().unwrap(), None);
    }

    #[test]
    fn an_end_that_takes_no_descriptors_gets_none() {
        let (a, b) = UnixStream::pair().unwrap();
        let mut a = Channel::new(a, MAX_FRAME, true).unwrap();
        let mut b = Channel::new(b, MAX_FRAME, false).unwrap();
        a.queue(framed(b"{}"), vec![file_with("spam")]);
        a.flush().unwrap();
        b.fill().unwrap();
        assert_eq!(b.next().unwrap().unwrap(), b"{}");
        assert!(b.fds.is_empty());
    }

    #[test]
    fn a_closed_peer_is_noticed() {
        let (a, mut b) = pair(MAX_FRAME);
        drop(a);
        assert!(!b.fill().unwrap());
    }
}

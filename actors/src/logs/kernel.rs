//! What the kernel says: `/dev/kmsg`, one record at a time.
//!
//! The kernel keeps its newest records only, and only those of this boot. A position is a number made from the boot's id,
//! and the record's own number; one of an earlier boot comes before everything.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
};

use coppice_clock::{Mono, Wall, boot_id};
use coppice_wire::logs::{LogLine, Stream};
use nix::{errno::Errno, libc::O_NONBLOCK};

use super::{Cursor, Positioned};

const DEVICE: &str = "/dev/kmsg";
/// The kernel gives no longer record.
const RECORD_BYTES: usize = 8192;
/// Who wrote a line.
const SRC_KERNEL: &str = "kernel";

/// A reader of the kernel's records, from the oldest on.
#[derive(Debug)]
pub(super) struct Kernel {
    file: File,
    boot: String,
    began_ms: i64,
}

impl Kernel {
    pub(super) fn open() -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(DEVICE)?;
        let up = i64::try_from(Mono::now().as_millis()).unwrap_or(i64::MAX);
        Ok(Self {
            file,
            boot: boot_id()?,
            began_ms: Wall::now().as_millis().saturating_sub(up),
        })
    }

    /// At most `limit` lines that were not read yet and are not before `start`.
    pub(super) fn read(&mut self, start: Cursor, limit: usize) -> io::Result<Vec<Positioned>> {
        let mut found = Vec::new();
        let mut record = [0; RECORD_BYTES];
        while found.len() < limit {
            match self.file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => {
                    let record = record.get(..length).unwrap_or_default();
                    let line = self.line(record);
                    found.extend(line.filter(|line| !is_before(line, start)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Records went while we read: the next one is the oldest there is now.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// `priority,number,microseconds,flags;text`, then lines about the device; `None` for anything else.
    fn line(&self, record: &[u8]) -> Option<Positioned> {
        let text = String::from_utf8_lossy(record);
        let (head, rest) = text.split_once(';')?;
        let mut fields = head.split(',').skip(1);
        let number: u64 = fields.next()?.parse().ok()?;
        let micros: i64 = fields.next()?.parse().ok()?;
        // Time in which the machine slept is not counted here, as in `dmesg -T`.
        let t = self.began_ms.saturating_add(micros / 1000);
        let segment = number_of(&self.boot);
        let at = |offset| Cursor { segment, offset };
        Some(Positioned {
            line: LogLine {
                t,
                run: self.boot.clone(),
                src: SRC_KERNEL.to_owned(),
                stream: Stream::Err,
                line: rest.lines().next().unwrap_or_default().to_owned(),
            },
            at: at(number),
            next: at(number.saturating_add(1)),
        })
    }
}

/// Whether a line comes before a position; none does before one of an earlier boot.
pub(super) fn is_before(line: &Positioned, position: Cursor) -> bool {
    line.at.segment == position.segment && line.at.offset < position.offset
}

/// The first digits of a boot's id, as a number.
fn number_of(boot: &str) -> u64 {
    let digits: String = boot
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(15)
        .collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::{fd::OwnedFd, unix::net::UnixDatagram};

    use super::*;

    /// A device whose records we write.
    fn kernel() -> (Kernel, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let kernel = Kernel {
            file: OwnedFd::from(theirs).into(),
            boot: "1f7e0000-0000-4000-8000-000000000000".to_owned(),
            began_ms: 1_000_000,
        };
        (kernel, ours)
    }

    fn texts(lines: &[Positioned]) -> Vec<&str> {
        lines.iter().map(|one| one.line.line.as_str()).collect()
    }

    #[test]
    fn records_are_read_once_with_their_time_and_without_what_is_said_of_the_device() {
        let (mut kernel, device) = kernel();
        for record in [
            "6,339,5140900,-;NET: Registered PF_INET6\n",
            "3,340,5690716,c;eth0: link up\n SUBSYSTEM=net\n DEVICE=n2\n",
            "not a record",
        ] {
            device.send(record.as_bytes()).unwrap();
        }
        let all = Cursor {
            segment: 0,
            offset: 0,
        };
        let lines = kernel.read(all, 10).unwrap();
        assert_eq!(texts(&lines), ["NET: Registered PF_INET6", "eth0: link up"]);
        assert_eq!(lines[0].line.t, 1_005_140);
        assert_eq!((lines[0].at.offset, lines[0].next.offset), (339, 340));
        assert_eq!(lines[0].at.segment, 0x1f7_e000_0000_0400);
        device.send(b"6,341,5690717,-;later\n").unwrap();
        assert_eq!(texts(&kernel.read(all, 10).unwrap()), ["later"]);
        assert!(kernel.read(all, 10).unwrap().is_empty());
    }

    #[test]
    fn a_position_of_this_boot_leaves_out_what_is_before_it_and_one_of_another_boot_nothing() {
        for (segment, expected) in [(0x1f7_e000_0000_0400, &["b"][..]), (7, &["a", "b"])] {
            let (mut kernel, device) = kernel();
            device.send(b"6,1,0,-;a\n").unwrap();
            device.send(b"6,2,0,-;b\n").unwrap();
            let start = Cursor { segment, offset: 2 };
            assert_eq!(texts(&kernel.read(start, 10).unwrap()), expected);
        }
    }

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let (mut kernel, device) = kernel();
        for number in 0..3 {
            device
                .send(format!("6,{number},0,-;{number}\n").as_bytes())
                .unwrap();
        }
        let all = Cursor {
            segment: 0,
            offset: 0,
        };
        assert_eq!(texts(&kernel.read(all, 2).unwrap()), ["0", "1"]);
        assert_eq!(texts(&kernel.read(all, 2).unwrap()), ["2"]);
    }
}

//! Reading the log segments that the agents write.
//!
//! The folder belongs to the container: every file is opened beneath the folder without following
//! links, and a line that is not ours is skipped. Whatever else lies there costs little: only so many
//! names, the newest few segments, and so many bytes of each are ever looked at. A position (cursor) is a segment number and a byte
//! offset; it stays valid as long as the segment is kept.

mod kernel;
mod source;

pub use source::{Boot, Follower, Page, Source};

use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    str::FromStr,
};

use coppice_wire::logs::{LogLine, SEGMENT_BYTES, SEGMENTS_KEPT, segment_name, segment_number};
use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::Mode,
};

/// A line longer than this in the file is not ours: the agent cuts at 16 KiB.
const MAX_RAW_LINE: usize = 128 * 1024;
/// A longer segment is not ours: the agent begins a new one long before.
const MAX_SEGMENT: u64 = 2 * SEGMENT_BYTES;
/// The agent keeps so many, and has one more while it begins the next.
const SEGMENTS_READ: usize = SEGMENTS_KEPT + 1;
/// Names looked at in the folder, which has some ten.
const NAMES_READ: usize = 4096;

/// Where a reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Segment number.
    pub segment: u64,
    /// Byte offset in it.
    pub offset: u64,
}

impl Cursor {
    /// Before everything.
    pub const OLDEST: Self = Self {
        segment: 0,
        offset: 0,
    };
    /// Behind everything.
    pub const NEWEST: Self = Self {
        segment: u64::MAX,
        offset: u64::MAX,
    };
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.segment, self.offset)
    }
}

/// A cursor that is no cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log position; leave it out to read the newest lines")]
pub struct BadCursor(String);

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let parse = || {
            let (segment, offset) = text.split_once('.')?;
            Some(Self {
                segment: segment.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        parse().ok_or_else(|| BadCursor(text.chars().take(64).collect()))
    }
}

/// A line and the position just behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positioned {
    /// The line.
    pub line: LogLine,
    /// Where it begins.
    pub at: Cursor,
    /// Where the next line begins.
    pub next: Cursor,
}

/// A log in segments: a service's, or Coppice's own.
#[derive(Clone, Debug)]
pub struct ServiceLogs {
    folder: PathBuf,
}

impl ServiceLogs {
    /// The logs in `folder`.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The newest `limit` lines, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read. A service that never ran has no lines and no error.
    pub fn tail(&self, limit: usize) -> io::Result<Vec<Positioned>> {
        self.before(Cursor::NEWEST, limit)
    }

    /// The `limit` lines before `end`, oldest first.
    ///
    /// # Errors
    /// As [`Self::tail`].
    pub fn before(&self, end: Cursor, limit: usize) -> io::Result<Vec<Positioned>> {
        let mut found = VecDeque::new();
        for segment in self.segments()?.into_iter().rev() {
            if segment > end.segment {
                continue;
            }
            if found.len() >= limit {
                break;
            }
            let bytes = self.read_segment(segment, 0)?;
            let mut offset = bytes.len();
            for raw in bytes.split_inclusive(|byte| *byte == b'\n').rev() {
                if found.len() >= limit {
                    break;
                }
                offset -= raw.len();
                let line = parse(segment, offset as u64, raw).filter(|line| line.at < end);
                line.into_iter().for_each(|line| found.push_front(line));
            }
        }
        Ok(found.into())
    }

    /// At most `limit` lines from `start` on.
    ///
    /// # Errors
    /// As [`Self::tail`].
    pub fn after(&self, start: Cursor, limit: usize) -> io::Result<Vec<Positioned>> {
        let mut found = Vec::new();
        for segment in self.segments()? {
            if segment < start.segment {
                continue;
            }
            if found.len() >= limit {
                break;
            }
            let from = if segment == start.segment {
                start.offset
            } else {
                0
            };
            let bytes = self.read_segment(segment, from)?;
            let mut offset = from;
            for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
                if found.len() >= limit {
                    break;
                }
                found.extend(parse(segment, offset, raw));
                offset = offset.saturating_add(raw.len() as u64);
            }
        }
        Ok(found)
    }

    /// The position behind everything that is written now.
    ///
    /// # Errors
    /// As [`Self::tail`].
    pub fn end(&self) -> io::Result<Cursor> {
        let last = self.tail(1)?.pop();
        Ok(last.map_or(Cursor::OLDEST, |line| line.next))
    }

    /// The newest segments, oldest first.
    fn segments(&self) -> io::Result<BTreeSet<u64>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
        let mut newest = BTreeSet::new();
        for entry in entries.take(NAMES_READ) {
            newest.extend(entry?.file_name().to_str().and_then(segment_number));
            if newest.len() > SEGMENTS_READ {
                newest.pop_first();
            }
        }
        Ok(newest)
    }

    /// What a segment holds from `from` on.
    fn read_segment(&self, segment: u64, from: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // The agent dropped its oldest segment between our listing and now; or the container put
        // something else there, which is none of ours.
        let Ok(mut file) = self.open(segment) else {
            return Ok(bytes);
        };
        file.seek(SeekFrom::Start(from))?;
        file.take(MAX_SEGMENT.saturating_sub(from))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn open(&self, segment: u64) -> io::Result<File> {
        let folder = File::open(&self.folder)?;
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .mode(Mode::empty())
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH);
        let fd = openat2(&folder, segment_name(segment).as_str(), how)?;
        let file = File::from(fd);
        let found = file.metadata()?;
        if !found.is_file() || found.len() > MAX_SEGMENT {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(file)
    }
}

/// A line of ours that has its end: `None` for anything else.
fn parse(segment: u64, offset: u64, raw: &[u8]) -> Option<Positioned> {
    let whole = raw.ends_with(b"\n") && raw.len() <= MAX_RAW_LINE;
    let line = whole.then(|| serde_json::from_slice(raw).ok())??;
    Some(Positioned {
        line,
        at: Cursor { segment, offset },
        next: Cursor {
            segment,
            offset: offset.saturating_add(raw.len() as u64),
        },
    })
}

#[cfg(test)]
mod tests;

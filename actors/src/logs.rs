//! Reading the log segments that the agents write.
//!
//! The folder belongs to the container: every file is opened beneath the folder without following
//! links, and a line that is not ours is skipped. A position (cursor) is a segment number and a byte
//! offset; it stays valid as long as the segment is kept.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    str::FromStr,
};

use coppice_wire::logs::{LogLine, segment_name};
use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::Mode,
};

/// A line longer than this in the file is not ours: the agent cuts at 16 KiB.
const MAX_RAW_LINE: u64 = 128 * 1024;

/// Where a reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Segment number.
    pub segment: u64,
    /// Byte offset in it.
    pub offset: u64,
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

/// The logs of one service.
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
        self.before(
            Cursor {
                segment: u64::MAX,
                offset: u64::MAX,
            },
            limit,
        )
    }

    /// The `limit` lines before `end`, oldest first.
    ///
    /// # Errors
    /// As [`Self::tail`].
    pub fn before(&self, end: Cursor, limit: usize) -> io::Result<Vec<Positioned>> {
        let mut found: Vec<Positioned> = Vec::new();
        for segment in self.segments()?.into_iter().rev() {
            if segment > end.segment || found.len() >= limit {
                continue;
            }
            let mut lines = self.read_segment(segment, 0, usize::MAX)?;
            lines.retain(|line| line.at < end);
            let missing = limit - found.len();
            let mut newest = lines.split_off(lines.len().saturating_sub(missing));
            newest.append(&mut found);
            found = newest;
        }
        Ok(found)
    }

    /// At most `limit` lines from `start` on.
    ///
    /// # Errors
    /// As [`Self::tail`].
    pub fn after(&self, start: Cursor, limit: usize) -> io::Result<Vec<Positioned>> {
        let mut found = Vec::new();
        for segment in self.segments()? {
            if segment < start.segment || found.len() >= limit {
                continue;
            }
            let from = if segment == start.segment {
                start.offset
            } else {
                0
            };
            found.append(&mut self.read_segment(segment, from, limit - found.len())?);
        }
        Ok(found)
    }

    /// The position behind everything that is written now.
    ///
    /// # Errors
    /// As [`Self::tail`].
    pub fn end(&self) -> io::Result<Cursor> {
        let last = self.tail(1)?.pop();
        Ok(last.map_or(
            Cursor {
                segment: 0,
                offset: 0,
            },
            |line| line.next,
        ))
    }

    fn segments(&self) -> io::Result<Vec<u64>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read_segment(&self, segment: u64, from: u64, limit: usize) -> io::Result<Vec<Positioned>> {
        let mut file = match self.open(segment) {
            Ok(file) => file,
            // The agent dropped its oldest segment between our listing and now; or the container
            // put something else there, which is none of ours.
            Err(_) => return Ok(Vec::new()),
        };
        file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(file);
        let mut offset = from;
        let mut lines = Vec::new();
        let mut raw = Vec::new();
        while lines.len() < limit {
            raw.clear();
            let length = io::Read::take(&mut reader, MAX_RAW_LINE).read_until(b'\n', &mut raw)?;
            if !raw.ends_with(b"\n") {
                break;
            }
            let at = Cursor { segment, offset };
            offset += length as u64;
            if let Ok(line) = serde_json::from_slice(&raw) {
                lines.push(Positioned {
                    line,
                    at,
                    next: Cursor { segment, offset },
                });
            }
        }
        Ok(lines)
    }

    fn open(&self, segment: u64) -> io::Result<File> {
        let folder = File::open(&self.folder)?;
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .mode(Mode::empty())
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH);
        let fd = openat2(&folder, segment_name(segment).as_str(), how)?;
        let file = File::from(fd);
        if !file.metadata()?.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests;

//! Lines of a log, kept in bounded segments: the agent's of its processes, and the core's of itself.
//!
//! Invariant: never more than [`SEGMENTS_KEPT`] segments that this writer knows of, never an
//! existing file written to, and a full disk never stops anybody: lines that cannot be written
//! are counted, and the count is written when there is room again. Nothing here reads a clock.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use coppice_wire::logs::{
    LogLine, SEGMENT_BYTES, SEGMENTS_KEPT, Stream, segment_name, segment_number,
};

/// A log that is written.
#[derive(Debug)]
pub struct Segments {
    dir: PathBuf,
    run: String,
    own: &'static str,
    open: Option<Segment>,
    next: u64,
    lost: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    bytes: u64,
}

impl Segments {
    /// A log in `dir`, continuing its numbers; nothing is created before the first line. Its lines belong to `run`,
    /// and those about the log itself come from `own`.
    #[must_use]
    pub fn new(dir: PathBuf, run: String, own: &'static str) -> Self {
        let next = numbers(&dir).last().map_or(1, |newest| newest + 1);
        Self {
            dir,
            run,
            own,
            open: None,
            next,
            lost: 0,
        }
    }

    /// A line of the writer's own, at `t` milliseconds since 1970.
    pub fn note(&mut self, t: i64, text: &str) {
        self.write(t, self.own, Stream::Err, [text.as_bytes()]);
    }

    /// Lines of one output, newlines already taken off.
    pub fn write<'a>(
        &mut self,
        t: i64,
        src: &str,
        stream: Stream,
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) {
        let mut bytes = Vec::new();
        let mut count = 0;
        if self.lost > 0 {
            let lost = format!(
                "{} lines were lost: the log could not be written",
                self.lost
            );
            self.encode(&mut bytes, t, self.own, Stream::Err, lost.as_bytes());
        }
        for line in lines {
            self.encode(&mut bytes, t, src, stream, line);
            count += 1;
        }
        match self.append(&bytes) {
            Ok(()) => self.lost = 0,
            Err(error) => {
                // Said once on the console; the log itself says how many when it works again.
                if self.lost == 0 {
                    eprintln!(
                        "{}: could not write to {}: {error}",
                        self.own,
                        self.dir.display()
                    );
                }
                self.lost += count;
                self.open = None;
            }
        }
    }

    fn encode(&self, bytes: &mut Vec<u8>, t: i64, src: &str, stream: Stream, line: &[u8]) {
        let line = LogLine {
            t,
            run: self.run.clone(),
            src: src.to_owned(),
            stream,
            line: String::from_utf8_lossy(line).into_owned(),
        };
        // A `LogLine` always has a JSON form, and a Vec takes every byte.
        if serde_json::to_writer(&mut *bytes, &line).is_ok() {
            bytes.push(b'\n');
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let full = self
            .open
            .as_ref()
            .is_none_or(|segment| segment.bytes >= SEGMENT_BYTES);
        if full {
            self.rotate()?;
        }
        if let Some(segment) = &mut self.open {
            segment.file.write_all(bytes)?;
            segment.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        let numbers = numbers(&self.dir);
        let keep = SEGMENTS_KEPT - 1;
        for old in numbers.iter().take(numbers.len().saturating_sub(keep)) {
            // Gone already, or not ours to remove: the bound holds for those we can.
            let _ = std::fs::remove_file(self.dir.join(segment_name(*old)));
        }
        self.next = self.next.max(numbers.last().map_or(0, |newest| newest + 1));
        // Create-new: a link or a file that package code put here is never followed or written.
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o640)
            .open(self.dir.join(segment_name(self.next)))?;
        self.next += 1;
        self.open = Some(Segment { file, bytes: 0 });
        Ok(())
    }
}

/// Segment numbers in `dir`, oldest first.
fn numbers(dir: &PathBuf) -> Vec<u64> {
    let mut numbers: Vec<u64> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| segment_number(entry.file_name().to_str()?))
        .collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "own";

    fn lines_in(dir: &std::path::Path) -> Vec<LogLine> {
        numbers(&dir.to_path_buf())
            .into_iter()
            .flat_map(|number| {
                let text = std::fs::read_to_string(dir.join(segment_name(number))).unwrap();
                text.lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn segments_rotate_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut logs = Segments::new(dir.path().into(), "run".into(), OWN);
        let line = vec![b'x'; 16 * 1024];
        for _ in 0..1400 {
            logs.write(7, "runtime", Stream::Out, [&line[..]]);
        }
        let numbers = numbers(&dir.path().to_path_buf());
        assert_eq!(numbers.len(), SEGMENTS_KEPT);
        assert!(numbers[0] > 1);
        for number in numbers {
            let size = dir
                .path()
                .join(segment_name(number))
                .metadata()
                .unwrap()
                .len();
            assert!(size < SEGMENT_BYTES + 32 * 1024);
        }
    }

    #[test]
    fn a_new_life_continues_the_numbers() {
        let dir = tempfile::tempdir().unwrap();
        Segments::new(dir.path().into(), "a".into(), OWN).note(7, "one");
        Segments::new(dir.path().into(), "b".into(), OWN).note(7, "two");
        assert_eq!(numbers(&dir.path().to_path_buf()), [1, 2]);
        assert_eq!(
            lines_in(dir.path())
                .iter()
                .map(|line| &line.run)
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
    }

    #[test]
    fn lines_lost_while_the_disk_refuses_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("logs");
        let mut logs = Segments::new(missing.clone(), "run".into(), OWN);
        logs.note(7, "one");
        logs.note(7, "two");
        std::fs::create_dir(&missing).unwrap();
        logs.note(7, "three");
        let read = lines_in(&missing);
        assert_eq!(
            read[0].line,
            "2 lines were lost: the log could not be written"
        );
        assert_eq!((&*read[0].src, read[0].t), (OWN, 7));
        assert_eq!(read[1].line, "three");
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "safe").unwrap();
        let logs_dir = dir.path().join("logs");
        std::fs::create_dir(&logs_dir).unwrap();
        let mut logs = Segments::new(logs_dir.clone(), "run".into(), OWN);
        std::os::unix::fs::symlink(&outside, logs_dir.join(segment_name(1))).unwrap();
        logs.note(7, "x");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "safe");
        assert!(logs_dir.join(segment_name(2)).exists());
    }
}

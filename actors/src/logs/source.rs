//! Logs as their readers see them, wherever they are kept: a page at a time, or everything from a position on.

use std::io;

use super::{Cursor, Positioned, ServiceLogs, kernel};

/// Lines looked at for one page of a log that is read whole. The kernel's has some ten thousand.
const MOST: usize = 500_000;

/// A log.
#[derive(Clone, Debug)]
pub enum Source {
    /// One in segments.
    Kept(ServiceLogs),
    /// The kernel's.
    Kernel,
}

/// Lines that are meant.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many, at most.
    pub limit: usize,
    /// From where on; without it, the newest are meant.
    pub cursor: Option<Cursor>,
    /// Those before the cursor, not those from it on.
    pub before: bool,
    /// Only those of this boot of the machine, or life of the container.
    pub boot: Option<Boot>,
}

/// A boot of the machine, or a life of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// 0 is the newest that there are lines of, -1 the one before; 1 is the oldest.
    Number(i64),
    /// By its id, with or without dashes.
    Id(String),
}

/// Who reads a log from a position on.
#[derive(Debug)]
pub enum Follower {
    /// One in segments.
    Kept(ServiceLogs, Cursor),
    /// The kernel's.
    #[expect(private_interfaces, reason = "made and read here only")]
    Kernel(kernel::Kernel, Cursor),
}

impl Source {
    /// The lines of a page, oldest first. Blocks.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn page(&self, page: &Page) -> io::Result<Vec<Positioned>> {
        let Page {
            limit,
            cursor,
            before,
            boot,
        } = page;
        let (mut lines, is_before): (_, fn(&Positioned, Cursor) -> bool) = match (self, boot) {
            (Self::Kept(logs), None) => {
                return match cursor {
                    None => logs.tail(*limit),
                    Some(cursor) if *before => logs.before(*cursor, *limit),
                    Some(cursor) => logs.after(*cursor, *limit),
                };
            }
            (Self::Kept(logs), Some(_)) => (logs.after(Cursor::OLDEST, MOST)?, |line, position| {
                line.at < position
            }),
            (Self::Kernel, _) => {
                let mut kernel = kernel::Kernel::open()?;
                (kernel.read(Cursor::OLDEST, MOST)?, kernel::is_before)
            }
        };
        if let Some(boot) = boot {
            boot.keep_only(&mut lines);
        }
        if let Some(cursor) = cursor {
            lines.retain(|line| is_before(line, *cursor) == *before);
        }
        match cursor {
            Some(_) if !before => lines.truncate(*limit),
            _ => drop(lines.drain(..lines.len().saturating_sub(*limit))),
        }
        Ok(lines)
    }

    /// Follows the log: from `cursor` on, or else from the last `limit` lines on. Blocks.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn follow(&self, cursor: Option<Cursor>, limit: usize) -> io::Result<Follower> {
        let start = match cursor {
            Some(cursor) => cursor,
            None => {
                let newest = self.page(&Page {
                    limit: limit.max(1),
                    cursor: None,
                    before: false,
                    boot: None,
                })?;
                match (newest.first(), newest.last()) {
                    (Some(first), _) if limit > 0 => first.at,
                    (_, Some(last)) => last.next,
                    _ => Cursor::OLDEST,
                }
            }
        };
        Ok(match self {
            Self::Kept(logs) => Follower::Kept(logs.clone(), start),
            Self::Kernel => Follower::Kernel(kernel::Kernel::open()?, start),
        })
    }
}

impl Follower {
    /// Where it began, or got to in segments.
    #[must_use]
    pub const fn position(&self) -> Cursor {
        match self {
            Self::Kept(_, at) | Self::Kernel(_, at) => *at,
        }
    }

    /// The next lines, at most `limit`; none while there are no more. Blocks on the disk only.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(&mut self, limit: usize) -> io::Result<Vec<Positioned>> {
        let (found, at) = match self {
            Self::Kept(logs, at) => (logs.after(*at, limit)?, at),
            Self::Kernel(kernel, at) => (kernel.read(*at, limit)?, at),
        };
        if let Some(last) = found.last() {
            *at = last.next;
        }
        Ok(found)
    }
}

impl Boot {
    fn keep_only(&self, lines: &mut Vec<Positioned>) {
        let mut boots: Vec<&str> = lines.iter().map(|one| one.line.run.as_str()).collect();
        boots.dedup();
        let bare = |id: &str| id.replace('-', "").to_ascii_lowercase();
        let chosen = match self {
            Self::Number(number) => {
                let back = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
                let at = match number {
                    1.. => back.checked_sub(1),
                    _ => boots
                        .len()
                        .checked_sub(1)
                        .and_then(|newest| newest.checked_sub(back)),
                };
                at.and_then(|at| boots.get(at))
            }
            Self::Id(id) => boots.iter().find(|boot| bare(boot) == bare(id)),
        };
        let chosen = chosen.map(|boot| (*boot).to_owned());
        lines.retain(|one| chosen.as_ref() == Some(&one.line.run));
    }
}

#[cfg(test)]
mod tests {
    use coppice_wire::logs::segment_name;
    use serde_json::json;

    use super::*;

    /// Nine lines, three of each boot; each boot began a segment.
    fn log() -> (Source, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        for (segment, boot) in (1..).zip(["aa-1", "bb-2", "cc-3"]) {
            let lines = (0..3).map(|number| {
                let line = json!({ "t": 0, "run": boot, "src": "core", "stream": "err", "line": format!("{boot} {number}") });
                format!("{line}\n")
            });
            let file = folder.path().join(segment_name(segment));
            std::fs::write(file, String::from_iter(lines)).unwrap();
        }
        (Source::Kept(ServiceLogs::in_folder(folder.path())), folder)
    }

    fn page(boot: Option<Boot>, limit: usize) -> Page {
        Page {
            limit,
            cursor: None,
            before: false,
            boot,
        }
    }

    fn texts(lines: &[Positioned]) -> Vec<&str> {
        lines.iter().map(|one| one.line.line.as_str()).collect()
    }

    #[test]
    fn a_boot_is_chosen_by_its_number_from_either_end_or_by_its_id() {
        let (log, _folder) = log();
        for (boot, expected) in [
            (Boot::Number(0), &["cc-3 1", "cc-3 2"][..]),
            (Boot::Number(-1), &["bb-2 1", "bb-2 2"]),
            (Boot::Number(1), &["aa-1 1", "aa-1 2"]),
            (Boot::Number(-3), &[]),
            (Boot::Number(4), &[]),
            (Boot::Number(i64::MIN), &[]),
            (Boot::Id("BB2".into()), &["bb-2 1", "bb-2 2"]),
            (Boot::Id("dd4".into()), &[]),
        ] {
            let lines = log.page(&page(Some(boot.clone()), 2)).unwrap();
            assert_eq!(texts(&lines), expected, "{boot:?}");
        }
    }

    #[test]
    fn a_page_of_a_boot_goes_on_from_a_cursor_either_way_and_stays_in_that_boot() {
        let (log, _folder) = log();
        let whole = log.page(&page(Some(Boot::Number(-1)), 9)).unwrap();
        assert_eq!(whole.len(), 3);
        let at = |cursor, before| Page {
            cursor: Some(cursor),
            before,
            ..page(Some(Boot::Number(-1)), 2)
        };
        let later = log.page(&at(whole[1].at, false)).unwrap();
        assert_eq!(texts(&later), ["bb-2 1", "bb-2 2"]);
        let earlier = log.page(&at(whole[1].at, true)).unwrap();
        assert_eq!(texts(&earlier), ["bb-2 0"]);
    }

    #[test]
    fn a_follower_begins_with_the_last_lines_and_goes_on_with_what_comes() {
        let (log, folder) = log();
        let mut follower = log.follow(None, 1).unwrap();
        assert_eq!(texts(&follower.read(10).unwrap()), ["cc-3 2"]);
        assert!(follower.read(10).unwrap().is_empty());
        let line = json!({ "t": 0, "run": "cc-3", "src": "core", "stream": "err", "line": "new" });
        std::fs::write(folder.path().join(segment_name(4)), format!("{line}\n")).unwrap();
        assert_eq!(texts(&follower.read(10).unwrap()), ["new"]);
        let from_now_on = log.follow(None, 0).unwrap().read(10).unwrap();
        assert!(from_now_on.is_empty());
    }
}

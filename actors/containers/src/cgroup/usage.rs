//! What a cgroup has used.

use std::{fs, os::fd::OwnedFd, path::Path};

use serde::{Deserialize, Serialize};

use super::walk::{text, walk};
use crate::cgroup::{Hierarchies, Version};

/// What a container, or one leaf of it, uses. `None`: nothing here counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Memory in bytes, page cache included.
    pub memory_bytes: Option<u64>,
    /// Memory in bytes without page cache that was not used lately: what would be missed.
    pub working_set_bytes: Option<u64>,
    /// Processor time since the cgroup was made, in microseconds.
    pub cpu_us: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes read from disks since the cgroup was made.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to disks since the cgroup was made.
    pub io_write_bytes: Option<u64>,
    /// Processes killed for lack of memory in this cgroup and those below it.
    pub oom_kills: Option<u64>,
}

/// Reads what is counted for `path` now; everything absent when there is no such cgroup.
pub(crate) fn usage(hierarchies: &Hierarchies, path: &str) -> Usage {
    let mut usage = Usage::default();
    if let Some((version, dir)) = hierarchies.controller("memory", path) {
        let (current, inactive) = match version {
            Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
            Version::V2 => ("memory.current", "inactive_file"),
        };
        usage.memory_bytes = number(&dir.join(current));
        usage.working_set_bytes = usage
            .memory_bytes
            .map(|all| all.saturating_sub(keyed(&dir.join("memory.stat"), inactive).unwrap_or(0)));
        usage.oom_kills = match version {
            // v1 counts a kill only where the victim was, so the kills below are added up.
            Version::V1 => oom_kills_below(&dir),
            Version::V2 => keyed(&dir.join("memory.events"), "oom_kill"),
        };
    }
    if let Some((Version::V2, dir)) = hierarchies.controller("cpu", path) {
        usage.cpu_us = keyed(&dir.join("cpu.stat"), "usage_usec");
    } else if let Some((_, dir)) = hierarchies.controller("cpuacct", path) {
        usage.cpu_us = number(&dir.join("cpuacct.usage")).map(|nanoseconds| nanoseconds / 1000);
    }
    if let Some((_, dir)) = hierarchies.controller("pids", path) {
        usage.pids = number(&dir.join("pids.current"));
    }
    let io = if let Some((Version::V2, dir)) = hierarchies.controller("io", path) {
        fs::read_to_string(dir.join("io.stat")).map(|text| io_v2(&text))
    } else if let Some((_, dir)) = hierarchies.controller("blkio", path) {
        let file = dir.join("blkio.throttle.io_service_bytes_recursive");
        fs::read_to_string(file).map(|text| io_v1(&text))
    } else {
        return usage;
    };
    if let Ok((read, written)) = io {
        usage.io_read_bytes = Some(read);
        usage.io_write_bytes = Some(written);
    }
    usage
}

/// `8:0 rbytes=4096 wbytes=0 rios=1 …`, one line per disk: bytes read and written.
fn io_v2(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let words = text.split_whitespace();
        words
            .filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok())
            .sum()
    };
    (sum("rbytes="), sum("wbytes="))
}

/// `8:0 Read 4096`, `8:0 Write 0`, … one line per disk and kind: bytes read and written.
fn io_v1(text: &str) -> (u64, u64) {
    let sum = |kind: &str| {
        let lines = text.lines().map(|line| line.split_whitespace());
        lines
            .filter_map(|mut words| {
                let count = (words.nth(1)? == kind).then(|| words.next())??;
                count.parse::<u64>().ok()
            })
            .sum()
    };
    (sum("Read"), sum("Write"))
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn keyed(file: &Path, key: &str) -> Option<u64> {
    find_key(&fs::read_to_string(file).ok()?, key)
}

fn find_key(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

fn oom_kills_below(dir: &Path) -> Option<u64> {
    let mut kills = None;
    let add = |cgroup: &OwnedFd| {
        let counted = text(cgroup, c"memory.oom_control");
        // A leaf that is removed meanwhile takes its count with it.
        if let Some(here) = counted.and_then(|text| find_key(&text, "oom_kill")) {
            kills = Some(kills.unwrap_or(0) + here);
        }
    };
    walk(dir, add, |_, _| Ok(())).ok()?;
    kills
}

#[cfg(test)]
mod tests {
    use super::{find_key, io_v1, io_v2};

    #[test]
    fn what_was_read_and_written_is_added_up_over_all_disks() {
        let v1 =
            "8:0 Read 4096\n8:0 Write 512\n8:0 Total 4608\n7:1 Read 4\n7:1 Write 0\nTotal 4612\n";
        assert_eq!(io_v1(v1), (4100, 512));
        let v2 =
            "8:0 rbytes=4096 wbytes=512 rios=1 wios=1 dbytes=9 dios=1\n7:1 rbytes=4 wbytes=0\n";
        assert_eq!(io_v2(v2), (4100, 512));
        assert_eq!((io_v1("Total 0\n"), io_v2("")), ((0, 0), (0, 0)));
    }

    #[test]
    fn a_key_is_matched_whole() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(find_key(text, "oom_kill"), Some(3));
        assert_eq!(find_key(text, "oom"), None);
    }
}

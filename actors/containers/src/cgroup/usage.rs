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
    usage
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
    use super::find_key;

    #[test]
    fn a_key_is_matched_whole() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(find_key(text, "oom_kill"), Some(3));
        assert_eq!(find_key(text, "oom"), None);
    }
}

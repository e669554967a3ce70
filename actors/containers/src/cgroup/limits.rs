//! Bounds on what a container may use.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::{
    cgroup::{Hierarchies, Version},
    error::{Doing, StepError},
};

/// Bounds on a whole container; `None` is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes, page cache included. The kernel rounds down to whole pages.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Share of the processor when it is scarce, 1 to 10,000, 100 when not given.
    pub cpu_weight: Option<u16>,
}

/// One cgroup file and what it should say.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    controller: &'static str,
    file: &'static str,
    value: String,
}

impl Limits {
    /// What the files must say in this version's words; no bound is said too, since it may lift one.
    fn settings(&self, controller: &'static str, version: Version) -> Setting {
        let bound = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
        let weight = u64::from(self.cpu_weight.unwrap_or(100).clamp(1, 10_000));
        let (file, value) = match (controller, version) {
            ("memory", Version::V1) => (
                "memory.limit_in_bytes",
                bound(self.memory_bytes.map(|n| n.to_string()), "-1"),
            ),
            ("memory", Version::V2) => (
                "memory.max",
                bound(self.memory_bytes.map(|n| n.to_string()), "max"),
            ),
            ("pids", _) => ("pids.max", bound(self.pids.map(|n| n.to_string()), "max")),
            // v1 counts shares, of which 1,024 are usual and 2 the least.
            (_, Version::V1) => ("cpu.shares", (weight * 1024 / 100).max(2).to_string()),
            (_, Version::V2) => ("cpu.weight", weight.to_string()),
        };
        Setting {
            controller,
            file,
            value,
        }
    }

    /// Lines of liblxc's configuration: the limits hold before pid 1 runs.
    /// Those that this host cannot hold a child of `parent` to are left out ([`unmet`](Self::unmet)).
    pub(crate) fn to_lxc_config(
        &self,
        hierarchies: &Hierarchies,
        parent: &str,
    ) -> Vec<(String, String)> {
        self.wanted()
            .filter_map(|controller| {
                let version = hierarchies.limiting(controller, parent)?;
                let setting = self.settings(controller, version);
                let prefix = match version {
                    Version::V1 => "lxc.cgroup",
                    Version::V2 => "lxc.cgroup2",
                };
                Some((format!("{prefix}.{}", setting.file), setting.value))
            })
            .collect()
    }

    /// Writes the limits of an existing cgroup.
    pub(crate) fn apply(&self, hierarchies: &Hierarchies, path: &str) -> Result<(), StepError> {
        for controller in ["memory", "pids", "cpu"] {
            let Some((version, dir)) = hierarchies.controller(controller, path) else {
                continue;
            };
            let setting = self.settings(controller, version);
            let file = dir.join(setting.file);
            fs::write(&file, &setting.value).doing(format!(
                "write {} to {}",
                setting.value,
                file.display()
            ))?;
        }
        Ok(())
    }

    /// Limits asked for on controllers that this host does not have for children of `parent`.
    pub(crate) fn unmet(&self, hierarchies: &Hierarchies, parent: &str) -> Vec<&'static str> {
        self.wanted()
            .filter(|name| hierarchies.limiting(name, parent).is_none())
            .collect()
    }

    fn wanted(&self) -> impl Iterator<Item = &'static str> {
        [
            ("memory", self.memory_bytes.is_some()),
            ("pids", self.pids.is_some()),
            ("cpu", self.cpu_weight.is_some()),
        ]
        .into_iter()
        .filter_map(|(controller, wanted)| wanted.then_some(controller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_gets_its_own_words() {
        let limits = Limits {
            memory_bytes: Some(1 << 20),
            pids: Some(64),
            cpu_weight: Some(200),
        };
        let say = |controller, version| {
            let setting = limits.settings(controller, version);
            format!("{}={}", setting.file, setting.value)
        };
        assert_eq!(say("memory", Version::V1), "memory.limit_in_bytes=1048576");
        assert_eq!(say("memory", Version::V2), "memory.max=1048576");
        assert_eq!(say("pids", Version::V1), "pids.max=64");
        assert_eq!(say("cpu", Version::V1), "cpu.shares=2048");
        assert_eq!(say("cpu", Version::V2), "cpu.weight=200");
    }

    #[test]
    fn no_bound_lifts_an_earlier_one() {
        let limits = Limits::default();
        assert_eq!(limits.settings("memory", Version::V1).value, "-1");
        assert_eq!(limits.settings("memory", Version::V2).value, "max");
        assert_eq!(limits.settings("pids", Version::V2).value, "max");
    }
}

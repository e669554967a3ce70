//! Daemons: the lasting processes of a service, as they are shown.

use coppice_clock::Wall;
use coppice_containers::Usage;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A living daemon. Shown, never stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DaemonReport {
    /// What it is called: by its declaration, its subcontainer, or its program.
    pub name: String,
    /// Who starts it again when it dies.
    pub owner: DaemonOwner,
    /// Its pid as the container sees it.
    pub pid: i32,
    /// Since when it runs.
    #[ts(type = "string")]
    pub since: Wall,
    /// The cgroup leaf it is counted in; daemons in one subcontainer share one.
    pub leaf: String,
    /// What is counted there.
    pub usage: DaemonUsage,
}

/// Who starts a daemon again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum DaemonOwner {
    /// Coppice: it outlives the Node runtime.
    Host,
    /// The package's JavaScript: it dies with the Node runtime.
    Package,
}

/// What a cgroup leaf has used. Null: nothing on this machine counts it, or nobody has looked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DaemonUsage {
    /// Processor time in microseconds.
    #[ts(type = "number | null")]
    pub cpu_us: Option<u64>,
    /// Memory in bytes, without page cache that was not used lately.
    #[ts(type = "number | null")]
    pub memory_bytes: Option<u64>,
    /// Bytes read from disks.
    #[ts(type = "number | null")]
    pub io_read_bytes: Option<u64>,
    /// Bytes written to disks.
    #[ts(type = "number | null")]
    pub io_write_bytes: Option<u64>,
    /// Processes and threads; the one that waits to be the next incarnation of a daemon of the host's
    /// is among them.
    #[ts(type = "number | null")]
    pub pids: Option<u64>,
}

impl From<Usage> for DaemonUsage {
    fn from(usage: Usage) -> Self {
        Self {
            cpu_us: usage.cpu_us,
            memory_bytes: usage.working_set_bytes,
            io_read_bytes: usage.io_read_bytes,
            io_write_bytes: usage.io_write_bytes,
            pids: usage.pids,
        }
    }
}

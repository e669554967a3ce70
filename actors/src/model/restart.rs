//! Restart records: who died, why, and what was done about it.

use coppice_clock::Wall;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One death or decision, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RestartRecord {
    /// Grows by one with each record of a service.
    #[ts(type = "number")]
    pub seq: u64,
    /// When it happened.
    #[ts(type = "string")]
    pub at: Wall,
    /// Which part of the service, for example `daemon hello` or `container`.
    pub what: String,
    /// Why.
    pub cause: Cause,
    /// What was done, in plain words.
    pub action: String,
    /// How long it had been up, in milliseconds, where that is known.
    #[ts(type = "number | null")]
    pub ran_ms: Option<u64>,
    /// The last lines of the service's log, cut short; only the newest records keep theirs.
    pub logs: Vec<String>,
}

/// Why a part of a service ended or did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Cause {
    /// The process ended by itself.
    Exit {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended the process.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// The kernel killed it for memory.
    Oom,
    /// The container ended under it.
    ContainerDied,
    /// The Node runtime ended under it.
    RuntimeDied,
    /// Somebody asked for it.
    Operator {
        /// Who: an account, `package`, or `update`.
        by: String,
    },
    /// It did not come up.
    StartFailed {
        /// What it said.
        message: String,
    },
    /// It did not end in good order; what was left of it was ended by force.
    StopFailed {
        /// What it said.
        message: String,
    },
    /// It did not come up, or did not end, in time.
    Deadline {
        /// What was waited for.
        waited_for: String,
    },
    /// A part of Coppice itself failed.
    Internal {
        /// What it said.
        message: String,
    },
}

/// A service that failed too often and now waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// Since when.
    #[ts(type = "string")]
    pub since: Wall,
    /// Why, in plain words, with the way out.
    pub reason: String,
    /// When Coppice tries again by itself.
    #[ts(type = "string")]
    pub next_probe: Wall,
}

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
    /// What is behind the cause or behind what was done, nearest first; often nothing.
    #[serde(default)]
    pub because: Vec<Link>,
    /// What was done, in plain words.
    pub action: String,
    /// Who did, or does, that.
    #[serde(default)]
    pub by: By,
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
    Oom {
        /// How many processes it killed there, counted in the part's own cgroup.
        #[serde(default)]
        #[ts(type = "number")]
        kills: u64,
    },
    /// The container ended under it.
    ContainerDied,
    /// The Node runtime ended under it.
    RuntimeDied,
    /// Somebody asked for it.
    Operator {
        /// Who.
        by: By,
        /// For what.
        asked: Asked,
    },
    /// A health check failed for so long that its package wants a restart.
    FailedCheck {
        /// The check's name for people.
        check: String,
        /// What it said last.
        message: Option<String>,
    },
    /// A task that the package calls critical is not done.
    ConfigurationMissing {
        /// The package that the task is about.
        package: String,
        /// The action to run.
        action: String,
        /// Why, where the package says so.
        reason: Option<String>,
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
    /// Another version did not prove itself, and the one before is back.
    UpdateFailed {
        /// The version that did not.
        to: String,
        /// Why.
        message: String,
    },
    /// A part of Coppice itself failed.
    Internal {
        /// What it said.
        message: String,
    },
}

/// Who did something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(
    tag = "who",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum By {
    /// Coppice, as its supervisors decided.
    #[default]
    Coppice,
    /// The service's own package.
    Package,
    /// A person.
    Account {
        /// Its name.
        name: String,
    },
}

/// What somebody asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// To run.
    Start,
    /// Not to run.
    Stop,
    /// To stop, then run.
    Restart,
}

/// One step of an explanation: how a service is; the next step says why it is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Link {
    /// A part of it failed.
    Failed {
        /// The service.
        service: String,
        /// The part, as in [`RestartRecord::what`].
        what: String,
        /// Why.
        cause: Cause,
    },
    /// It failed too often and waits for its next try.
    Parked {
        /// The service.
        service: String,
    },
    /// It failed while something it needs is missing, and waits for that.
    Held {
        /// The service.
        service: String,
    },
    /// Nobody wants it to run.
    Stopped {
        /// The service.
        service: String,
    },
    /// It is on its way up.
    Starting {
        /// The service.
        service: String,
    },
    /// It runs, and one of its checks fails.
    Unwell {
        /// The service.
        service: String,
        /// The check's name for people.
        check: String,
        /// What the check says.
        message: Option<String>,
    },
    /// It is not installed.
    Missing {
        /// The service.
        service: String,
    },
    /// A critical task of it is not done.
    NeedsTask {
        /// The service.
        service: String,
        /// The action to run.
        action: String,
        /// Why, where the package says so.
        reason: Option<String>,
    },
    /// The disk is full.
    DiskFull {
        /// Bytes that are left.
        #[ts(type = "number")]
        free: u64,
    },
}

/// What a held service waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum WaitsFor {
    /// That a service it requires runs and is well.
    Dependency {
        /// The service.
        id: String,
    },
    /// That there is room on the disk.
    Room,
}

/// A service that failed while something it needs was missing: it is tried again when that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Since when.
    #[ts(type = "string")]
    pub since: Wall,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// Why that is missing, nearest first.
    pub because: Vec<Link>,
    /// All of it in plain words, with the way out.
    pub reason: String,
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
    /// Why, nearest first.
    #[serde(default)]
    pub because: Vec<Link>,
    /// When Coppice tries again by itself.
    #[ts(type = "string")]
    pub next_probe: Wall,
}

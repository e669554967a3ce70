//! The status of a service: what is wanted, what is observed, what its checks say.

use std::collections::BTreeMap;

use coppice_clock::Wall;
use patchdb::Places;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Everything the status line of a service is derived from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, Places)]
#[serde(rename_all = "camelCase")]
pub struct StatusInfo {
    /// Last report of each health check, by check id; empty while the service is stopped.
    pub health: BTreeMap<String, HealthReport>,
    /// Why the service could not be brought up, until it is.
    pub error: Option<ErrorInfo>,
    /// When the package's `main` had built its daemons; `None` while it is not running.
    #[ts(type = "string | null")]
    pub started: Option<Wall>,
    /// What the user or the package asked for.
    pub desired: DesiredStatus,
}

impl StatusInfo {
    /// A service that nobody asked to run yet.
    #[must_use]
    pub const fn stopped() -> Self {
        Self {
            health: BTreeMap::new(),
            error: None,
            started: None,
            desired: DesiredStatus::Stopped,
        }
    }
}

/// What a service is asked to be; durable before anything acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(
    tag = "main",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum DesiredStatus {
    /// Not running.
    Stopped,
    /// Running.
    Running,
    /// Stop once, then run; `restart_again` when a restart was asked during the restart.
    Restarting {
        /// Go round once more after this restart.
        restart_again: bool,
    },
    /// Stopped for the time of a backup.
    BackingUp {
        /// What follows the backup.
        on_complete: NextStop,
    },
}

/// What a service does after its backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum NextStop {
    /// Run again.
    Start,
    /// Stay stopped.
    Stop,
}

impl DesiredStatus {
    /// Whether the package's `main` should be up in the end.
    #[must_use]
    pub const fn wants_running(self) -> bool {
        matches!(self, Self::Running | Self::Restarting { .. })
    }

    /// The state after a user's or package's request to start.
    #[must_use]
    pub const fn start(self) -> Self {
        match self {
            Self::BackingUp { .. } => Self::BackingUp {
                on_complete: NextStop::Start,
            },
            Self::Restarting { .. } => self,
            Self::Stopped | Self::Running => Self::Running,
        }
    }

    /// The state after a request to stop. A stop always wins.
    #[must_use]
    pub const fn stop(self) -> Self {
        match self {
            Self::BackingUp { .. } => Self::BackingUp {
                on_complete: NextStop::Stop,
            },
            _ => Self::Stopped,
        }
    }

    /// The state after a request to restart; `started` says whether `main` is up now.
    ///
    /// While it is on its way up, it may have read already what has changed since: one more round.
    #[must_use]
    pub const fn restart(self, started: bool) -> Self {
        match self {
            Self::Running => Self::Restarting {
                restart_again: !started,
            },
            Self::Restarting { .. } if !started => Self::Restarting {
                restart_again: true,
            },
            _ => self,
        }
    }

    /// The state after `main` came up; `before` says whether it had been noted as up already.
    ///
    /// Then it is one that outlived the core, and a restart that was asked for is still to come.
    #[must_use]
    pub const fn came_up(self, before: bool) -> Self {
        match self {
            Self::Restarting { restart_again } if !before => match restart_again {
                true => Self::Restarting {
                    restart_again: false,
                },
                false => Self::Running,
            },
            _ => self,
        }
    }
}

/// One health check's report, as the package sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct HealthReport {
    /// The check's name for people.
    pub name: String,
    /// What it found.
    pub result: HealthResult,
    /// What it says about it.
    pub message: Option<String>,
}

/// What a health check can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum HealthResult {
    /// It answers.
    Success,
    /// The package switched this check off.
    Disabled,
    /// Not yet, within its grace period.
    Starting,
    /// It waits for other daemons.
    Waiting,
    /// It works on something that takes time.
    Loading,
    /// It should answer and does not.
    Failure,
}

/// An error as the API and the document show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ErrorInfo {
    /// What failed, on what, and the next step.
    pub details: String,
    /// The chain of causes, for a bug report.
    pub debug: String,
    /// Parameters of the error, for translation.
    #[ts(type = "unknown")]
    pub info: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_one_round_more_unless_the_round_that_begins_does_for_it() {
        let restarting = |restart_again| DesiredStatus::Restarting { restart_again };
        for (before, started, after) in [
            (DesiredStatus::Running, true, restarting(false)),
            // What is on its way up has perhaps read already what changed.
            (DesiredStatus::Running, false, restarting(true)),
            (restarting(false), true, restarting(false)),
            (restarting(false), false, restarting(true)),
            (restarting(true), false, restarting(true)),
            (DesiredStatus::Stopped, false, DesiredStatus::Stopped),
        ] {
            assert_eq!(before.restart(started), after, "{before:?} {started}");
        }
    }

    #[test]
    fn a_start_does_for_a_restart_unless_it_only_found_what_was_up_before() {
        let restarting = |restart_again| DesiredStatus::Restarting { restart_again };
        for (wanted, before, after) in [
            (restarting(false), false, DesiredStatus::Running),
            (restarting(true), false, restarting(false)),
            (restarting(false), true, restarting(false)),
            (DesiredStatus::Running, true, DesiredStatus::Running),
            (DesiredStatus::Stopped, false, DesiredStatus::Stopped),
        ] {
            assert_eq!(wanted.came_up(before), after, "{wanted:?} {before}");
        }
    }
}

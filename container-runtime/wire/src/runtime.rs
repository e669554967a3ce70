//! Host to Node runtime.
//!
//! Meaning and order of these calls are the package ABI; only their form is ours. The runtime's own
//! requests are the effects, whose parameters belong to whoever answers them and pass through here
//! as plain JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Load the package and run its `init` ([`Init`] to null). Later calls do nothing.
pub const INIT: &str = "init";
/// Run `main` and build it (null to null); answered when it is built.
pub const START: &str = "start";
/// Leave the context of `main` and end it (null to null).
pub const STOP: &str = "stop";
/// End `main`, run `uninit`, answer, end the process ([`Exit`] to null).
pub const EXIT: &str = "exit";
/// Run one procedure ([`Execute`] to whatever it returns).
pub const EXECUTE: &str = "execute";
/// Notification: something watched has changed ([`Callback`]).
pub const CALLBACK: &str = "callback";

/// Procedure that makes a backup.
pub const CREATE_BACKUP: &str = "/backup/create";

/// Why `init` runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitKind {
    /// New package, no data yet.
    Install,
    /// Over an existing package, or over data that was kept.
    Update,
    /// From a backup, mounted read-only meanwhile.
    Restore,
}

/// Parameters of [`INIT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// Event id the package sees.
    pub id: String,
    /// `None` on boot, rebuild, rollback, and for a new generation.
    pub kind: Option<InitKind>,
}

/// Parameters of [`EXIT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Event id the package sees.
    pub id: String,
    /// A version, a version range, or `None` for an uninstall.
    pub target: Option<String>,
}

/// Parameters of [`EXECUTE`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execute {
    /// Event id the package sees.
    pub id: String,
    /// `/backup/create`, `/actions/<id>/getInput` or `/actions/<id>/run`.
    pub procedure: String,
    /// `{prefill}` for `getInput`, `{input}` for `run`.
    pub input: Value,
    /// Milliseconds the host will wait; the runtime does not cancel by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}

/// Parameters of [`CALLBACK`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Callback {
    /// The number the effect carried.
    pub id: u64,
    /// Ignored by packages, which read again; empty will do.
    pub args: Vec<Value>,
}

/// The procedure path that asks action `id` for its form.
#[must_use]
pub fn get_input(id: &str) -> String {
    format!("/actions/{id}/getInput")
}

/// The procedure path that runs action `id`.
#[must_use]
pub fn run(id: &str) -> String {
    format!("/actions/{id}/run")
}

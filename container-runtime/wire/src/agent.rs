//! Host and agent.
//!
//! The host asks for processes, the agent reports what became of them. Reports carry a sequence
//! number that only grows within one container life (`boot`); the agent keeps each until an
//! [`Ack`] covers it, and sends what is left again after every reconnect. A report may therefore
//! arrive twice, never out of order; a gap means the agent's bounded journal overflowed, and
//! [`LIST`] tells what is alive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::short;

/// Host to agent: start a process ([`Spawn`] to [`Spawned`]).
pub const SPAWN: &str = "spawn";
/// Host to agent: send a signal ([`Signal`] to null; not found when it is gone).
pub const SIGNAL: &str = "signal";
/// Host to agent: end a generation ([`KillGeneration`] to [`Killed`]).
pub const KILL_GENERATION: &str = "kill-generation";
/// Host to agent: what is alive (null to [`ProcessList`]).
pub const LIST: &str = "list";
/// Host to agent: reports up to here are safe ([`Ack`] to null); a notification will do.
pub const ACK: &str = "ack";
/// Host to agent: end the container ([`Shutdown`] to null, answered before it happens).
pub const SHUTDOWN: &str = "shutdown";
/// Agent to host, notification: [`ProcessStarted`].
pub const PROCESS_STARTED: &str = "process.started";
/// Agent to host, notification: [`ProcessExited`].
pub const PROCESS_EXITED: &str = "process.exited";

/// Start a process in its own cgroup leaf, both outputs drained into the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    /// Name of the process, 1 to 64 of `A-Za-z0-9._-`; unique among the living. Spawning an id
    /// that is alive answers with the living pid: a repeated request is harmless.
    pub id: String,
    /// Whose it is: `None` is the host's (survives Node), `Some(n)` is runtime generation n.
    #[serde(default)]
    pub generation: Option<u64>,
    /// Name of its cgroup leaf, 1 to 128 of `A-Za-z0-9._-`: `runtime-<gen>`, or as [`daemon_leaf`]
    /// gives it. What is left in a leaf of the host's when its process ends is killed.
    pub leaf: String,
    /// Program (absolute path) and arguments; at least one.
    pub argv: Vec<String>,
    /// The whole environment; the agent adds only [`crate::paths::ENV_BOOT`].
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Directory to start in; `/` when absent.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Milliseconds between SIGTERM and SIGKILL when the host ends it. The agent only keeps it, for a
    /// core that finds the process and knows nothing else of it.
    #[serde(default)]
    pub grace_ms: Option<u64>,
}

/// Answer to [`Spawn`]: the program has been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// Pid as the container sees it.
    pub pid: i32,
}

/// Send a signal to a process by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// As in [`Spawn::id`] or [`ProcessStarted::id`].
    pub id: String,
    /// Signal number of this architecture, 1 to 64.
    pub signal: i32,
}

/// SIGKILL everything in the leaves of one generation, and answer once they are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillGeneration {
    /// The generation that must not have a living process any more.
    pub generation: u64,
}

/// Answer to [`KillGeneration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// Processes that were signalled.
    pub killed: u64,
}

/// All reports up to and including `seq` are durable on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// As in [`ProcessStarted::seq`].
    pub seq: u64,
}

/// End everything in the container, then the agent (exit status 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shutdown {
    /// Milliseconds between SIGTERM and SIGKILL.
    pub grace_ms: u64,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessKind {
    /// Spawned by the host and owned by it.
    Host,
    /// The Node runtime.
    Runtime,
    /// Pid 1 of a subcontainer (`subcontainer launch`).
    Leader,
    /// A command in a subcontainer (`subcontainer exec`).
    Exec,
}

/// A process exists. It has not run its program yet when this is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStarted {
    /// Grows by one per report.
    pub seq: u64,
    /// The spawn's id, or one the agent made (`leader-<n>`, `exec-<n>`).
    #[serde(deserialize_with = "short::name")]
    pub id: String,
    /// Pid as the container sees it.
    pub pid: i32,
    /// What it is.
    pub kind: ProcessKind,
    /// Whose it is.
    pub generation: Option<u64>,
    /// Its cgroup leaf.
    #[serde(deserialize_with = "short::name")]
    pub leaf: String,
    /// Guid of the subcontainer, for leaders and execs.
    #[serde(default, deserialize_with = "short::maybe_name")]
    pub root: Option<String>,
    /// Program and arguments as given, cut when long; empty for a leader without a command.
    #[serde(deserialize_with = "short::argv")]
    pub argv: Vec<String>,
    /// Whether its output goes where the output of a spawned process goes, as a daemon's does; the
    /// output of a mere question is read by whoever asked it.
    #[serde(default)]
    pub daemon: bool,
    /// As in [`Spawn::grace_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// Milliseconds since 1970 by the container's clock.
    pub at_ms: i64,
}

/// A process is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessExited {
    /// As in [`ProcessStarted::seq`].
    pub seq: u64,
    /// As in [`ProcessStarted::id`].
    #[serde(deserialize_with = "short::name")]
    pub id: String,
    /// Pid it had.
    pub pid: i32,
    /// What it was.
    pub kind: ProcessKind,
    /// Whose it was.
    pub generation: Option<u64>,
    /// Exit status, when it ended by itself.
    pub code: Option<i32>,
    /// Signal that ended it otherwise. A `start-container` that was killed reports nothing more;
    /// the agent then says 9, because the command behind it is killed with it.
    pub signal: Option<i32>,
    /// Milliseconds it lived.
    pub ran_ms: u64,
    /// Out-of-memory kills counted in its leaf while it lived; absent where nothing counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// As in [`ProcessStarted::root`]: a host that has forgotten the start still knows what ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The program as it was given; absent for a leader without a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// As in [`ProcessStarted::daemon`].
    #[serde(default)]
    pub daemon: bool,
    /// Whether its package had asked it to end: SIGTERM had come to the `start-container` that stands in for it.
    #[serde(default)]
    pub asked: bool,
}

/// Answer to [`LIST`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessList {
    /// Everything the agent knows to be alive, oldest first; long command lines cut short.
    #[serde(deserialize_with = "short::list")]
    pub processes: Vec<ProcessStarted>,
    /// The newest report's number: later ones are not in the list.
    pub seq: u64,
}

/// The leaf of a daemon, by the name of what it runs in and whose it is.
#[must_use]
pub fn daemon_leaf(name: &str, generation: Option<u64>) -> String {
    match generation {
        Some(number) => format!("d-{name}-{number}"),
        None => format!("d-{name}-host"),
    }
}

/// Whether `name` may be the name of a process or a leaf of at most `longest` bytes.
#[must_use]
pub fn is_safe_name(name: &str, longest: usize) -> bool {
    !name.is_empty()
        && name.len() <= longest
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn started(id: &str, argv: &[&str]) -> Result<ProcessStarted, serde_json::Error> {
        serde_json::from_value(json!({
            "seq": 1, "id": id, "pid": 2, "kind": "exec", "generation": null, "leaf": "",
            "root": null, "argv": argv, "at_ms": 0,
        }))
    }

    #[test]
    fn a_report_with_a_name_of_any_length_is_refused() {
        assert!(started("exec-1", &["/bin/true"]).is_ok());
        assert!(started(&"x".repeat(129), &["/bin/true"]).is_err());
    }

    #[test]
    fn a_long_command_line_is_cut_at_a_character() {
        let long = "ä".repeat(4000);
        let argv = started("exec-1", &["a", &long, "b"]).unwrap().argv;
        assert_eq!(argv.len(), 2);
        assert_eq!((argv[0].as_str(), argv[1].len()), ("a", 4094));
        let empty = vec![""; 100_000];
        assert_eq!(started("exec-1", &empty).unwrap().argv.len(), 64);
    }

    #[test]
    fn a_list_of_more_processes_than_a_container_can_have_is_refused() {
        let one = json!(started("exec-1", &[]).unwrap());
        let list = |count: usize| {
            serde_json::from_value::<ProcessList>(
                json!({ "seq": 1, "processes": vec![&one; count] }),
            )
        };
        assert_eq!(list(1000).unwrap().processes.len(), 1000);
        assert!(list(16 * 1024 + 1).is_err());
    }
}

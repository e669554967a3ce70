//! What happens to a runtime.

use coppice_supervision::variants;

use crate::model::DesiredStatus;

/// What happens to a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The agent is connected; `live` is the generation of a Node process that already runs.
    AgentUp {
        /// Generation of a running Node process.
        live: Option<u64>,
        /// The generation to use for a new one.
        next: u64,
        /// The generation that fell asleep in this container.
        asleep: Option<u64>,
    },
    /// The agent could not start Node.
    SpawnFailed(String),
    /// A Node process said hello.
    RuntimeUp {
        /// The generation it says it is.
        generation: u64,
    },
    /// A Node process ended.
    RuntimeEnded {
        /// Its generation.
        generation: u64,
        /// Its exit code, when it had one.
        code: Option<i32>,
        /// The signal that ended it, when one did.
        signal: Option<i32>,
        /// How many processes the kernel killed for memory in its leaf, where that is counted.
        oom_kills: Option<u64>,
    },
    /// The agent was asked what lives, and this generation's Node process does not.
    RuntimeMissing {
        /// Its generation.
        generation: u64,
    },
    /// `init` answered.
    InitDone(Result<(), String>),
    /// `start` answered.
    StartDone(Result<(), String>),
    /// `stop` answered.
    StopDone(Result<(), String>),
    /// `exit` answered.
    ExitDone(Result<(), String>),
    /// A Node process has nothing to do: all that the service runs is kept by the host.
    Drowsy {
        /// Its generation.
        generation: u64,
    },
    /// It may not end after all: somebody is asking it something.
    NotYet,
    /// Somebody wants to ask Node something.
    Rouse,
    /// Run the package's `uninit` and end.
    Exit,
    /// What is wanted may have changed.
    Desired(DesiredStatus),
    /// What has just failed is not to be tried again for now.
    Hold,
    /// What is held may be tried again.
    Release,
    /// A deadline or a retry may be due.
    Wake,
}

variants!(
    Input: AgentUp, SpawnFailed, RuntimeUp, RuntimeEnded, RuntimeMissing, InitDone, StartDone,
    StopDone, ExitDone, Drowsy, NotYet, Rouse, Exit, Desired, Hold, Release, Wake
);

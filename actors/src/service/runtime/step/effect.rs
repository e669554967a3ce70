//! What is done for its life.

use coppice_clock::Mono;

/// What the shell does for the machine, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Kill everything of other generations that the agent knows of, then start Node as this one.
    Spawn {
        /// The new generation.
        generation: u64,
    },
    /// Note that nothing runs any more: `started` and health are cleared, a restart is a run.
    ClearRun,
    /// Ask `init`.
    CallInit,
    /// Ask `start`.
    CallStart,
    /// Ask `stop`.
    CallStop,
    /// Ask `exit`.
    CallExit,
    /// Note that `main` is up (`started` is set, a restart is over or goes round once more), and
    /// then send [`Input::Desired`] with what is wanted.
    NoteStarted,
    /// Note that `main` is down: `started` and health are cleared.
    NoteStopped,
    /// Unless somebody is asking Node something, note durably that it sleeps and give it leave to end;
    /// otherwise refuse it, and send [`Input::NotYet`].
    GiveLeave {
        /// The generation.
        generation: u64,
    },
    /// Tell the Node process that has nothing to do to stay.
    RefuseLeave,
    /// Show this error until the next success.
    ShowError(String),
    /// Clear the error shown.
    ClearError,
    /// Kill everything of a generation.
    KillGeneration {
        /// The generation.
        generation: u64,
    },
    /// Send [`Input::Wake`] at this time.
    WakeAt(Mono),
    /// Send [`Input::Desired`] with what is wanted now.
    AskDesired,
    /// Look for an agent, as when this life began.
    LookForAgent,
}

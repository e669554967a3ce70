//! Why a runtime is over, for the record and in words.

use crate::model::Cause;

/// Why a runtime is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The Node process ended.
    Ended {
        /// Its exit code, when it had one.
        code: Option<i32>,
        /// The signal that ended it, when one did.
        signal: Option<i32>,
        /// How many processes the kernel killed for memory in its leaf, where that is counted.
        oom_kills: Option<u64>,
    },
    /// It did not do this in time.
    Deadline(&'static str),
    /// The package's `init` failed.
    Init(String),
    /// The package's `main` did not stop in good order.
    Stop(String),
    /// The package's `uninit` failed.
    Uninit(String),
    /// The agent could not start Node.
    Spawn(String),
    /// The Node process is gone, and nobody heard how it ended.
    Vanished,
}

impl Failure {
    /// The part that failed, as the restart record names it.
    #[must_use]
    pub const fn part(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Uninit(_) => "uninit",
            Self::Ended { .. }
            | Self::Deadline(_)
            | Self::Stop(_)
            | Self::Spawn(_)
            | Self::Vanished => "runtime",
        }
    }

    /// As the restart record has it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::Ended {
                oom_kills: Some(kills @ 1..),
                ..
            } => Cause::Oom { kills: *kills },
            Self::Ended {
                signal: Some(signal),
                ..
            } => Cause::Signal { signal: *signal },
            Self::Ended { code, .. } => Cause::Exit {
                code: code.unwrap_or(-1),
            },
            Self::Deadline(waited_for) => Cause::Deadline {
                waited_for: (*waited_for).to_owned(),
            },
            Self::Init(message) | Self::Spawn(message) => Cause::StartFailed {
                message: message.clone(),
            },
            Self::Vanished => Cause::RuntimeDied,
            Self::Stop(message) | Self::Uninit(message) => Cause::StopFailed {
                message: message.clone(),
            },
        }
    }

    /// In words, for whoever waits for the runtime.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Ended {
                oom_kills: Some(1..),
                ..
            } => "the Node runtime ran out of memory".to_owned(),
            Self::Ended {
                signal: Some(signal),
                ..
            } => format!("the Node runtime was ended by signal {signal}"),
            Self::Ended { code, .. } => format!(
                "the Node runtime ended with exit code {}",
                code.unwrap_or(-1)
            ),
            Self::Deadline(waited_for) => format!("{waited_for} took too long"),
            Self::Vanished => "the Node runtime ended while nobody watched".to_owned(),
            Self::Init(why) => why.clone(),
            Self::Stop(why) => format!("stop failed: {why}"),
            Self::Uninit(why) => format!("uninit failed: {why}"),
            Self::Spawn(why) => format!("the Node runtime could not be started: {why}"),
        }
    }
}

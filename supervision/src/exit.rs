//! Why an actor ended, as a type.
//!
//! ractor reports an end as an optional string (`stop`) or an error (`Err` from a handler, or a
//! panic). A child that wants to say more ends with one of these:
//!
//! - `return Err(ExitReason::abnormal(error).into())` from any handler: the supervisor gets the
//!   error itself and can downcast it. `post_stop` does not run.
//! - [`stop`]`(&myself, reason)`: the rest of the queue is dropped, `post_stop` runs, and the
//!   supervisor gets the reason, an error reduced to its text.
//!
//! A plain `stop(None)` is [`ExitReason::Normal`], a plain `stop(Some(text))` is a
//! [`ExitReason::Shutdown`] with that note, a panic is [`ExitReason::Panic`].

use std::{error::Error, fmt, sync::Arc, time::Duration};

use ractor::{ActorCell, ActorProcessingErr};
use serde::{Deserialize, Serialize};

use crate::id::ChildId;

/// Why an actor ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// Its work was done.
    Normal,
    /// It was asked to end, or ended itself in good order.
    Shutdown(ShutdownDetail),
    /// It failed and said why.
    Abnormal(Failure),
    /// It was killed: by its supervisor after the shutdown time, or by someone else.
    Killed,
    /// A handler panicked; the panic's text.
    Panic(String),
    /// It never came up: its start returned an error, panicked, or took longer than its deadline.
    StartFailed(Failure),
}

/// What a restart decision looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitClass {
    /// [`ExitReason::Normal`].
    Normal,
    /// [`ExitReason::Shutdown`].
    Shutdown,
    /// Everything else.
    Abnormal,
}

/// Who asked for an orderly end, or why it came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShutdownDetail {
    /// A supervisor or an operator asked.
    Requested,
    /// The actor said so itself, in these words.
    Note(String),
    /// A supervisor gave up: `child` needed more restarts than its intensity allows.
    /// The parent decides what to do (escalation).
    Intensity {
        /// The child whose end was one too many.
        child: ChildId,
        /// How that child ended.
        last: Box<ExitReason>,
    },
    /// A supervisor ended because its significant children had (auto-shutdown).
    Significant {
        /// The significant child that ended last.
        child: ChildId,
        /// How that child ended.
        last: Box<ExitReason>,
    },
}

/// An error that ended an actor: its text for everyone, and the error itself for this process.
///
/// Equality and the stored form look at the text only.
#[derive(Clone, Serialize, Deserialize)]
pub struct Failure {
    text: String,
    #[serde(skip)]
    error: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Wraps an error; the text is its whole chain, joined by `: `.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self::from_arc(Arc::new(error))
    }

    pub(crate) fn from_box(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::from_arc(error.into())
    }

    fn from_arc(error: Arc<dyn Error + Send + Sync>) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self {
            text,
            error: Some(error),
        }
    }

    /// A failure that is only words.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            error: None,
        }
    }

    /// The same failure, told from further away: `what: text`.
    pub(crate) fn within(&self, what: &str) -> Self {
        Self {
            text: format!("{what}: {}", self.text),
            error: self.error.clone(),
        }
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The error as the type it had, when it was handed over in this process and is of that type.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.error.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?})", self.text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Failure {}

impl ExitReason {
    /// A failure with an error the observer can downcast.
    pub fn abnormal(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Abnormal(Failure::new(error))
    }

    /// An orderly end with a note.
    pub fn shutdown(note: impl Into<String>) -> Self {
        Self::Shutdown(ShutdownDetail::Note(note.into()))
    }

    /// What a restart decision looks at.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::Normal => ExitClass::Normal,
            Self::Shutdown(_) => ExitClass::Shutdown,
            Self::Abnormal(_) | Self::Killed | Self::Panic(_) | Self::StartFailed(_) => {
                ExitClass::Abnormal
            }
        }
    }

    /// The first link of the chain: where a supervisor gave up, how its child had ended, and so
    /// on down.
    #[must_use]
    pub fn root_cause(&self) -> &Self {
        match self {
            Self::Shutdown(
                ShutdownDetail::Intensity { last, .. } | ShutdownDetail::Significant { last, .. },
            ) => last.root_cause(),
            other => other,
        }
    }

    /// What a `StopMessage` says, as a reason. `None` and foreign words have a meaning too.
    pub(crate) fn from_stop_text(text: Option<&str>) -> Self {
        let Some(text) = text else {
            return Self::Normal;
        };
        let Some(typed) = text.strip_prefix(STOP_PREFIX) else {
            return match text {
                // What ractor itself writes for a kill, and for a task that its runtime dropped.
                "killed" | "actor_task_cancelled" => Self::Killed,
                note => Self::shutdown(note),
            };
        };
        match typed.split_once('/').unwrap_or((typed, "")) {
            ("normal", _) => Self::Normal,
            ("shutdown", "") => Self::Shutdown(ShutdownDetail::Requested),
            ("shutdown", note) => Self::shutdown(note),
            ("killed", _) => Self::Killed,
            ("panic", text) => Self::Panic(text.to_owned()),
            ("start-failed", text) => Self::StartFailed(Failure::text(text)),
            (_, text) => Self::Abnormal(Failure::text(text)),
        }
    }

    pub(crate) fn to_stop_text(&self) -> String {
        let (kind, text) = match self {
            Self::Normal => ("normal", String::new()),
            Self::Shutdown(ShutdownDetail::Requested) => ("shutdown", String::new()),
            Self::Shutdown(detail) => ("shutdown", detail.to_string()),
            Self::Abnormal(failure) => ("abnormal", failure.to_string()),
            Self::Killed => ("killed", String::new()),
            Self::Panic(text) => ("panic", text.clone()),
            Self::StartFailed(failure) => ("start-failed", failure.to_string()),
        };
        format!("{STOP_PREFIX}{kind}/{text}")
    }

    /// What an `Err` from a handler says.
    pub(crate) fn from_handler_error(error: ActorProcessingErr) -> Self {
        match error.downcast::<Self>() {
            Ok(reason) => *reason,
            Err(error) => Self::Abnormal(Failure::from_box(error)),
        }
    }
}

// Unprintable, so that no ordinary stop text is taken for a typed one.
const STOP_PREFIX: &str = "\u{1}exit/";

/// Stops an actor in good order (`post_stop` runs) with a typed reason for its supervisor.
///
/// Only the first stop of an actor counts; a later one is ignored.
pub fn stop(actor: &ActorCell, reason: &ExitReason) {
    actor.stop(Some(reason.to_stop_text()));
}

impl Error for ExitReason {}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended normally"),
            Self::Shutdown(ShutdownDetail::Requested) => f.write_str("was shut down"),
            Self::Shutdown(detail) => write!(f, "shut down: {detail}"),
            Self::Abnormal(failure) => write!(f, "failed: {failure}"),
            Self::Killed => f.write_str("was killed"),
            Self::Panic(text) => write!(f, "panicked: {text}"),
            Self::StartFailed(failure) => write!(f, "did not start: {failure}"),
        }
    }
}

impl fmt::Display for ShutdownDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("requested"),
            Self::Note(note) => f.write_str(note),
            Self::Intensity { child, last } => {
                write!(f, "`{child}` needed too many restarts; last it {last}")
            }
            Self::Significant { child, last } => {
                write!(f, "the significant child `{child}` {last}")
            }
        }
    }
}

/// A start that took too long.
#[derive(Debug, thiserror::Error)]
#[error("not started after {} ms", .deadline.as_millis())]
pub struct StartDeadlinePassed {
    /// The deadline it had.
    pub deadline: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(reason: &ExitReason) -> ExitReason {
        ExitReason::from_stop_text(Some(&reason.to_stop_text()))
    }

    #[test]
    fn a_typed_reason_survives_the_way_through_a_stop_message() {
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown(ShutdownDetail::Requested),
            ExitReason::shutdown("moving/house"),
            ExitReason::Abnormal(Failure::text("exit code 1")),
            ExitReason::Killed,
            ExitReason::Panic("index / out of range".into()),
            ExitReason::StartFailed(Failure::text("no image")),
        ] {
            assert_eq!(round_trip(&reason), reason);
        }
    }

    #[test]
    fn a_plain_stop_is_normal_and_a_plain_note_is_a_shutdown() {
        assert_eq!(ExitReason::from_stop_text(None), ExitReason::Normal);
        assert_eq!(
            ExitReason::from_stop_text(Some("done here")),
            ExitReason::shutdown("done here")
        );
    }

    #[test]
    fn a_failure_prints_its_whole_chain_and_can_be_downcast() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not mount `/data`")]
        struct Mount(#[source] std::io::Error);
        let failure = Failure::new(Mount(std::io::Error::other("busy")));
        assert_eq!(failure.as_str(), "could not mount `/data`: busy");
        assert!(failure.downcast_ref::<Mount>().is_some());
        assert!(failure.downcast_ref::<std::fmt::Error>().is_none());
    }

    #[test]
    fn the_root_cause_lies_under_every_supervisor_that_gave_up() {
        let gave_up = |child: &str, last| {
            ExitReason::Shutdown(ShutdownDetail::Intensity {
                child: child.into(),
                last: Box::new(last),
            })
        };
        let reason = gave_up("work", gave_up("daemon", ExitReason::Killed));
        assert_eq!(reason.root_cause(), &ExitReason::Killed);
    }
}

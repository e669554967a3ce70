//! What can go wrong, per operation. Callers branch on the variants; where nobody branches there
//! is one [`StepError`] that says what was being done.

use std::{fmt, io, path::PathBuf};

use crate::{Segment, TooManyExtents};

/// One step that failed: what was being done, and the system's answer.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}")]
pub struct StepError {
    /// In the infinitive, naming the object: "mount `/x` at `/y`".
    pub doing: String,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

impl StepError {
    /// Whether the disk is full (or the quota reached): freeing space helps, trying again does not.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.source.raw_os_error(),
            Some(libc::ENOSPC | libc::EDQUOT)
        )
    }
}

/// Why a container was not created. Whatever was built so far is gone again.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It runs already.
    #[error("`{instance}` already has a running container; adopt it, or stop it first")]
    AlreadyRunning {
        /// The instance.
        instance: Segment,
    },
    /// A file or directory of the specification is not there.
    #[error("`{path}`, part of `{instance}`, is missing; reinstall the package")]
    Missing {
        /// The instance.
        instance: Segment,
        /// What is missing.
        path: PathBuf,
    },
    /// The specification contradicts itself or the host.
    #[error("the container of `{instance}` cannot be made: {reason}")]
    Unusable {
        /// The instance.
        instance: Segment,
        /// What is wrong with it.
        reason: String,
    },
    /// No space to write to.
    #[error(
        "the disk is full, so `{instance}` cannot be started; free some space and start it again"
    )]
    DiskFull {
        /// The instance.
        instance: Segment,
        /// The step that found no space.
        #[source]
        source: StepError,
    },
    /// liblxc refused.
    #[error("the container of `{instance}` did not start; its log ends: {log}")]
    Start {
        /// The instance.
        instance: Segment,
        /// The last errors of liblxc's log.
        log: String,
    },
    /// Something else.
    #[error("could not create the container of `{instance}`")]
    Step {
        /// The instance.
        instance: Segment,
        /// The step that failed.
        #[source]
        source: StepError,
    },
}

impl CreateError {
    /// Sorts a failed step: a full disk is its own answer.
    pub(crate) fn step(instance: &Segment, source: StepError) -> Self {
        let instance = instance.clone();
        if source.is_disk_full() {
            Self::DiskFull { instance, source }
        } else {
            Self::Step { instance, source }
        }
    }
}

/// Why something asked of a container was not done.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// It has to run for this.
    #[error("the container of `{instance}` is not running; start the service first")]
    NotRunning {
        /// The instance.
        instance: Segment,
    },
    /// The package has no such image for this machine.
    #[error("`{instance}` has no image `{image}`")]
    UnknownImage {
        /// The instance.
        instance: Segment,
        /// The image asked for.
        image: Segment,
    },
    /// A path that leaves its root, is no path, or leads over a link where none may be.
    #[error("`{path}` cannot be used: {reason}")]
    UnusablePath {
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The id mappings cannot be expressed.
    #[error(transparent)]
    IdMap(#[from] TooManyExtents),
    /// Something else.
    #[error(transparent)]
    Step(#[from] StepError),
}

/// Names the step of an I/O result.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl fmt::Display) -> Result<T, StepError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T, StepError> {
        self.map_err(|source| StepError {
            doing: what.to_string(),
            source: source.into(),
        })
    }
}

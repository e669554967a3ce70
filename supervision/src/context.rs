//! What a start function is given, and what it may answer.

use std::sync::{Arc, Mutex, PoisonError};

use ractor::{Actor, ActorCell, ActorRef, SpawnErr};

use crate::{
    clock::Clock,
    event::Observer,
    exit::{ExitReason, Failure},
    guarded::Guarded,
    id::{ChildId, TreePath},
    spec::SupervisorSpec,
    supervisor,
};

/// What a start function is given: who it starts, under whom.
#[derive(Clone)]
pub struct ChildContext {
    pub(crate) parent: ActorCell,
    pub(crate) path: TreePath,
    pub(crate) restarts: u32,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) clock: Clock,
    pub(crate) spawned: Spawned,
}

/// Every actor spawned through one context, so that a start that fails halfway leaves none behind.
#[derive(Clone, Default)]
pub(crate) struct Spawned(Arc<Mutex<Vec<ActorCell>>>);

impl Spawned {
    fn add(&self, actor: ActorCell) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(actor);
    }

    /// Kills what was spawned, except `keep`.
    pub(crate) fn kill_except(&self, keep: Option<&ActorCell>) {
        let spawned = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for actor in spawned {
            if keep != Some(&actor) {
                actor.kill();
            }
        }
    }
}

impl ChildContext {
    /// The child's name.
    ///
    /// # Panics
    /// Never: a path has at least one name.
    #[must_use]
    pub fn id(&self) -> &ChildId {
        self.path.names().last().expect("a path is never empty")
    }

    /// The way from the root to the child.
    #[must_use]
    pub fn path(&self) -> &TreePath {
        &self.path
    }

    /// The supervisor that starts the child.
    #[must_use]
    pub fn parent(&self) -> &ActorCell {
        &self.parent
    }

    /// How often this child was restarted before.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The clock of the tree.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Spawns an actor under the supervisor; its panics are told from its errors.
    ///
    /// # Errors
    /// When `pre_start` returned an error or panicked.
    pub async fn spawn<A: Actor>(
        &self,
        actor: A,
        arguments: A::Arguments,
    ) -> Result<ActorRef<A::Msg>, StartError> {
        let (actor, _) =
            Actor::spawn_linked(None, Guarded(actor), arguments, self.parent.clone()).await?;
        self.spawned.add(actor.get_cell());
        Ok(actor)
    }

    pub(crate) async fn spawn_supervisor(
        &self,
        mut spec: SupervisorSpec,
    ) -> Result<ActorCell, StartError> {
        spec.observer = spec.observer.or_else(|| self.observer.clone());
        spec.clock.get_or_insert_with(|| self.clock.clone());
        let started = supervisor::spawn(spec, self.path.clone(), Some(self.parent.clone())).await?;
        // Before waiting for its children: if this start is given up meanwhile, it must go too.
        self.spawned.add(started.cell());
        started.up().await
    }
}

/// Why a start function brings no actor.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The child has nothing to do and does not want to run. Not a failure: its spec is kept
    /// unless it is temporary, and siblings go on (OTP's `ignore`).
    #[error("chose not to run")]
    Ignore,
    /// It failed.
    #[error("{0}")]
    Failed(Failure),
}

impl StartError {
    /// A failed start with an error the observer can downcast.
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Failure::new(error))
    }
}

impl From<SpawnErr> for StartError {
    fn from(error: SpawnErr) -> Self {
        Self::Failed(match error {
            SpawnErr::StartupFailed(inner) => match ExitReason::from_handler_error(inner) {
                ExitReason::StartFailed(failure) | ExitReason::Abnormal(failure) => failure,
                reason => Failure::text(reason.to_string()),
            },
            other => Failure::new(other),
        })
    }
}

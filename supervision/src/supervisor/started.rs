//! A supervisor as whoever spawns it has it: the actor is there before its children are.

use std::sync::{Arc, OnceLock};

use ractor::{Actor, ActorCell, ActorRef};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Arguments, Shell};
use crate::{
    context::StartError,
    exit::{ExitReason, Failure},
    guarded::Guarded,
    handle::{Supervisor, SupervisorMsg},
    id::TreePath,
    spec::SupervisorSpec,
};

/// A supervisor whose children may still be starting.
pub(crate) struct Started {
    pub(crate) actor: ActorRef<SupervisorMsg>,
    pub(crate) ended: Arc<OnceLock<ExitReason>>,
    up: oneshot::Receiver<Result<(), Failure>>,
    task: JoinHandle<()>,
}

impl Started {
    pub(crate) fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Waits until all children are up.
    pub(crate) async fn up(self) -> Result<ActorCell, StartError> {
        let cell = self.cell();
        self.up_and_task().await?;
        Ok(cell)
    }

    pub(crate) async fn up_and_task(self) -> Result<JoinHandle<()>, StartError> {
        match self.up.await {
            Ok(Ok(())) => Ok(self.task),
            Ok(Err(failure)) => {
                // The children are down; this waits for the actor itself to go.
                let _ = self.task.await;
                Err(StartError::Failed(failure))
            }
            Err(_) => Err(StartError::Failed(Failure::text(
                "the supervisor ended before its children were up",
            ))),
        }
    }
}

/// Spawns the actor; its children start after that.
pub(crate) async fn spawn(
    spec: SupervisorSpec,
    path: TreePath,
    parent: Option<ActorCell>,
) -> Result<Started, StartError> {
    spec.check().map_err(StartError::failed)?;
    let (up_sender, up) = oneshot::channel();
    let ended = Arc::new(OnceLock::new());
    let arguments = Arguments {
        spec,
        path,
        parent: parent.as_ref().and_then(Supervisor::from_cell),
        up: up_sender,
        ended: ended.clone(),
    };
    let shell = Guarded(Shell);
    let (actor, task) = match parent {
        Some(parent) => Actor::spawn_linked(None, shell, arguments, parent).await?,
        None => Actor::spawn(None, shell, arguments).await?,
    };
    Ok(Started {
        actor,
        ended,
        up,
        task,
    })
}

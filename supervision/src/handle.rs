//! The way to talk to a running supervisor.

use std::{fmt, time::Duration};

use coppice_clock::Mono;
use ractor::{ActorCell, ActorId, ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::task::JoinHandle;

use crate::{
    context::StartError,
    core::{ChildState, CommandError},
    exit::{ExitReason, ShutdownDetail},
    id::{ChildId, TreePath},
    spec::{ChildSpec, SupervisorSpec},
    supervisor::{self, Msg, Request},
};

/// The message type of a supervisor actor; made by [`Supervisor`] only.
pub struct SupervisorMsg(pub(crate) Msg);

impl fmt::Debug for SupervisorMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SupervisorMsg")
    }
}

/// A running supervisor. Cheap to clone; does not keep it alive.
#[derive(Clone, Debug)]
pub struct Supervisor {
    actor: ActorRef<SupervisorMsg>,
}

/// One child as its supervisor sees it.
#[derive(Clone, Debug)]
pub struct ChildInfo {
    /// Its name.
    pub id: ChildId,
    /// What it is.
    pub kind: crate::core::ChildKind,
    /// What it is doing.
    pub state: ChildState,
    /// How often it was restarted.
    pub restarts: u32,
    /// The actor, while there is one.
    pub actor: Option<ActorCell>,
}

/// Which supervisor this is, and its children in start order.
#[derive(Clone, Debug)]
pub struct Children {
    /// The way from the root to this supervisor.
    pub path: TreePath,
    /// When it was started.
    pub started_at: Mono,
    /// Its children.
    pub children: Vec<ChildInfo>,
}

impl Supervisor {
    /// Starts a root supervisor and waits until all its children are up.
    ///
    /// The join handle yields why it ended.
    ///
    /// # Errors
    /// [`StartError::Failed`] when the spec contradicts itself ([`crate::SpecError`]) or a child
    /// does not come up; those started before it are stopped again.
    pub async fn start(
        spec: SupervisorSpec,
    ) -> Result<(ActorRef<SupervisorMsg>, JoinHandle<ExitReason>), StartError> {
        let path = TreePath::root(spec.id.clone());
        let started = supervisor::spawn(spec, path, None).await?;
        let actor = started.actor.clone();
        let ended = started.ended.clone();
        let task = started.up_and_task().await?;
        let join = tokio::spawn(async move {
            // The task catches the supervisor's own panics; what is left is a dropped runtime.
            let _ = task.await;
            ended.get().cloned().unwrap_or(ExitReason::Killed)
        });
        Ok((actor, join))
    }

    /// Wraps the actor of a supervisor.
    #[must_use]
    pub fn new(actor: ActorRef<SupervisorMsg>) -> Self {
        Self { actor }
    }

    /// The supervisor behind a cell, or `None` if the actor is something else.
    #[must_use]
    pub fn from_cell(cell: &ActorCell) -> Option<Self> {
        (cell.is_message_type_of::<SupervisorMsg>() == Some(true)).then(|| Self {
            actor: cell.clone().into(),
        })
    }

    /// The actor.
    #[must_use]
    pub fn actor(&self) -> &ActorRef<SupervisorMsg> {
        &self.actor
    }

    /// Tells it that something was restarted below one of its children, if it still lives.
    pub(crate) fn unsteady(&self, child: ActorId) {
        let _ = self.actor.cast(SupervisorMsg(Msg::Unsteady(child)));
    }

    /// Adds a child after the others and starts it. `None` if the child chose not to run.
    ///
    /// # Errors
    /// [`CommandError::AlreadyPresent`] when the name is taken, [`CommandError::StartFailed`] when
    /// it did not come up (it is then not kept), [`CommandError::ShuttingDown`].
    pub async fn add(&self, child: ChildSpec) -> Result<Option<ActorCell>, CommandError> {
        self.ask(|port| Msg::Add(Box::new(child), port)).await?
    }

    /// Stops a child. Its spec is kept, unless it is temporary or the supervisor dynamic.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]. A child that is already down is no error.
    pub async fn terminate(&self, child: impl Into<ChildId>) -> Result<(), CommandError> {
        self.request(Request::Terminate, child).await
    }

    /// Starts a child that is down; tries a parked one at once.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Running`], [`CommandError::Restarting`], or
    /// [`CommandError::StartFailed`], after which the child is what it was before.
    pub async fn restart(&self, child: impl Into<ChildId>) -> Result<(), CommandError> {
        self.request(Request::Restart, child).await
    }

    /// Forgets the spec of a child that is down.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Running`], [`CommandError::Restarting`].
    pub async fn delete(&self, child: impl Into<ChildId>) -> Result<(), CommandError> {
        self.request(Request::Delete, child).await
    }

    /// Starts a parked child at once, with its counters forgotten. Harmless on one that is not
    /// parked.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], or [`CommandError::StartFailed`], after which it is parked
    /// again.
    pub async fn unpark(&self, child: impl Into<ChildId>) -> Result<(), CommandError> {
        self.request(Request::Unpark, child).await
    }

    /// The children in start order.
    ///
    /// # Errors
    /// [`CommandError::Gone`] when the supervisor has ended.
    pub async fn which_children(&self) -> Result<Children, CommandError> {
        self.ask(Msg::Children).await
    }

    /// The actor of one child, if it is up.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Gone`].
    pub async fn child(
        &self,
        child: impl Into<ChildId>,
    ) -> Result<Option<ActorCell>, CommandError> {
        let id = child.into();
        let children = self.which_children().await?.children;
        children
            .into_iter()
            .find(|child| child.id == id)
            .map(|child| child.actor)
            .ok_or(CommandError::NotFound { child: id })
    }

    /// Asks the supervisor to end its children in reverse order and then itself. Returns at once;
    /// the join handle of [`Supervisor::start`] or [`ActorCell::wait`] tells when it is done.
    pub fn shutdown(&self) {
        let reason = ExitReason::Shutdown(ShutdownDetail::Requested);
        // An error means that it has already ended, which is what was asked for.
        let _ = self.actor.cast(SupervisorMsg(Msg::Shutdown(reason)));
    }

    async fn request(
        &self,
        request: Request,
        child: impl Into<ChildId>,
    ) -> Result<(), CommandError> {
        let child = child.into();
        self.ask(|port| Msg::Request(request, child, port)).await?
    }

    async fn ask<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> Msg,
    ) -> Result<T, CommandError> {
        self.ask_within(message, None).await
    }

    pub(crate) async fn ask_within<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> Msg,
        timeout: Option<Duration>,
    ) -> Result<T, CommandError> {
        match self
            .actor
            .call(|port| SupervisorMsg(message(port)), timeout)
            .await
        {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => Err(CommandError::Gone),
        }
    }
}

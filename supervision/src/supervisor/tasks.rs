//! What a supervisor has running beside itself: starts, timers, and the wait for a child's end.
//!
//! Invariant: everything here ends by itself or with the supervisor's state, and speaks to the
//! supervisor in messages only.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use ractor::{ActorCell, ActorRef};
use tokio::task::AbortHandle;

use super::Msg;
use crate::{
    context::{ChildContext, Spawned, StartError},
    core::{KILL_GRACE, Key, Shutdown, StartId},
    exit::{self, ExitReason, Failure, ShutdownDetail, StartDeadlinePassed},
    guarded::panic_text,
    handle::SupervisorMsg,
    spec::StartFn,
};

pub(super) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A start under way. Dropping it gives the start up and kills what it has spawned so far.
pub(super) struct StartTask {
    pub(super) start: StartId,
    spawned: Spawned,
    _task: AbortOnDrop,
}

impl StartTask {
    /// Runs a start function for at most `deadline` and reports.
    pub(super) fn begin(
        supervisor: ActorRef<SupervisorMsg>,
        factory: StartFn,
        context: ChildContext,
        (key, start): (Key, StartId),
        deadline: Option<Duration>,
    ) -> Self {
        let spawned = context.spawned.clone();
        let run = run_start(supervisor, factory, context, (key, start), deadline);
        Self {
            start,
            spawned,
            _task: AbortOnDrop(tokio::spawn(run).abort_handle()),
        }
    }
}

impl Drop for StartTask {
    fn drop(&mut self) {
        self.spawned.kill_except(None);
    }
}

/// Ends one actor and waits for it, outside the state machine.
pub(super) async fn end(cell: ActorCell, shutdown: Shutdown) {
    let patience = match shutdown {
        Shutdown::BrutalKill => Some(Duration::ZERO),
        Shutdown::Timeout(patience) => Some(patience),
        Shutdown::Infinity => None,
    };
    exit::stop(&cell, &ExitReason::Shutdown(ShutdownDetail::Requested));
    if cell.wait(patience).await.is_err() {
        cell.kill();
        // As in the state machine: whoever does not even follow a kill is left behind.
        let _ = cell.wait(Some(KILL_GRACE)).await;
    }
}

/// Says so when `cell` has ended. Sent after ractor's own event, if there was one, which then has
/// been handled: supervision events go before messages.
pub(super) fn watch(supervisor: ActorRef<SupervisorMsg>, cell: ActorCell) {
    tokio::spawn(async move {
        // Without a limit there is no timeout to report.
        let _ = cell.wait(None).await;
        // A supervisor that is gone need not know.
        let _ = supervisor.cast(SupervisorMsg(Msg::Vanished(cell.get_id())));
    });
}

pub(super) fn send_after(
    supervisor: &ActorRef<SupervisorMsg>,
    wait: Duration,
    message: Msg,
) -> AbortOnDrop {
    let supervisor = supervisor.clone();
    let task = tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        // A supervisor that is gone has no use for its timers.
        let _ = supervisor.cast(SupervisorMsg(message));
    });
    AbortOnDrop(task.abort_handle())
}

/// Runs a start function to its end, its deadline or its panic, and reports.
async fn run_start(
    supervisor: ActorRef<SupervisorMsg>,
    factory: StartFn,
    context: ChildContext,
    (key, start): (Key, StartId),
    deadline: Option<Duration>,
) {
    let spawned = context.spawned.clone();
    // In an async block, so that a panic before the first await is caught too.
    let run = AssertUnwindSafe(async move { factory(context).await }).catch_unwind();
    let result = match deadline {
        Some(deadline) => match tokio::time::timeout(deadline, run).await {
            Ok(result) => result,
            Err(_) => Ok(Err(StartError::failed(StartDeadlinePassed { deadline }))),
        },
        None => run.await,
    };
    let result = result.unwrap_or_else(|panic| {
        let text = format!("panicked: {}", panic_text(&*panic));
        Err(StartError::Failed(Failure::text(text)))
    });
    spawned.kill_except(result.as_ref().ok());
    let started = result.as_ref().ok().cloned();
    let done = Msg::StartDone(key, start, result);
    if supervisor.cast(SupervisorMsg(done)).is_err()
        && let Some(orphan) = started
    {
        orphan.kill();
    }
}

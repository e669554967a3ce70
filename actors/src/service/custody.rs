//! Whether a service's container may be adopted, and who removes one that may not.
//!
//! Ending an actor never touches its container, and a successor adopts what runs. That is right as
//! long as the container is not what is wrong. When supervisors give up on what runs in it, they
//! *condemn* it (the observer calls [`condemn`] before the parent hears of the end): whoever comes
//! first, the next container's actor or the one that parks the service, removes it.
//!
//! Invariants: a condemned container is never adopted; it is removed once, and only by a call of
//! [`remove`] or [`clear`]; those never run side by side for one service, nor beside its making.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coppice_wire::agent::{SHUTDOWN, Shutdown};
use serde_json::json;
use tokio::sync::MutexGuard;

use super::{ContainerPhase, ServiceContext};
use crate::link::Peer;

/// An agent answers before it begins to end things.
const AGENT_PATIENCE: Duration = Duration::from_secs(5);

/// The state of a service's custody of its container.
#[derive(Debug, Default)]
pub struct Custody {
    condemned: AtomicBool,
    /// The agent of a condemned container: it can still end its processes in good order, and nobody
    /// else may talk to it any more.
    agent: Mutex<Option<Peer>>,
    turn: tokio::sync::Mutex<()>,
}

impl Custody {
    /// Whether the container must not be adopted.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }
}

/// Decides that the service's container must not be adopted. Quick, and repeating it is harmless.
///
/// Its connections are taken away in the same moment, so that what is started next waits for the
/// next container's.
pub fn condemn(service: &ServiceContext) {
    let custody = &service.custody;
    custody.condemned.store(true, Ordering::Release);
    service.container.send_replace(ContainerPhase::Down);
    if let Some(agent) = service.agent.send_replace(None) {
        *custody.agent.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent);
    }
    if let Some(runtime) = service.runtime.send_replace(None) {
        runtime.peer.close();
    }
}

/// A turn at the container: it is made by one, and removed by one, at a time.
pub async fn turn(service: &ServiceContext) -> MutexGuard<'_, ()> {
    service.custody.turn.lock().await
}

/// Removes the container if it is condemned.
///
/// # Errors
/// When it could not be removed; it stays condemned.
pub async fn clear(service: &Arc<ServiceContext>, grace: Duration) -> Result<(), String> {
    let _turn = turn(service).await;
    if !service.custody.is_condemned() {
        return Ok(());
    }
    tracing::info!(service = service.id, "removing a condemned container");
    remove_now(service, grace).await
}

/// Removes the container: its processes are asked to end, and killed after `grace`.
///
/// # Errors
/// When it could not be removed.
pub async fn remove(service: &Arc<ServiceContext>, grace: Duration) -> Result<(), String> {
    let _turn = turn(service).await;
    remove_now(service, grace).await
}

async fn remove_now(service: &Arc<ServiceContext>, grace: Duration) -> Result<(), String> {
    let custody = &service.custody;
    let kept = custody
        .agent
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let agent = kept.or_else(|| service.agent.borrow().clone());
    if let Some(agent) = agent {
        let params = json!(Shutdown {
            grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)
        });
        // An agent that does not answer is killed with the container in the next line.
        let _ = agent.call(SHUTDOWN, params, AGENT_PATIENCE).await;
    }
    let backend = &service.host.backend;
    backend
        .stop(&service.instance, grace)
        .await
        .map_err(|error| error.to_string())?;
    backend
        .destroy(&service.instance)
        .await
        .map_err(|error| error.to_string())?;
    custody.condemned.store(false, Ordering::Release);
    Ok(())
}

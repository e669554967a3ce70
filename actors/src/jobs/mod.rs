//! Install and uninstall: journaled sagas, each a task of its own that outlives whoever asked.
//!
//! ```text
//! begin (journal row) ─▶ step ─▶ step ─▶ … ─▶ commit (row and result in one write)
//!        │ fails or the core dies
//!        ▼
//!      roll back (every undo may be run twice) ─▶ row gone
//! ```
//!
//! Invariant: at any moment the journal says what is half done. After a crash an install is rolled
//! back (its file may be gone) and an uninstall is finished.

mod install;
mod uninstall;

pub use install::{Source, install, resume as resume_install};
pub use uninstall::{Manner, resume as resume_uninstall, uninstall};

use std::{sync::Arc, time::Duration};

use coppice_clock::Wall;
use coppice_supervision::{ChildSpec, Supervisor};
use serde_json::{Value, json};

use crate::{
    host::Host,
    model::{JobKind, JobRecord},
    problem::{Kind, Problem},
    service::{
        ContainerPhase, RuntimePhase, ServiceContext,
        container::{ContainerMsg, step},
        instance_spec,
    },
};

/// A container's processes have this long to end by themselves.
pub const CONTAINER_GRACE: Duration = Duration::from_secs(20);
/// A container that comes and goes is told to stop this often.
const TELL_AGAIN: Duration = Duration::from_millis(200);

/// What jobs work with: the server and the supervisor of the services' trees.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// The server.
    pub host: Arc<Host>,
    /// The supervisor of the services' trees.
    pub services: Supervisor,
}

impl Jobs {
    /// Starts the tree of a service that is in the document.
    ///
    /// # Errors
    /// When its tree runs already, or did not come up.
    pub async fn start_tree(&self, id: &str) -> Result<Arc<ServiceContext>, Problem> {
        if let Some(service) = self.host.service(id) {
            return Ok(service);
        }
        let service = ServiceContext::new(id, Arc::clone(&self.host))?;
        self.host.add_service(Arc::clone(&service));
        let spec = ChildSpec::supervisor(instance_spec(&service));
        match self.services.add(spec).await {
            Ok(_) => Ok(service),
            Err(error) => {
                self.host.remove_service(id);
                Err(Problem::of(Kind::Unknown, &error))
            }
        }
    }

    /// Ends the tree of a service; its container stays unless it was removed before.
    pub async fn end_tree(&self, id: &str) {
        // A tree that is not there is ended already.
        let _ = self.services.terminate(id).await;
        let _ = self.services.delete(id).await;
        self.host.remove_service(id);
    }

    /// Removes a service's container and ends its tree.
    ///
    /// # Errors
    /// When the container could not be removed.
    pub async fn take_down(&self, id: &str) -> Result<(), Problem> {
        if let Some(service) = self.host.service(id) {
            let mut phase = service.container.subscribe();
            let grace = CONTAINER_GRACE;
            let gone = async {
                // An actor that fails takes the command with it, so its successor is told again.
                // Where there is none, nothing comes back that would have to be asked.
                while service
                    .container_slot
                    .cast(ContainerMsg::Input(step::Input::Stop { grace }))
                {
                    let gone = phase.wait_for(|phase| *phase == ContainerPhase::Gone);
                    if tokio::time::timeout(TELL_AGAIN, gone).await.is_ok() {
                        break;
                    }
                }
            };
            // Past this the removal below does it by force.
            let _ = tokio::time::timeout(grace + step::DESTROY_DEADLINE, gone).await;
        }
        self.end_tree(id).await;
        let instance = coppice_containers::Segment::new(id)
            .map_err(|error| Problem::of(Kind::InvalidId, &error))?;
        let removed = self.host.backend.destroy(&instance).await;
        removed.map_err(|error| Problem::of(Kind::Lxc, &error))
    }
}

/// A row of the journal, with its id.
#[derive(Clone, Debug)]
struct Journal {
    id: String,
    record: JobRecord,
}

impl Journal {
    fn new(kind: JobKind, instance: &str) -> Self {
        Self {
            id: crate::ids::random(10),
            record: JobRecord {
                kind,
                instance: instance.to_owned(),
                since: Wall::now(),
                step: "begin".to_owned(),
            },
        }
    }

    /// Notes that a step begins; durable before anything is done for it.
    async fn step(&mut self, host: &Host, step: &str) -> Result<(), Problem> {
        step.clone_into(&mut self.record.step);
        tracing::debug!(service = self.record.instance, step, "job");
        let Self { id, record } = self.clone();
        host.document
            .transact("jobs", step, move |transaction| {
                transaction.put_job(&id, &record);
                Ok(())
            })
            .await
    }
}

/// Waits until the package's `init` is done; `Err` with the runtime's words at its first failure.
async fn wait_initialised(service: &ServiceContext, patience: Duration) -> Result<(), Problem> {
    let (mut phase, mut failures) = (service.phase.subscribe(), service.failures.subscribe());
    let up = phase.wait_for(|phase| {
        matches!(
            phase,
            RuntimePhase::Idle | RuntimePhase::Running | RuntimePhase::Changing
        )
    });
    // A count, because a failed runtime's phase is soon its successor's.
    let failed = failures.wait_for(|(count, _)| *count > 0);
    tokio::select! {
        up = up => up.map(drop).map_err(|_| service.gone()),
        failed = failed => Err(match failed {
            Ok(failure) => Problem::new(
                Kind::InstallFailed,
                format!(
                    "`{}` could not be set up: {}; nothing of it was kept, so it can be tried again, and its maker may know more",
                    service.id, failure.1
                ),
            ),
            Err(_) => service.gone(),
        }),
        () = tokio::time::sleep(patience) => Err(Problem::new(
            Kind::Timeout,
            format!("the package's init did not end within {} minutes", patience.as_secs() / 60),
        )),
    }
}

/// Progress in the shape of the document: phases in order, each `null`, `false`, `true` or counted.
fn progress(phases: &[(&str, Value)]) -> Value {
    let done = phases
        .iter()
        .filter(|(_, progress)| *progress == Value::Bool(true))
        .count();
    let overall = if done == phases.len() {
        Value::Bool(true)
    } else {
        json!({ "done": done, "total": phases.len(), "units": "steps" })
    };
    let phases: Vec<Value> = phases
        .iter()
        .map(|(name, progress)| json!({ "name": name, "progress": progress }))
        .collect();
    json!({ "overall": overall, "phases": phases })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_whole_when_every_phase_is() {
        let half = progress(&[("a", Value::Bool(true)), ("b", Value::Null)]);
        assert_eq!(
            half["overall"],
            json!({"done": 1, "total": 2, "units": "steps"})
        );
        let whole = progress(&[("a", Value::Bool(true))]);
        assert_eq!(whole["overall"], true);
    }
}

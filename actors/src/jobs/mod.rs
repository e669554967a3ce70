//! Install and uninstall: journaled sagas, each an actor of its own that outlives whoever asked.
//!
//! ```text
//! begin (journal row) ─▶ step ─▶ step ─▶ … ─▶ commit (row and result in one write)
//!        │ fails or the core dies
//!        ▼
//!      roll back (every undo may be run twice) ─▶ row gone
//! ```
//!
//! Invariant: at any moment the journal says what is half done. After a crash an install is rolled
//! back (its file may be gone) and an uninstall is finished, by the next start of the core or by the
//! next uninstall of that service, whichever comes first.

mod install;
mod job;
mod journal;
mod uninstall;

pub use install::{Source, install};
pub use job::Runner;
pub(crate) use uninstall::exit;
pub use uninstall::{Manner, uninstall};

use std::{sync::Arc, time::Duration};

use coppice_supervision::{ChildSpec, Supervisor};
use serde_json::{Value, json};

use self::journal::Journal;
use crate::{
    forest,
    host::Host,
    model::{JobKind, PackageEntry, StateInfo},
    problem::{Kind, Problem},
    service::{
        ContainerPhase, RuntimePhase, ServiceContext,
        container::{ContainerMsg, step},
        custody, instance_spec,
    },
};

/// A container's processes have this long to end by themselves.
pub const CONTAINER_GRACE: Duration = Duration::from_secs(20);
/// Between two tries to start a service's tree.
const PLANT_AGAIN: Duration = Duration::from_secs(30);
/// A container that comes and goes is told to stop this often.
const TELL_AGAIN: Duration = Duration::from_millis(200);

/// What jobs work with: the server, the supervisor of the services' trees, and their own.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// The server.
    pub host: Arc<Host>,
    /// The supervisor of the services' trees.
    pub services: Supervisor,
    /// Runs each job, one at a time per service.
    pub runner: Runner,
}

impl Jobs {
    /// Jobs of a server whose root supervisor runs.
    ///
    /// # Errors
    /// When the root is going down.
    pub async fn below(root: &Supervisor, host: Arc<Host>) -> Result<Self, Problem> {
        let find = async |name: &str| {
            let found = forest::supervisor(root, name).await;
            found.map_err(|error| Problem::of(Kind::Unknown, &error))
        };
        Ok(Self {
            host,
            services: find(forest::SERVICES).await?,
            runner: Runner::new(find(forest::JOBS).await?),
        })
    }

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

    /// As [`Self::start_tree`], until it comes up or its service is not installed any more: what keeps one
    /// from coming up, such as a full /run, passes.
    pub fn start_tree_later(&self, id: String) {
        let jobs = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PLANT_AGAIN).await;
                let entry = jobs.host.document.package(&id);
                let installed =
                    |entry: PackageEntry| matches!(entry.state_info, StateInfo::Installed { .. });
                if !entry.is_some_and(installed) {
                    break;
                }
                match jobs.start_tree(&id).await {
                    Ok(_) => break,
                    Err(problem) => {
                        tracing::warn!(service = id, %problem, "a service's tree did not come up; it is tried again");
                    }
                }
            }
        });
    }

    /// Ends the tree of a service; its container stays unless it was removed before.
    pub async fn end_tree(&self, id: &str) {
        // A tree that is not there is ended already.
        let _ = self.services.terminate(id).await;
        let _ = self.services.delete(id).await;
        self.host.remove_service(id);
    }

    /// Brings every job to its end that the last process left half done.
    pub async fn finish_interrupted(&self) {
        for (id, record) in self.host.document.jobs() {
            let (instance, kind) = (record.instance.clone(), record.kind);
            let (jobs, journal) = (self.clone(), Journal { id, record });
            let finish = async move { finish(&jobs, journal).await };
            match self.runner.run("finish", &instance, finish).await {
                Ok(()) => tracing::info!(
                    service = instance,
                    ?kind,
                    "an interrupted job was brought to its end"
                ),
                Err(problem) => {
                    tracing::warn!(service = instance, ?kind, %problem, "an interrupted job is still not at its end");
                }
            }
        }
    }

    /// Removes a service's container and ends its tree.
    ///
    /// # Errors
    /// When the container could not be removed.
    pub async fn take_down(&self, id: &str) -> Result<(), Problem> {
        let service = self.host.service(id);
        if let Some(service) = &service {
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
        // A making that is under way ends first, and none begins any more.
        let _turn = match &service {
            Some(service) => Some(custody::turn(service).await),
            None => None,
        };
        let instance = coppice_containers::Segment::new(id)
            .map_err(|error| Problem::of(Kind::InvalidId, &error))?;
        let removed = self.host.backend.destroy(&instance).await;
        removed.map_err(|error| Problem::of(Kind::Lxc, &error))
    }
}

/// The longest that a job may take.
#[cfg(test)]
pub(crate) fn longest() -> Duration {
    let removal = CONTAINER_GRACE + step::DESTROY_DEADLINE;
    install::INIT_PATIENCE + removal + uninstall::UP_PATIENCE + uninstall::EXIT_PATIENCE + removal
}

/// Brings a job to its end that nobody is at: an install is undone, an uninstall finished.
async fn finish(jobs: &Jobs, journal: Journal) -> Result<(), Problem> {
    journal.trace("found", "finishing");
    match journal.record.kind {
        JobKind::Install { keep_volumes } => install::roll_back(jobs, &journal, keep_volumes).await,
        JobKind::Uninstall { soft, .. } => uninstall::take_away(jobs, journal, soft).await,
    }
}

/// Waits until the package's `init` is done; `Err` with the runtime's words at its first failure.
async fn wait_initialised(service: &ServiceContext, patience: Duration) -> Result<(), Problem> {
    let (mut phase, mut failures) = (service.phase.subscribe(), service.failures.subscribe());
    let up = phase.wait_for(|phase| {
        matches!(
            phase,
            RuntimePhase::Idle
                | RuntimePhase::Running
                | RuntimePhase::Changing
                | RuntimePhase::Asleep
                | RuntimePhase::Waking
        )
    });
    // A count, because a failed runtime's phase is soon its successor's.
    let failed = failures.wait_for(|(count, _)| *count > 0);
    tokio::select! {
        // One that is up has overcome its failures.
        biased;
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
mod tests;

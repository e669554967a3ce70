//! What the actors of one service share.
//!
//! Invariant: this holds handles and connections, never the service's state: the state is in the
//! document, and the actors own the decisions. It outlives restarts of the actors below the
//! instance, and dies with the instance's tree.

mod changes;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coppice_clock::Mono;
use coppice_containers::Segment;
use coppice_wire::agent::{ProcessExited, ProcessStarted};
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    actions::Forms,
    callbacks::Callbacks,
    container::{self, ContainerMsg},
    custody::Custody,
    daemons::{
        Shown,
        hosted::{HostingMsg, Roster},
    },
    door::{Door, Visit},
    health::Reports,
    records::{self, Event},
    runtime::{RuntimeMsg, step::Input},
    slot::Slot,
    tasks::TasksMsg,
};
use crate::{
    blocking::blocking,
    host::Host,
    link::Peer,
    logs::ServiceLogs,
    model::{Cause, Held, Link, PackageEntry},
    problem::{Kind, Problem},
};

/// How long Node may take to come back from its sleep, with its package's `init`.
const WAKING_PATIENCE: Duration = Duration::from_secs(90);
/// How long a woken `main` is waited for before something else is asked: it hears of what that changes. Not for
/// ever, since it may itself be what asks.
const MAIN_PATIENCE: Duration = Duration::from_secs(10);
/// Events of processes that a slow reader may miss before it must ask for the list.
const PROCESS_EVENTS: usize = 512;

/// How far the container is, for those who wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerPhase {
    /// Not running.
    Down,
    /// Running.
    Up,
    /// Removed on command.
    Gone,
}

/// How far the runtime is, for those who wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimePhase {
    /// On its way up.
    Booting,
    /// Initialised; `main` is not up.
    Idle,
    /// `main` is on its way up or down.
    Changing,
    /// `main` is up.
    Running,
    /// All that `main` runs is up, and Node is on its way to sleep, asleep, or on its way back.
    Asleep,
    /// The same, and Node is back; `main` is being built in it.
    Waking,
    /// `main` is on its way down for good, and `uninit` runs.
    Exiting,
    /// `uninit` is done.
    Exited,
    /// The last try failed; the supervisor tries again.
    Failed(String),
}

/// A runtime that is connected.
#[derive(Clone, Debug)]
pub struct RuntimeLink {
    /// Its generation.
    pub generation: u64,
    /// The connection.
    pub peer: Peer,
}

/// What the agent reports of processes.
#[derive(Clone, Debug)]
pub enum ProcessEvent {
    /// A process exists.
    Started(ProcessStarted),
    /// A process is gone.
    Exited(ProcessExited),
}

impl ProcessEvent {
    /// The report's number.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Started(started) => started.seq,
            Self::Exited(exited) => exited.seq,
        }
    }
}

/// One report of one agent.
#[derive(Debug)]
pub struct ProcessReport {
    /// The container life it belongs to: numbers and ids begin anew with each.
    pub life: Arc<str>,
    /// The connection it came on, which takes the acknowledgement.
    pub agent: Peer,
    /// What it says.
    pub event: ProcessEvent,
    /// Whoever still writes something down about a report keeps it, and this with it: it is acknowledged
    /// when nobody does, because what is acknowledged is not told to the next core.
    pub told: TaskTrackerToken,
}

/// A live subcontainer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subcontainer {
    /// Its name; `subcontainer-<image>` when the package gave none.
    pub name: String,
    /// The image it was made from.
    pub image: String,
}

/// What the actors of one service share; see the module.
pub struct ServiceContext {
    /// The package's id, which is the instance's id too.
    pub id: String,
    /// The instance's id as a path segment.
    pub instance: Segment,
    /// The server.
    pub host: Arc<Host>,
    /// The container's phase.
    pub container: watch::Sender<ContainerPhase>,
    /// Whether the container may be adopted.
    pub custody: Custody,
    /// The agent, while it is connected.
    pub agent: watch::Sender<Option<Peer>>,
    /// The runtime, while it is connected.
    pub runtime: watch::Sender<Option<RuntimeLink>>,
    /// The runtime's phase.
    pub phase: watch::Sender<RuntimePhase>,
    /// How often the container or the runtime failed since this process knows the service, and the
    /// last words.
    pub failures: watch::Sender<(u64, String)>,
    /// Reports of processes, as they come; the `processes` actor acknowledges them.
    /// Behind pointers, because a channel has room for its longest queue from the beginning: in place,
    /// reports that are never sent would be most of the memory of a service.
    pub processes: broadcast::Sender<Arc<ProcessReport>>,
    /// Raised when the wish in the document may have changed.
    pub wishes: watch::Sender<u64>,
    /// One action or backup at a time.
    pub exclusive: tokio::sync::Mutex<()>,
    /// Reports of health checks on their way to the health actor.
    pub reports: Reports,
    /// The package's progress through its `init`.
    pub init_progress: watch::Sender<Value>,
    /// The actor that keeps this service's tasks true.
    pub tasks: Slot<TasksMsg>,
    /// The daemons that the host keeps running.
    pub hosted: Roster,
    /// The living daemons, as they are shown.
    pub shown: Shown,
    /// The actor that has the host's daemons kept running.
    pub hosting_slot: Slot<HostingMsg>,
    /// The container's actor.
    pub container_slot: Slot<ContainerMsg>,
    /// Held while Node is started.
    pub spawning: tokio::sync::Mutex<()>,
    /// The runtime's actor.
    pub runtime_slot: Slot<RuntimeMsg>,
    /// The way to Node.
    pub door: Door,
    /// Event ids under which an action's form was made in this generation.
    pub forms: Forms,
    /// What the service is held for; the document shows it.
    pub(super) held: Mutex<Option<Held>>,
    /// Held by whoever parks, wakes or lays the service to rest.
    pub(super) parking: tokio::sync::Mutex<()>,
    /// Tells this service from an earlier or a later one of its id.
    own: Arc<()>,
    last_failure: Mutex<Option<Link>>,
    last_death: Mutex<Option<(Mono, Link)>>,
    callbacks: Mutex<Callbacks>,
    subcontainers: Mutex<BTreeMap<String, Subcontainer>>,
}

impl std::fmt::Debug for ServiceContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceContext")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ServiceContext {
    /// A service that is installed or on its way.
    ///
    /// # Errors
    /// When the id cannot be part of a path; a checked package id always can.
    pub fn new(id: &str, host: Arc<Host>) -> Result<Arc<Self>, Problem> {
        let instance = Segment::new(id).map_err(|error| Problem::of(Kind::InvalidId, &error))?;
        Ok(Arc::new(Self {
            id: id.to_owned(),
            instance,
            host,
            container: watch::Sender::new(ContainerPhase::Down),
            custody: Custody::default(),
            agent: watch::Sender::new(None),
            runtime: watch::Sender::new(None),
            phase: watch::Sender::new(RuntimePhase::Booting),
            failures: watch::Sender::new((0, String::new())),
            processes: broadcast::Sender::new(PROCESS_EVENTS),
            wishes: watch::Sender::new(0),
            exclusive: tokio::sync::Mutex::new(()),
            reports: Reports::default(),
            init_progress: watch::Sender::new(Value::Null),
            tasks: Slot::default(),
            hosted: Roster::default(),
            shown: Shown::default(),
            hosting_slot: Slot::default(),
            container_slot: Slot::default(),
            spawning: tokio::sync::Mutex::default(),
            runtime_slot: Slot::default(),
            door: Door::default(),
            forms: Forms::default(),
            held: Mutex::default(),
            parking: tokio::sync::Mutex::default(),
            own: Arc::default(),
            last_failure: Mutex::default(),
            last_death: Mutex::default(),
            callbacks: Mutex::default(),
            subcontainers: Mutex::default(),
        }))
    }

    /// The service's entry in the document.
    ///
    /// # Errors
    /// When the service is gone.
    pub fn entry(&self) -> Result<PackageEntry, Problem> {
        self.host
            .document
            .package(&self.id)
            .ok_or_else(|| self.gone())
    }

    /// Changes the service's entry in the document; durable on return.
    ///
    /// # Errors
    /// What `change` refuses, or when the store fails, or the service is gone.
    pub async fn update<T: Send + 'static>(
        &self,
        cause: &str,
        change: impl FnOnce(&mut PackageEntry) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let stands = self.standing();
        let change = move |entry: &mut PackageEntry| {
            stands()?;
            change(entry)
        };
        self.host
            .document
            .update_package(&self.id, cause, change)
            .await
    }

    /// Asks, in the writer of the document itself, whether this service still has its tree: what a version
    /// that was rolled back had on its way is not written over what was given back.
    pub fn standing(&self) -> impl FnOnce() -> Result<(), Problem> + Send + use<> {
        let (host, id, own) = (
            Arc::clone(&self.host),
            self.id.clone(),
            Arc::clone(&self.own),
        );
        move || {
            let known = host.service(&id);
            if known.is_some_and(|known| Arc::ptr_eq(&known.own, &own)) {
                return Ok(());
            }
            Err(Problem::invalid(format!(
                "service destroyed: `{id}` has begun anew since"
            )))
        }
    }

    /// The answer to everything once the service is destroyed.
    #[must_use]
    pub fn gone(&self) -> Problem {
        Problem::invalid(format!(
            "service destroyed: `{}` is not installed any more",
            self.id
        ))
    }

    /// Whether this is the service that the server knows by its id; no longer so once its tree is ended.
    #[must_use]
    pub fn has_tree(&self) -> bool {
        let known = self.host.service(&self.id);
        known.is_some_and(|known| Arc::ptr_eq(&known.own, &self.own))
    }

    /// Tells the runtime's actor to look at what is wanted.
    pub fn raise_wish(&self) {
        self.wishes.send_modify(|count| *count += 1);
    }

    /// Asks the connected runtime; wakes it if it sleeps.
    ///
    /// # Errors
    /// When none is connected, or does not wake, or as the runtime answers.
    pub async fn call_runtime(
        &self,
        method: &str,
        params: Value,
        patience: Duration,
    ) -> Result<Value, Problem> {
        let _visit = self.visit().await?;
        let link = self.runtime.borrow().clone();
        let Some(link) = link else {
            return Err(Problem::new(
                Kind::Lxc,
                format!(
                    "the container of `{}` is not up yet; wait for it or see `coppice service why {}`",
                    self.id, self.id
                ),
            ));
        };
        Ok(link.peer.call(method, params, patience).await?)
    }

    /// Enters Node's door, after waking it if need be.
    async fn visit(&self) -> Result<Visit, Problem> {
        let mut phase = self.phase.subscribe();
        loop {
            let visit = self.door.enter();
            // In this order: from here on it cannot fall asleep.
            if let Some(visit) = visit
                && *phase.borrow_and_update() != RuntimePhase::Asleep
            {
                let up = phase.wait_for(|phase| *phase != RuntimePhase::Waking);
                let _ = tokio::time::timeout(MAIN_PATIENCE, up).await;
                return Ok(visit);
            }
            self.runtime_slot.cast(RuntimeMsg::Input(Input::Rouse));
            let awake = phase.wait_for(|phase| *phase != RuntimePhase::Asleep);
            let awake = tokio::time::timeout(WAKING_PATIENCE, awake).await;
            if !matches!(awake, Ok(Ok(_))) {
                let service = &self.id;
                return Err(Problem::new(
                    Kind::Timeout,
                    format!(
                        "`{service}` did not wake up; see `coppice service why {service}`, or restart it"
                    ),
                ));
            }
        }
    }

    /// The live subcontainers, by guid.
    pub fn subcontainers(&self) -> MutexGuard<'_, BTreeMap<String, Subcontainer>> {
        locked(&self.subcontainers)
    }

    /// `DATA/services/<instance>`.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.host.layout.data.join("services").join(&self.id)
    }

    /// The service's volumes on the host.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.folder().join("volumes")
    }

    /// The service's logs.
    #[must_use]
    pub fn logs(&self) -> ServiceLogs {
        ServiceLogs::in_folder(&self.folder().join("logs"))
    }

    /// As [`Self::record`], beside the caller: a handler never waits for the disk.
    pub fn record_later(self: &Arc<Self>, event: Event) {
        self.record_then(event, ());
    }

    /// The same; `kept` is dropped when it is written.
    pub(super) fn record_then(self: &Arc<Self>, event: Event, kept: impl Send + 'static) {
        let service = Arc::clone(self);
        tokio::spawn(async move {
            service.record(event).await;
            drop(kept);
        });
    }

    /// Adds a restart record, with the last lines of the service's log.
    pub async fn record(&self, event: Event) {
        let logs = self.logs();
        let lines = blocking(move || logs.tail(records::LINES)).await;
        let lines = lines.ok().and_then(Result::ok).unwrap_or_default();
        tracing::info!(service = self.id, ?event, "restart record");
        let at = coppice_clock::Wall::now();
        // Also when its tree ended meanwhile: why the version before is back is told by what the new one died of.
        let document = &self.host.document;
        let written = document
            .update_package(&self.id, "restart-record", move |entry| {
                let lines = lines.into_iter().map(|line| line.line.line).collect();
                records::add(&mut entry.restarts, event.recorded(at, lines));
                Ok(())
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(service = self.id, %error, "a restart record was not kept");
        }
    }

    /// Notes that a part of the service failed: whoever waits for the service hears of it, and the
    /// supervisor that gives up knows why.
    pub fn note_failure(&self, what: &str, cause: Cause, words: &str) {
        let link = Link::Failed {
            service: self.id.clone(),
            what: what.to_owned(),
            cause,
        };
        *locked(&self.last_failure) = Some(link);
        self.failures.send_modify(|(count, last)| {
            *count += 1;
            words.clone_into(last);
        });
    }

    /// What failed last of the container or the runtime.
    pub fn last_failure(&self) -> Option<Link> {
        locked(&self.last_failure).clone()
    }

    /// Notes that a daemon died by itself.
    pub fn note_death(&self, what: &str, cause: Cause) {
        let link = Link::Failed {
            service: self.id.clone(),
            what: what.to_owned(),
            cause,
        };
        *locked(&self.last_death) = Some((Mono::now(), link));
    }

    /// The daemon that died by itself within this time before now: what fails next may well fail
    /// for that.
    pub fn recent_death(&self, within: Duration) -> Vec<Link> {
        let last = locked(&self.last_death).clone();
        let recent = last.filter(|(at, _)| Mono::now().since(*at) <= within);
        recent.into_iter().map(|(_, link)| link).collect()
    }

    /// Tries at once what waits to be tried again; does nothing where nothing does.
    pub fn try_at_once(&self) {
        self.runtime_slot.cast(RuntimeMsg::Wish { again: true });
        self.container_slot
            .cast(ContainerMsg::Input(container::step::Input::Release));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

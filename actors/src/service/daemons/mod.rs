//! The processes of one service, one actor each.
//!
//! [`DaemonsActor`] listens to the agent's reports and keeps one [`DaemonActor`] per living process
//! below the `daemons` supervisor. Processes that package JavaScript starts are *observed*: the
//! package restarts them, we record why they ended and show them in the tree. Those that the host
//! itself keeps running have actors of another kind ([`hosted`]), which are told of their ends from
//! here.
//!
//! What the reports mean is decided by the [`ledger`]. What follows is done by one task, in order: an
//! actor is not ended before it was added, and a report is acknowledged only once the restart record
//! that it brought is durable, so that a death the core does not live to write down comes again.

pub mod hosted;

mod ledger;
mod shown;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coppice_supervision::{ChildSpec, Supervisor};
use coppice_wire::agent::{
    ACK, ProcessExited, ProcessKind, ProcessList, ProcessStarted, daemon_leaf,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;
use tokio::sync::{broadcast, mpsc};
use tokio_util::task::TaskTracker;

pub use self::shown::Shown;

use self::ledger::{Change, KEPT, Ledger};
use super::{ContainerPhase, Event, ProcessReport, RuntimePhase, ServiceContext, agent::list};
use crate::{
    link::Peer,
    model::{By, Cause, DesiredStatus},
};

/// Name of the dynamic supervisor beside [`DaemonsActor`].
pub const SUPERVISOR: &str = "daemons";
const LIST_PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries to get the list from an agent that is still connected.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long a record of what the host starts again waits: where there are few processors, writing it down
/// would stand in the way of that start.
const SUCCESSOR_FIRST: Duration = Duration::from_millis(25);

/// Messages of the actor that keeps the daemons' actors.
#[derive(Debug)]
pub enum DaemonsMsg {
    /// The agent is connected, or reports were missed: what lives may differ from what we know.
    Ask,
    /// What lives now; `None` when the agent hung up before it answered.
    Listed(Option<ProcessList>),
    /// A report.
    Report(Arc<ProcessReport>),
}

/// Keeps one actor per process; see the module.
#[derive(Debug)]
pub struct DaemonsActor;

/// What [`DaemonsActor`] keeps.
#[derive(Debug)]
pub struct DaemonsState {
    service: Arc<ServiceContext>,
    ledger: Ledger,
    /// Names of the processes that have an actor, by id: the subcontainer that gave a name may be
    /// gone before the process is.
    names: BTreeMap<String, String>,
    /// How what stands behind a process of the host's ended, by leaf: `start-container` tells less.
    inner_ends: BTreeMap<String, ProcessExited>,
    /// The connection that the last report came on: where acknowledgements go, and nowhere else,
    /// because another container numbers its reports anew.
    reporter: Option<Peer>,
    /// Reports that are not acknowledged yet, by number, and who still writes about them.
    open: BTreeMap<u64, TaskTracker>,
    work: mpsc::UnboundedSender<Task>,
}

/// Something to do, after everything before it.
enum Task {
    Add(ChildSpec),
    Remove(String),
    Record(Event),
    /// When its successor has had the machine for a moment.
    RecordSoon(Event),
    Acknowledge {
        agent: Peer,
        seq: u64,
        /// Who still writes about what is acknowledged.
        open: Vec<TaskTracker>,
    },
}

impl Actor for DaemonsActor {
    type Msg = DaemonsMsg;
    type State = DaemonsState;
    type Arguments = (Arc<ServiceContext>, Supervisor);

    async fn pre_start(
        &self,
        myself: ActorRef<DaemonsMsg>,
        (service, supervisor): Self::Arguments,
    ) -> Result<DaemonsState, ActorProcessingErr> {
        let mut reports = service.processes.subscribe();
        let actor = myself.clone();
        tokio::spawn(async move {
            loop {
                let message = match reports.recv().await {
                    Ok(report) => DaemonsMsg::Report(report),
                    Err(broadcast::error::RecvError::Lagged(_)) => DaemonsMsg::Ask,
                    Err(broadcast::error::RecvError::Closed) => break,
                };
                if actor.send_message(message).is_err() {
                    break;
                }
            }
        });
        let (mut agents, actor) = (service.agent.subscribe(), myself);
        tokio::spawn(async move {
            loop {
                let connected = agents.borrow_and_update().is_some();
                if connected && actor.send_message(DaemonsMsg::Ask).is_err() {
                    break;
                }
                if agents.changed().await.is_err() {
                    break;
                }
            }
        });
        // Nothing is known until the list comes.
        service.shown.clear(&service);
        let (work, tasks) = mpsc::unbounded_channel();
        tokio::spawn(perform(Arc::clone(&service), supervisor, tasks));
        Ok(DaemonsState {
            service,
            ledger: Ledger::default(),
            names: BTreeMap::new(),
            inner_ends: BTreeMap::new(),
            reporter: None,
            open: BTreeMap::new(),
            work,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<DaemonsMsg>,
        message: DaemonsMsg,
        state: &mut DaemonsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DaemonsMsg::Ask => state.ask(&myself),
            DaemonsMsg::Listed(None) => state.ledger.unanswered(),
            DaemonsMsg::Listed(Some(list)) => {
                let changes = state.ledger.listed(list);
                state.follow(changes, &myself).await;
            }
            DaemonsMsg::Report(report) => {
                let open = report.told.task_tracker().clone();
                state.open.insert(report.event.seq(), open);
                if state.open.len() > KEPT {
                    state.open.pop_first();
                }
                let (life, agent) = (Arc::clone(&report.life), report.agent.clone());
                let event = report.event.clone();
                drop(report);
                let changes = state.ledger.reported(&life, event);
                state.reporter = Some(agent);
                state.follow(changes, &myself).await;
            }
        }
        Ok(())
    }
}

impl DaemonsState {
    fn ask(&mut self, myself: &ActorRef<DaemonsMsg>) {
        let Some(agent) = self.service.agent.borrow().clone() else {
            return;
        };
        self.ledger.asked();
        let myself = myself.clone();
        tokio::spawn(async move {
            let list = loop {
                match list(&agent, LIST_PATIENCE).await {
                    Ok(list) => break Some(list),
                    Err(_) if agent.has_ended() => break None,
                    Err(error) => tracing::warn!(%error, "asking the agent again"),
                }
                tokio::time::sleep(ASK_AGAIN).await;
            };
            // An actor that is gone has a successor that asks for itself.
            let _ = myself.send_message(DaemonsMsg::Listed(list));
        });
    }

    async fn follow(&mut self, changes: Vec<Change>, myself: &ActorRef<DaemonsMsg>) {
        for change in changes {
            match change {
                Change::Began(process) => self.began(process),
                Change::Gone { id } => {
                    self.service.hosted.vanished(&id);
                    self.forget(&id);
                }
                Change::Died { exit, watched } => self.died(exit, watched).await,
                Change::Safe { seq } => {
                    let later = self.open.split_off(&seq.saturating_add(1));
                    let open = std::mem::replace(&mut self.open, later);
                    if let Some(agent) = self.reporter.clone() {
                        let open = open.into_values().collect();
                        self.then(Task::Acknowledge { agent, seq, open });
                    }
                }
                Change::Ask => self.ask(myself),
            }
        }
    }

    /// The task ends only with this actor.
    fn then(&self, task: Task) {
        let _ = self.work.send(task);
    }

    fn began(&mut self, process: ProcessStarted) {
        let service = &self.service;
        if process.kind == ProcessKind::Host {
            let name = hosted_name(&process.id);
            return service.shown.add(service, name, &process);
        }
        if service.shown.is_hosted(&process.leaf) {
            // It stands behind a process of the host's, which is older and so is shown already.
            return;
        }
        let program = process.argv.first().map(String::as_str);
        let name = name(service, process.root.as_deref(), program);
        service.shown.add(service, &name, &process);
        let child = ChildSpec::worker(child(&name, &process.id), |context| async move {
            context.spawn(DaemonActor, ()).await
        });
        self.names.insert(process.id, name);
        self.then(Task::Add(child.temporary()));
    }

    /// Ends the actor of a process, if it has one; gives its name.
    fn forget(&mut self, id: &str) -> Option<String> {
        self.service.shown.remove(&self.service, id);
        let name = self.names.remove(id)?;
        self.then(Task::Remove(child(&name, id)));
        Some(name)
    }

    async fn died(&mut self, exit: ProcessExited, watched: bool) {
        match exit.kind {
            ProcessKind::Host => return self.hosted_died(exit, watched).await,
            ProcessKind::Runtime => return self.runtime_died(&exit),
            ProcessKind::Leader | ProcessKind::Exec => {}
        }
        let known = self.forget(&exit.id);
        let leaf = exit
            .root
            .as_deref()
            .map(|root| daemon_leaf(root, exit.generation));
        if let Some(leaf) = leaf.filter(|leaf| self.service.shown.is_hosted(leaf)) {
            self.inner_ends.insert(leaf, exit);
            return;
        }
        if exit.asked && exit.oom_kills.unwrap_or_default() == 0 {
            // Its package has fewer daemons now, or others, or one that waits: that is no death.
            return self.service.reports.daemon_ended();
        }
        let told = if watched {
            self.is_on_its_own()
        } else {
            self.was_on_its_own(&exit)
        };
        let Some(cause) = cause(&exit).filter(|_| told) else {
            return;
        };
        let name = known
            .unwrap_or_else(|| name(&self.service, exit.root.as_deref(), exit.program.as_deref()));
        let action = if watched {
            "the package starts it again"
        } else {
            "it ended while Coppice was away; the package starts it again"
        };
        let what = format!("daemon {name}");
        if watched {
            self.service.note_death(&what, cause.clone());
        }
        let event = Event::new(what, cause, action)
            .by(By::Package)
            .after(Some(Duration::from_millis(exit.ran_ms)));
        self.then(Task::Record(event));
    }

    /// A process that the host keeps running. Its actor hears of it before anything is written down.
    async fn hosted_died(&mut self, mut exit: ProcessExited, watched: bool) {
        let name = hosted_name(&exit.id).to_owned();
        if let Some(inner) = self.inner_ends.remove(&daemon_leaf(&name, None)) {
            (exit.code, exit.signal) = (inner.code, inner.signal);
        }
        let kept = self.service.hosted.exited(&exit);
        // Its turn on this thread, before what is below takes it.
        tokio::task::yield_now().await;
        // One that died while no core was there is kept by nobody yet, but still declared.
        let expected = kept.unwrap_or_else(|| !hosted::is_declared(&self.service, &exit.id));
        self.forget(&exit.id);
        let container_is_up = *self.service.container.borrow() == ContainerPhase::Up;
        if expected || !container_is_up || !self.is_wanted() {
            return;
        }
        let action = if watched {
            "Coppice starts it again"
        } else {
            "it ended while Coppice was away; Coppice starts it again"
        };
        // It was to run for good, so even an end in good order is one.
        let cause = cause(&exit).unwrap_or(Cause::Exit { code: 0 });
        let event = Event::new(format!("daemon {name}"), cause, action)
            .after(Some(Duration::from_millis(exit.ran_ms)));
        self.then(Task::RecordSoon(event));
    }

    /// The Node process ended while nobody watched.
    fn runtime_died(&self, exit: &ProcessExited) {
        let entry = self.service.entry().ok();
        let asleep = entry.and_then(|entry| entry.asleep);
        if asleep.is_some_and(|asleep| exit.generation == Some(asleep.generation)) {
            // It had leave, however it ended.
            return;
        }
        if let Some(cause) = cause(exit) {
            let action = "it ended while Coppice was away; the runtime is started again; what the old one had \
                          started was ended";
            let event = Event::new("runtime", cause, action)
                .after(Some(Duration::from_millis(exit.ran_ms)));
            self.then(Task::Record(event));
        }
    }

    /// Whether a daemon that dies now dies alone: neither wanted, nor with something larger whose
    /// end is told by somebody else.
    fn is_on_its_own(&self) -> bool {
        let service = &self.service;
        let phase = service.phase.borrow().clone();
        self.is_wanted()
            && *service.container.borrow() == ContainerPhase::Up
            && (phase.is_up() || phase == RuntimePhase::Changing)
            && service.runtime.borrow().is_some()
    }

    /// The same of one that died before we watched: `main` was up, and its Node process lives on.
    fn was_on_its_own(&self, exit: &ProcessExited) -> bool {
        let started = self
            .service
            .entry()
            .is_ok_and(|entry| entry.status_info.started.is_some());
        self.is_wanted() && started && self.ledger.had_its_runtime(exit.generation)
    }

    fn is_wanted(&self) -> bool {
        let entry = self.service.entry();
        entry.is_ok_and(|entry| entry.status_info.desired == DesiredStatus::Running)
    }
}

/// Does what is asked, one after the other, until nobody can ask any more.
async fn perform(
    service: Arc<ServiceContext>,
    supervisor: Supervisor,
    mut tasks: mpsc::UnboundedReceiver<Task>,
) {
    while let Some(task) = tasks.recv().await {
        match task {
            // The supervisor may be going down; its successor is filled from the agent's list.
            Task::Add(child) => drop(supervisor.add(child).await),
            // Gone already when the supervisor was restarted in between.
            Task::Remove(child) => drop(supervisor.terminate(child).await),
            Task::Record(event) => service.record(event).await,
            Task::RecordSoon(event) => {
                tokio::time::sleep(SUCCESSOR_FIRST).await;
                service.record(event).await;
            }
            Task::Acknowledge { agent, seq, open } => {
                for one in open {
                    one.close();
                    // The disk's time; whoever writes ends, and with it its part in this.
                    one.wait().await;
                }
                // One that is lost is made good by the next: it covers all before it.
                agent.mention(ACK, json!({ "seq": seq }));
            }
        }
    }
}

/// The actor's name: several processes may have the same.
fn child(name: &str, id: &str) -> String {
    format!("{name} ({id})")
}

/// The daemon's name in the agent's name for a process of the host's.
fn hosted_name(process: &str) -> &str {
    process.rsplit_once('.').map_or(process, |(name, _)| name)
}

/// Why it ended, unless it is a oneshot that did its work.
fn cause(exit: &ProcessExited) -> Option<Cause> {
    if let Some(kills @ 1..) = exit.oom_kills {
        return Some(Cause::Oom { kills });
    }
    match (exit.code, exit.signal) {
        (_, Some(signal)) => Some(Cause::Signal { signal }),
        (Some(0), None) => None,
        (code, None) => Some(Cause::Exit {
            code: code.unwrap_or(-1),
        }),
    }
}

/// The subcontainer's name, or the program's.
fn name(service: &ServiceContext, root: Option<&str>, program: Option<&str>) -> String {
    let subcontainers = service.subcontainers();
    match root.and_then(|guid| subcontainers.get(guid)) {
        Some(subcontainer) => subcontainer.name.clone(),
        None => {
            let program = program.unwrap_or("?");
            program.rsplit('/').next().unwrap_or(program).to_owned()
        }
    }
}

/// One living process in the tree.
#[derive(Debug)]
pub struct DaemonActor;

/// A daemon's actor is told nothing: it is there while the process is.
#[derive(Debug)]
pub enum DaemonMsg {}

impl Actor for DaemonActor {
    type Msg = DaemonMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<DaemonMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

//! The processes of one service, one actor each.
//!
//! [`DaemonsActor`] listens to the agent's reports and keeps one [`DaemonActor`] per living process
//! below the `daemons` supervisor. Processes that package JavaScript starts are *observed*: the
//! package restarts them, we record why they ended and show them in the tree.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coppice_supervision::{ChildSpec, Supervisor};
use coppice_wire::agent::{LIST, ProcessExited, ProcessKind, ProcessList, ProcessStarted};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::Value;
use tokio::sync::broadcast;

use super::{ContainerPhase, ProcessEvent, RuntimePhase, ServiceContext};
use crate::{
    link::Peer,
    model::{Cause, DesiredStatus},
};

/// Name of the dynamic supervisor beside [`DaemonsActor`].
pub const SUPERVISOR: &str = "daemons";
const LIST_PATIENCE: Duration = Duration::from_secs(10);

/// Messages of the actor that keeps the daemons' actors.
#[derive(Debug)]
pub enum DaemonsMsg {
    /// The agent is connected: what lives may differ from what we know.
    Agent(Peer),
    /// What lives now.
    Listed(ProcessList),
    /// A report.
    Event(ProcessEvent),
}

/// Keeps one actor per process; see the module.
#[derive(Debug)]
pub struct DaemonsActor;

/// What [`DaemonsActor`] keeps.
#[derive(Debug)]
pub struct DaemonsState {
    service: Arc<ServiceContext>,
    supervisor: Supervisor,
    living: BTreeMap<String, Living>,
}

#[derive(Debug)]
struct Living {
    process: ProcessStarted,
    name: String,
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
        let mut events = service.processes.subscribe();
        let actor = myself.clone();
        tokio::spawn(async move {
            loop {
                let event = match events.recv().await {
                    Ok(event) => event,
                    Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => break,
                };
                if actor.send_message(DaemonsMsg::Event(event)).is_err() {
                    break;
                }
            }
        });
        let (mut agents, actor) = (service.agent.subscribe(), myself);
        tokio::spawn(async move {
            loop {
                let agent = agents.borrow_and_update().clone();
                if let Some(agent) = agent
                    && actor.send_message(DaemonsMsg::Agent(agent)).is_err()
                {
                    break;
                }
                if agents.changed().await.is_err() {
                    break;
                }
            }
        });
        Ok(DaemonsState {
            service,
            supervisor,
            living: BTreeMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<DaemonsMsg>,
        message: DaemonsMsg,
        state: &mut DaemonsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DaemonsMsg::Agent(agent) => {
                tokio::spawn(async move {
                    let list = agent.call(LIST, Value::Null, LIST_PATIENCE).await;
                    if let Some(list) = list.ok().and_then(|list| serde_json::from_value(list).ok())
                    {
                        // An actor that is gone has a successor that asks for itself.
                        let _ = myself.send_message(DaemonsMsg::Listed(list));
                    }
                });
            }
            DaemonsMsg::Listed(list) => {
                let gone: Vec<String> = state
                    .living
                    .iter()
                    .filter(|(id, one)| {
                        let listed = list.processes.iter().any(|process| process.id == **id);
                        !listed && one.process.seq <= list.seq
                    })
                    .map(|(id, _)| id.clone())
                    .collect();
                for id in gone {
                    state.forget(&id);
                }
                for process in list.processes {
                    state.started(process);
                }
            }
            DaemonsMsg::Event(ProcessEvent::Started(process)) => state.started(process),
            DaemonsMsg::Event(ProcessEvent::Exited(exit)) => state.exited(exit),
        }
        Ok(())
    }
}

impl DaemonsState {
    fn started(&mut self, process: ProcessStarted) {
        let shown = is_daemon(&process) && !self.living.contains_key(&process.id);
        if !shown {
            return;
        }
        let name = name(&self.service, &process);
        let child = ChildSpec::worker(format!("{name} ({})", process.id), |context| async move {
            context.spawn(DaemonActor, ()).await
        })
        .temporary();
        let supervisor = self.supervisor.clone();
        self.living
            .insert(process.id.clone(), Living { process, name });
        tokio::spawn(async move {
            // The supervisor may be going down; its successor is filled from the agent's list.
            let _ = supervisor.add(child).await;
        });
    }

    fn forget(&mut self, id: &str) -> Option<Living> {
        let living = self.living.remove(id)?;
        let child = format!("{} ({})", living.name, living.process.id);
        let supervisor = self.supervisor.clone();
        tokio::spawn(async move {
            // Gone already when the supervisor was restarted in between.
            let _ = supervisor.terminate(child).await;
        });
        Some(living)
    }

    fn exited(&mut self, exit: ProcessExited) {
        let Some(living) = self.forget(&exit.id) else {
            return;
        };
        let Some(cause) = self.cause(&exit) else {
            return;
        };
        let service = Arc::clone(&self.service);
        tokio::spawn(async move {
            let what = format!("daemon {}", living.name);
            let ran = Duration::from_millis(exit.ran_ms);
            service
                .record(&what, cause, "the package starts it again", Some(ran))
                .await;
        });
    }

    /// Why it ended, unless the end was wanted or is told by somebody else.
    fn cause(&self, exit: &ProcessExited) -> Option<Cause> {
        let service = &self.service;
        let wanted = service
            .entry()
            .map_or(DesiredStatus::Stopped, |entry| entry.status_info.desired);
        let quiet = wanted != DesiredStatus::Running
            || *service.container.borrow() != ContainerPhase::Up
            || !matches!(
                *service.phase.borrow(),
                RuntimePhase::Running | RuntimePhase::Changing
            )
            || service.runtime.borrow().is_none();
        if quiet {
            return None;
        }
        match (exit.code, exit.signal) {
            _ if exit.oom_kills.is_some_and(|kills| kills > 0) => Some(Cause::Oom),
            (_, Some(signal)) => Some(Cause::Signal { signal }),
            // A oneshot that did its work.
            (Some(0), None) => None,
            (code, None) => Some(Cause::Exit {
                code: code.unwrap_or(-1),
            }),
        }
    }
}

/// A process of the package that is neither a bare leader nor a question whose answer it reads.
fn is_daemon(process: &ProcessStarted) -> bool {
    let runs_something = !process.argv.is_empty();
    match process.kind {
        ProcessKind::Leader | ProcessKind::Exec => runs_something && process.daemon,
        ProcessKind::Host => true,
        ProcessKind::Runtime => false,
    }
}

/// The subcontainer's name, or the program's.
fn name(service: &ServiceContext, process: &ProcessStarted) -> String {
    let subcontainers = service.subcontainers();
    let subcontainer = process
        .root
        .as_ref()
        .and_then(|guid| subcontainers.get(guid));
    match subcontainer {
        Some(subcontainer) => subcontainer.name.clone(),
        None => {
            let program = process.argv.first().map_or("?", String::as_str);
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

//! The actor of one service's container: the shell around [`step`].
//!
//! It also holds the service's socket: the container dials, this actor listens, and hands each
//! connection on by its role. Ending this actor touches neither container nor processes; its
//! successor adopts them, unless they are condemned ([`custody`]).

pub mod step;

mod reports;
mod spec;

use std::sync::Arc;

use coppice_clock::Mono;
use coppice_containers::{ExitStatus, Inspection};
use coppice_supervision::{ExitReason, STEPS};
use coppice_wire::Role;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;

use self::reports::AgentReports;
use self::step::{Effect, Ending, Failure, Input, State};
use super::{
    Changed, ContainerPhase, Event, RuntimeLink, ServiceContext, Watched, custody,
    daemons::hosted,
    hold::{self, Hold},
    limits,
};
use crate::{
    effects::Effects,
    link::{Accepted, Handler, Peer, ServiceListener},
    model::{Cause, WaitsFor},
};

/// Connections that may wait to be looked at.
const ACCEPT_QUEUE: usize = 64;

/// Messages of the container's actor.
#[derive(Debug)]
pub enum ContainerMsg {
    /// Something for the machine.
    Input(Input),
    /// A connection said hello.
    Connected(Box<Accepted>),
}

/// Keeps one service's container; see the module.
#[derive(Debug)]
pub struct ContainerActor;

/// What the container's actor keeps.
#[derive(Debug)]
pub struct ContainerShell {
    service: Arc<ServiceContext>,
    /// One for all connections, which share its limits.
    effects: Arc<Effects>,
    state: Option<State>,
    /// There while the machine is in `Held`.
    hold: Option<Hold>,
    _listener: ServiceListener,
}

impl Actor for ContainerActor {
    type Msg = ContainerMsg;
    type State = ContainerShell;
    type Arguments = Arc<ServiceContext>;

    async fn pre_start(
        &self,
        myself: ActorRef<ContainerMsg>,
        service: Arc<ServiceContext>,
    ) -> Result<ContainerShell, ActorProcessingErr> {
        let (connections, mut accepted) = mpsc::channel(ACCEPT_QUEUE);
        let base = service
            .host
            .document
            .allocation(&service.id)
            .ok_or_else(|| service.gone())?
            .id_base();
        let folder = service.host.socket_folder(&service.id);
        spec::make_socket_folder(&folder)?;
        let listener = ServiceListener::bind(&folder.join("host.sock"), base, connections)?;
        service.container_slot.set(myself.clone());
        let actor = myself.clone();
        tokio::spawn(async move {
            while let Some(connection) = accepted.recv().await {
                if actor
                    .send_message(ContainerMsg::Connected(Box::new(connection)))
                    .is_err()
                {
                    break;
                }
            }
        });
        let (state, effects) = State::begin(service.custody.is_condemned(), Mono::now());
        tracing::trace!(
            target: STEPS,
            machine = "container",
            whose = service.id,
            to = state.variant(),
            due = state.deadline().map(|(due, _)| due.as_millis()),
        );
        let mut shell = ContainerShell {
            effects: Arc::new(Effects::new(Arc::clone(&service))),
            service,
            state: Some(state),
            hold: None,
            _listener: listener,
        };
        for effect in effects {
            shell.perform(effect, &myself);
        }
        Ok(shell)
    }

    async fn handle(
        &self,
        myself: ActorRef<ContainerMsg>,
        message: ContainerMsg,
        shell: &mut ContainerShell,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ContainerMsg::Input(input) => shell.step(input, &myself),
            ContainerMsg::Connected(accepted) => shell.connected(*accepted),
        }
        match &shell.state {
            Some(State::Failed(failure)) => shell.failed(failure.clone(), &myself),
            _ => Ok(()),
        }
    }
}

impl ContainerShell {
    fn step(&mut self, input: Input, myself: &ActorRef<ContainerMsg>) {
        let Some(state) = self.state.take() else {
            return;
        };
        let (from, what) = (state.variant(), input.variant());
        let (state, effects) = state.step(input, Mono::now());
        tracing::debug!(service = self.service.id, ?state, "container");
        if state != State::Held {
            self.hold = None;
        }
        tracing::trace!(
            target: STEPS,
            machine = "container",
            whose = self.service.id,
            from,
            input = what,
            to = state.variant(),
            due = state.deadline().map(|(due, _)| due.as_millis()),
        );
        self.state = Some(state);
        for effect in effects {
            self.perform(effect, myself);
        }
    }

    fn look(&self, myself: &ActorRef<ContainerMsg>) {
        let service = Arc::clone(&self.service);
        answer(myself, async move {
            let found = service.host.backend.inspect(&service.instance).await;
            if matches!(found, Ok(Inspection::Running(_))) {
                limits::renew(&service).await;
            }
            Input::Looked(match found {
                Ok(Inspection::Running(_)) => Ok(true),
                Ok(_) => Ok(false),
                Err(error) => Err(error.to_string()),
            })
        });
    }

    fn perform(&mut self, effect: Effect, myself: &ActorRef<ContainerMsg>) {
        let service = Arc::clone(&self.service);
        match effect {
            Effect::WakeAt(at) => {
                myself.send_after(at.since(Mono::now()), || ContainerMsg::Input(Input::Wake));
            }
            Effect::Look => self.look(myself),
            Effect::Clear { grace } => answer(myself, async move {
                Input::Cleared(custody::clear(&service, grace).await)
            }),
            Effect::Create => answer(
                myself,
                async move { Input::Created(create(&service).await) },
            ),
            Effect::Announce => {
                self.service.container.send_replace(ContainerPhase::Up);
                let up = Changed::One(Watched::ContainerIp(self.service.id.clone()));
                self.service.host.tell_watchers(&[up]);
                answer(myself, async move {
                    Input::Ended {
                        how: watch_end(&service).await,
                    }
                });
            }
            Effect::Destroy { grace } => {
                self.service.container.send_replace(ContainerPhase::Down);
                answer(myself, async move {
                    Input::Destroyed(custody::remove(&service, grace).await)
                });
            }
            Effect::AnnounceGone => {
                self.service.container.send_replace(ContainerPhase::Gone);
            }
        }
    }

    /// Hands a connection on by its role; a newer one replaces an older of the same role.
    fn connected(&self, accepted: Accepted) {
        let taken = self.state.as_ref().is_some_and(State::takes_connections);
        if !taken {
            // Closed with this: what dials here has no future, or redials when it has one.
            return;
        }
        let service = &self.service;
        let hello = accepted.hello.clone();
        match hello.role {
            Role::Agent => {
                let peer = AgentReports::serve(accepted, Arc::clone(service));
                let older = service.agent.send_replace(Some(peer.clone()));
                older.iter().for_each(Peer::close);
                let service = Arc::clone(service);
                tokio::spawn(async move {
                    peer.ended().await;
                    service
                        .agent
                        .send_if_modified(|now| forget(now, |now| now.same_as(&peer)));
                });
            }
            Role::Runtime => {
                let Some(generation) = hello.generation else {
                    return;
                };
                let peer = Peer::serve(accepted, Arc::clone(&self.effects) as Arc<dyn Handler>);
                let older = service.runtime.send_replace(Some(RuntimeLink {
                    generation,
                    peer: peer.clone(),
                }));
                // Left open, it would be nobody's once the newer one ends, and would not dial again.
                older.iter().for_each(|older| older.peer.close());
                let service = Arc::clone(service);
                tokio::spawn(async move {
                    peer.ended().await;
                    service
                        .runtime
                        .send_if_modified(|now| forget(now, |now| now.peer.same_as(&peer)));
                });
            }
            Role::Cli => {
                Peer::serve(accepted, Arc::clone(&self.effects) as Arc<dyn Handler>);
            }
        }
    }

    /// What could not be made for want of room is held. Otherwise the actor ends with its reason, is
    /// counted, and is started again.
    fn failed(
        &mut self,
        failure: Failure,
        myself: &ActorRef<ContainerMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let service = Arc::clone(&self.service);
        service.container.send_replace(ContainerPhase::Down);
        // Nothing that ran in it may be shown as running until its successor is up, nor be taken for asleep.
        service.reports.clear();
        let _ = service.door.open();
        let noted = Arc::clone(&service);
        tokio::spawn(async move { note_down(&noted).await });
        // One that could not be looked at may run, with a runtime in it that thinks so: all is begun anew.
        let is_making = matches!(failure, Failure::Create(_));
        let (cause, ran, text) = told(failure);
        // An install waits for its init: one whose container does not come up must not wait for ever.
        service.note_failure("container", cause.clone(), &text);
        let event = Event::new(
            "container",
            cause,
            "the container and everything in it is started again",
        )
        .after(ran);
        // A dependency has no part in the making of a container.
        let room = hold::obstacle(&service).filter(|one| one.waits_for == WaitsFor::Room);
        if let (true, Some(obstacle)) = (is_making, room) {
            self.step(Input::Hold, myself);
            let (action, because) = (hold::action(&obstacle), obstacle.because.clone());
            service.record_later(Event {
                action,
                because,
                ..event
            });
            self.hold = Some(Hold::begin(&service, obstacle, myself.clone(), || {
                ContainerMsg::Input(Input::Release)
            }));
            return Ok(());
        }
        self.state = None;
        service.record_later(event);
        Err(ExitReason::Abnormal(coppice_supervision::Failure::text(text)).into())
    }
}

/// A failure as a cause, how long the container had been up, and in words.
fn told(failure: Failure) -> (Cause, Option<std::time::Duration>, String) {
    match failure {
        Failure::Ended { how, ran } => {
            let text = format!("the container ended: {how}");
            let cause = match how {
                Ending::Code(code) => Cause::Exit { code },
                Ending::Signal(signal) => Cause::Signal { signal },
                Ending::Unseen(_) => Cause::ContainerDied,
            };
            (cause, Some(ran), text)
        }
        Failure::Look(message) | Failure::Create(message) => {
            let cause = Cause::StartFailed {
                message: message.clone(),
            };
            (cause, None, message)
        }
        Failure::Destroy(message) => {
            let cause = Cause::StopFailed {
                message: message.clone(),
            };
            (cause, None, message)
        }
        Failure::Deadline(waited_for) => {
            let cause = Cause::Deadline {
                waited_for: waited_for.to_owned(),
            };
            (cause, None, format!("{waited_for} took too long"))
        }
    }
}

async fn note_down(service: &Arc<ServiceContext>) {
    let written = service
        .update("container-down", |entry| {
            entry.went_down();
            Ok(())
        })
        .await;
    if let Err(error) = written {
        tracing::warn!(service = service.id, %error, "a container's end was not noted");
    }
}

fn forget<T>(now: &mut Option<T>, same: impl FnOnce(&T) -> bool) -> bool {
    let ended = now.as_ref().is_some_and(same);
    if ended {
        *now = None;
    }
    ended
}

fn answer(actor: &ActorRef<ContainerMsg>, work: impl Future<Output = Input> + Send + 'static) {
    let actor = actor.clone();
    tokio::spawn(async move {
        let input = work.await;
        // An actor that is gone has a successor that looks at the world anew.
        let _ = actor.send_message(ContainerMsg::Input(input));
    });
}

async fn create(service: &Arc<ServiceContext>) -> Result<(), String> {
    // Whoever removes the container waits for this. And whoever removes the service may have come first,
    // while this waited or because the actor that began it is gone.
    let _turn = custody::turn(service).await;
    if !service.has_tree() {
        return Err(service.gone().details);
    }
    // They hold for the life of a container: in the next one the package's `init` comes first.
    hosted::declare(service, Vec::new())
        .await
        .map_err(|problem| problem.details)?;
    let spec = spec::build(service)
        .await
        .map_err(|problem| problem.details)?;
    let made = service.host.backend.create(&spec).await;
    made.map_err(|error| crate::problem::Problem::of(crate::problem::Kind::Lxc, &error).details)?;
    let veth = service.host.layout.veth(&service.instance);
    if !std::path::Path::new("/sys/class/net").join(&veth).exists() {
        // A container that is kept in memory only.
        return Ok(());
    }
    if let Some(network) = &spec.network
        && let Err(error) = coppice_net::bridge::tune_port(&veth, network.mac).await
    {
        tracing::warn!(service = service.id, %error, "the service's link was not tuned");
    }
    Ok(())
}

/// Resolves with how the container's pid 1 ended.
async fn watch_end(service: &Arc<ServiceContext>) -> Ending {
    let backend = &service.host.backend;
    match backend.inspect(&service.instance).await {
        Ok(Inspection::Running(life)) => match backend.wait_exit(&service.instance, &life).await {
            Ok(exit) => match exit.status {
                Some(ExitStatus::Code(code)) => Ending::Code(code),
                Some(ExitStatus::Signal(signal)) => Ending::Signal(signal),
                None => Ending::Unseen("its first process ended".to_owned()),
            },
            Err(error) => Ending::Unseen(error.to_string()),
        },
        Ok(_) => Ending::Unseen("it ended before it could be watched".to_owned()),
        Err(error) => Ending::Unseen(error.to_string()),
    }
}

//! The actor around [`core::State`](crate::core): turns messages into inputs, performs effects.
//!
//! Invariant: nothing is awaited in a handler. Starts run in tasks of their own and come back as
//! messages, stops are asked for and reported by ractor, waits are timers that send messages. So a
//! shutdown and an inspection are always heard.

mod children;
mod started;
mod tasks;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

use coppice_clock::Mono;
use futures_util::future::join_all;
use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent,
};
use tokio::sync::oneshot;

pub(crate) use started::spawn;

use tasks::{AbortOnDrop, StartTask, end, send_after};

use crate::{
    clock::Clock,
    context::StartError,
    core::{Command, CommandError, CommandId, Effect, Input, Key, StartId, State},
    event::{self, What},
    exit::{self, ExitReason, Failure, ShutdownDetail},
    handle::{ChildInfo, Children, Supervisor, SupervisorMsg},
    id::{ChildId, TreePath},
    spec::{ChildSpec, StartFn, SupervisorSpec, check_significance},
};

/// What a supervisor actor is told.
pub(crate) enum Msg {
    Boot,
    StartDone(Key, StartId, Result<ActorCell, StartError>),
    Timer(Key),
    TryAgain(Key),
    /// Something was restarted below this child, a supervisor.
    Unsteady(ActorId),
    /// An actor that was linked late has ended; its event may have been lost.
    Vanished(ActorId),
    Add(
        Box<ChildSpec>,
        RpcReplyPort<Result<Option<ActorCell>, CommandError>>,
    ),
    Request(Request, ChildId, RpcReplyPort<Result<(), CommandError>>),
    Children(RpcReplyPort<Children>),
    Shutdown(ExitReason),
}

/// A command about a child that exists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Terminate,
    Restart,
    Delete,
    Unpark,
}

struct Shell;

struct Arguments {
    spec: SupervisorSpec,
    path: TreePath,
    parent: Option<Supervisor>,
    up: oneshot::Sender<Result<(), Failure>>,
    ended: Arc<OnceLock<ExitReason>>,
}

struct Running {
    /// Taken while a step runs.
    core: Option<State>,
    spec: SupervisorSpec,
    path: TreePath,
    parent: Option<Supervisor>,
    clock: Clock,
    started_at: Mono,
    factories: HashMap<Key, StartFn>,
    starts: HashMap<Key, StartTask>,
    timers: HashMap<Key, AbortOnDrop>,
    cells: HashMap<Key, ActorCell>,
    actors: HashMap<ActorId, (Key, StartId)>,
    /// Actors that ended before the news of their start arrived.
    early: HashMap<ActorId, ExitReason>,
    replies: HashMap<CommandId, Reply>,
    next_key: u64,
    next_command: u64,
    up: Option<oneshot::Sender<Result<(), Failure>>>,
    ended: Arc<OnceLock<ExitReason>>,
}

enum Reply {
    Plain(RpcReplyPort<Result<(), CommandError>>),
    Added(Key, RpcReplyPort<Result<Option<ActorCell>, CommandError>>),
}

impl Actor for Shell {
    type Msg = SupervisorMsg;
    type State = Running;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        arguments: Arguments,
    ) -> Result<Running, ActorProcessingErr> {
        let Arguments {
            spec,
            path,
            parent,
            up,
            ended,
        } = arguments;
        let clock = spec.clock.clone().unwrap_or_default();
        let keyed = || (0..).map(Key).zip(&spec.children);
        let core = State::new(
            spec.rules,
            keyed().map(|(key, child)| (key, child.id.clone(), child.rules)),
            jitter_seed(&path, clock.now()),
        );
        myself.cast(SupervisorMsg(Msg::Boot))?;
        Ok(Running {
            core: Some(core),
            started_at: clock.now(),
            factories: keyed()
                .map(|(key, child)| (key, child.start.clone()))
                .collect(),
            next_key: spec.children.len() as u64,
            path,
            parent,
            clock,
            spec,
            starts: HashMap::new(),
            timers: HashMap::new(),
            cells: HashMap::new(),
            actors: HashMap::new(),
            early: HashMap::new(),
            replies: HashMap::new(),
            next_command: 0,
            up: Some(up),
            ended,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        SupervisorMsg(message): SupervisorMsg,
        state: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Boot => state.feed(&myself, Input::Boot),
            Msg::StartDone(key, start, result) => state.start_done(&myself, key, start, result),
            Msg::Timer(key) => state.feed(&myself, Input::Timer(key)),
            Msg::TryAgain(key) => state.feed(&myself, Input::TryAgain(key)),
            Msg::Unsteady(actor) => match state.actors.get(&actor) {
                Some((key, start)) => state.feed(&myself, Input::Unsteady(*key, *start)),
                // It has ended meanwhile.
                None => Ok(()),
            },
            Msg::Vanished(actor) => {
                let unseen = Failure::text("ended before it was supervised");
                state.actor_ended(&myself, actor, ExitReason::Abnormal(unseen))
            }
            Msg::Add(child, port) => state.add(&myself, *child, port),
            Msg::Request(request, child, port) => {
                let command = match request {
                    Request::Terminate => Command::Terminate(child),
                    Request::Restart => Command::Restart(child),
                    Request::Delete => Command::Delete(child),
                    Request::Unpark => Command::Unpark(child),
                };
                let id = state.expect_reply(Reply::Plain(port));
                state.feed(&myself, Input::Command(id, command))
            }
            Msg::Children(port) => {
                // Whoever asked may have stopped waiting.
                let _ = port.send(state.children());
                Ok(())
            }
            Msg::Shutdown(reason) => state.feed(&myself, Input::Shutdown(reason)),
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(actor, _, text) => {
                let reason = ExitReason::from_stop_text(text.as_deref());
                state.actor_ended(&myself, actor.get_id(), reason)
            }
            SupervisionEvent::ActorFailed(actor, error) => {
                let reason = ExitReason::from_handler_error(error);
                state.actor_ended(&myself, actor.get_id(), reason)
            }
            // `StartDone` tells more, and group membership is nobody's business here.
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }

    /// Runs only when someone called ractor's `stop` on the supervisor instead of sending it the
    /// shutdown message. No event is delivered any more, so the children are ended here, in the
    /// same order and with the same patience.
    async fn post_stop(
        &self,
        _myself: ActorRef<SupervisorMsg>,
        state: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        state.starts.clear();
        state.timers.clear();
        let stops = state.stops_in_reverse();
        if state.core().is_ordered() {
            for (cell, shutdown) in stops {
                end(cell, shutdown).await;
            }
        } else {
            join_all(stops.into_iter().map(|(cell, how)| end(cell, how))).await;
        }
        state.set_ended(ExitReason::Shutdown(ShutdownDetail::Requested));
        Ok(())
    }
}

impl Running {
    fn core(&self) -> &State {
        self.core.as_ref().expect("only absent within `feed`")
    }

    fn set_ended(&self, reason: ExitReason) {
        // Set once: a second end cannot happen, and the first would be the true one.
        let _ = self.ended.set(reason);
    }

    /// One step and its effects. An error is the typed end of this actor.
    fn feed(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        input: Input,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.clock.now();
        let core = self.core.take().expect("steps do not nest");
        let (from, what) = (core.phase(), input.variant());
        let (core, effects) = core.step(input, now);
        tracing::trace!(
            target: event::STEPS,
            machine = "supervisor",
            whose = %self.path,
            from,
            input = what,
            to = core.phase(),
        );
        self.core = Some(core);
        for effect in effects {
            self.perform(myself, effect, now)?;
        }
        Ok(())
    }

    fn perform(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        effect: Effect,
        now: Mono,
    ) -> Result<(), ActorProcessingErr> {
        match effect {
            Effect::Start {
                key,
                start,
                restarts,
                deadline,
            } => self.begin_start(myself, key, start, restarts, deadline),
            Effect::CancelStart { key } => {
                self.starts.remove(&key);
            }
            Effect::Stop { key } => {
                if let Some(cell) = self.cells.get(&key) {
                    match Supervisor::from_cell(cell) {
                        Some(supervisor) => supervisor.shutdown(),
                        None => {
                            exit::stop(cell, &ExitReason::Shutdown(ShutdownDetail::Requested));
                        }
                    }
                }
            }
            Effect::Kill { key } => {
                if let Some(cell) = self.cells.get(&key) {
                    cell.kill();
                }
            }
            Effect::Abandon { key } => {
                if let Some(cell) = self.cells.remove(&key) {
                    self.actors.remove(&cell.get_id());
                    cell.unlink(myself.get_cell());
                }
            }
            Effect::Timer { key, at } => {
                let wait = at.since(now);
                let task = send_after(myself, wait, Msg::Timer(key));
                self.timers.insert(key, task);
            }
            Effect::Unsteady => {
                if let Some(parent) = &self.parent {
                    parent.unsteady(myself.get_id());
                }
            }
            Effect::TryAgain { key } => myself.cast(SupervisorMsg(Msg::TryAgain(key)))?,
            Effect::Reply { command, result } => self.reply(command, result),
            Effect::Removed { key } => {
                self.factories.remove(&key);
                self.timers.remove(&key);
            }
            Effect::Event(what) => self.observe(what, now),
            Effect::Booted => {
                if let Some(up) = self.up.take() {
                    // Nobody waits any more if the start was given up.
                    let _ = up.send(Ok(()));
                }
            }
            Effect::End(reason) => {
                if let Some(up) = self.up.take() {
                    let failure = match &reason {
                        ExitReason::StartFailed(failure) => failure.clone(),
                        other => Failure::text(other.to_string()),
                    };
                    let _ = up.send(Err(failure));
                }
                self.set_ended(reason.clone());
                return Err(reason.into());
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        child: ChildSpec,
        port: RpcReplyPort<Result<Option<ActorCell>, CommandError>>,
    ) -> Result<(), ActorProcessingErr> {
        let rules = &self.spec.rules;
        if let Err(error) =
            check_significance(&self.spec.id, rules.auto_shutdown, &child.id, &child.rules)
        {
            let _ = port.send(Err(error.into()));
            return Ok(());
        }
        let key = Key(self.next_key);
        self.next_key += 1;
        self.factories.insert(key, child.start);
        let id = self.expect_reply(Reply::Added(key, port));
        let command = Command::Add {
            key,
            id: child.id,
            rules: child.rules,
        };
        self.feed(myself, Input::Command(id, command))
    }

    fn expect_reply(&mut self, reply: Reply) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.replies.insert(id, reply);
        id
    }

    fn reply(&mut self, command: CommandId, result: Result<(), CommandError>) {
        // Whoever asked may have stopped waiting: an answer that nobody takes is dropped.
        let _ = match self.replies.remove(&command) {
            Some(Reply::Plain(port)) => port.send(result).is_ok(),
            Some(Reply::Added(key, port)) => {
                let cell = self.cells.get(&key).cloned();
                port.send(result.map(|()| cell)).is_ok()
            }
            None => false,
        };
    }

    fn children(&self) -> Children {
        Children {
            path: self.path.clone(),
            started_at: self.started_at,
            children: self
                .core()
                .list()
                .map(|child| ChildInfo {
                    actor: self.cells.get(&child.key).cloned(),
                    id: child.id,
                    kind: child.kind,
                    state: child.state,
                    restarts: child.restarts,
                })
                .collect(),
        }
    }

    fn observe(&self, what: What, at: Mono) {
        tracing::debug!(supervisor = %self.path, ?what, "supervision");
        if let Some(observer) = &self.spec.observer {
            observer.observe(event::SupervisionEvent {
                at,
                supervisor: self.path.clone(),
                what,
            });
        }
    }
}

/// Siblings that fail together must not come back together, so what differs between them is enough:
/// where they are and when they were started. Drawing lots would make every simulation another one.
fn jitter_seed(path: &TreePath, now: Mono) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.to_string().hash(&mut hasher);
    now.hash(&mut hasher);
    hasher.finish()
}

//! The actor around [`core::State`](crate::core): turns messages into inputs, performs effects.
//!
//! Invariant: nothing is awaited in a handler. Starts run in tasks of their own and come back as
//! messages, stops are asked for and reported by ractor, waits are timers that send messages. So a
//! shutdown and an inspection are always heard.

mod tasks;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
    time::Duration,
};

use coppice_clock::Mono;
use futures_util::future::join_all;
use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent,
};
use tokio::{sync::oneshot, task::JoinHandle};

use tasks::{AbortOnDrop, StartTask, end, send_after, watch};

use crate::{
    clock::Clock,
    context::{ChildContext, Spawned, StartError},
    core::{Command, CommandError, CommandId, Effect, Input, Key, Shutdown, StartId, State},
    event::{self, What},
    exit::{self, ExitReason, Failure, ShutdownDetail},
    guarded::Guarded,
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

/// A supervisor whose children may still be starting.
pub(crate) struct Started {
    pub(crate) actor: ActorRef<SupervisorMsg>,
    pub(crate) ended: Arc<OnceLock<ExitReason>>,
    up: oneshot::Receiver<Result<(), Failure>>,
    task: JoinHandle<()>,
}

impl Started {
    pub(crate) fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Waits until all children are up.
    pub(crate) async fn up(self) -> Result<ActorCell, StartError> {
        let cell = self.cell();
        self.up_and_task().await?;
        Ok(cell)
    }

    pub(crate) async fn up_and_task(self) -> Result<JoinHandle<()>, StartError> {
        match self.up.await {
            Ok(Ok(())) => Ok(self.task),
            Ok(Err(failure)) => {
                // The children are down; this waits for the actor itself to go.
                let _ = self.task.await;
                Err(StartError::Failed(failure))
            }
            Err(_) => Err(StartError::Failed(Failure::text(
                "the supervisor ended before its children were up",
            ))),
        }
    }
}

/// Spawns the actor; its children start after that.
pub(crate) async fn spawn(
    spec: SupervisorSpec,
    path: TreePath,
    parent: Option<ActorCell>,
) -> Result<Started, StartError> {
    spec.check().map_err(StartError::failed)?;
    let (up_sender, up) = oneshot::channel();
    let ended = Arc::new(OnceLock::new());
    let arguments = Arguments {
        spec,
        path,
        parent: parent.as_ref().and_then(Supervisor::from_cell),
        up: up_sender,
        ended: ended.clone(),
    };
    let shell = Guarded(Shell);
    let (actor, task) = match parent {
        Some(parent) => Actor::spawn_linked(None, shell, arguments, parent).await?,
        None => Actor::spawn(None, shell, arguments).await?,
    };
    Ok(Started {
        actor,
        ended,
        up,
        task,
    })
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

    fn begin_start(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        key: Key,
        start: StartId,
        restarts: u32,
        deadline: Option<Duration>,
    ) {
        let (Some(factory), Some((id, _))) =
            (self.factories.get(&key), self.core().child_rules(key))
        else {
            return;
        };
        let context = ChildContext {
            parent: myself.get_cell(),
            path: self.path.child(id.clone()),
            restarts,
            observer: self.spec.observer.clone(),
            clock: self.clock.clone(),
            spawned: Spawned::default(),
        };
        let task = StartTask::begin(
            myself.clone(),
            factory.clone(),
            context,
            (key, start),
            deadline,
        );
        self.starts.insert(key, task);
    }

    fn start_done(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        key: Key,
        start: StartId,
        result: Result<ActorCell, StartError>,
    ) -> Result<(), ActorProcessingErr> {
        if self
            .starts
            .get(&key)
            .is_some_and(|task| task.start == start)
        {
            self.starts.remove(&key);
        }
        let ended_early = match &result {
            Ok(cell) => self.early.remove(&cell.get_id()),
            Err(_) => None,
        };
        if self.starts.is_empty() {
            self.early.clear();
        }
        let cell = match result {
            Ok(cell) => cell,
            Err(StartError::Ignore) => return self.feed(myself, Input::Ignored(key, start)),
            Err(StartError::Failed(failure)) => {
                return self.feed(myself, Input::StartFailed(key, start, failure));
            }
        };
        if !self.core().is_starting(key, start) {
            // Given up in the moment it succeeded.
            cell.kill();
            return Ok(());
        }
        let actor = cell.get_id();
        if ended_early.is_none() && !is_child_of(&cell, myself) {
            // The start function did not link it, or it has just ended. Either way someone has to
            // look: an end between this line and the link would be reported to nobody.
            cell.link(myself.get_cell());
            watch(myself.clone(), cell.clone());
        }
        self.cells.insert(key, cell);
        self.actors.insert(actor, (key, start));
        self.feed(myself, Input::Started(key, start))?;
        match ended_early {
            Some(reason) => self.actor_ended(myself, actor, reason),
            None => Ok(()),
        }
    }

    fn actor_ended(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        actor: ActorId,
        reason: ExitReason,
    ) -> Result<(), ActorProcessingErr> {
        let Some((key, start)) = self.actors.remove(&actor) else {
            if !self.starts.is_empty() {
                self.early.insert(actor, reason);
            }
            return Ok(());
        };
        self.cells.remove(&key);
        self.feed(myself, Input::Exited(key, start, reason))
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

    fn stops_in_reverse(&self) -> Vec<(ActorCell, Shutdown)> {
        let mut stops: Vec<_> = self
            .cells
            .iter()
            .filter_map(|(key, cell)| {
                let (_, rules) = self.core().child_rules(*key)?;
                Some((*key, cell.clone(), rules.shutdown))
            })
            .collect();
        stops.sort_by_key(|(key, ..)| std::cmp::Reverse(*key));
        stops
            .into_iter()
            .map(|(_, cell, shutdown)| (cell, shutdown))
            .collect()
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

fn is_child_of(cell: &ActorCell, supervisor: &ActorRef<SupervisorMsg>) -> bool {
    cell.try_get_supervisor()
        .is_some_and(|parent| parent.get_id() == supervisor.get_id())
}

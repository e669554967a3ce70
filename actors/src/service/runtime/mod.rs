//! The actor of the Node runtime: the shell around [`step`].
//!
//! It turns what happens (agent and runtime connections, process ends, wishes, answers) into inputs,
//! performs the effects, and tells the others the phase. It never waits inside its handler: calls
//! run in tasks and come back as messages.

mod aftermath;
mod agent;
mod failure;
mod phase;
pub mod step;
mod watching;

use std::{sync::Arc, time::Duration};

use coppice_clock::{Mono, Wall};
use coppice_supervision::STEPS;
use coppice_wire::runtime::{EXIT, Exit, INIT, Init, InitKind, START, STOP};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::{
    agent::{ask_list, find_runtime, give_leave, kill_generation, live_runtime, spawn},
    phase::phase_of,
    step::{Effect, Input, State},
    watching::{watch_links, watch_processes},
};
use super::{ProcessReport, RuntimePhase, ServiceContext, daemons::hosted, hold::Hold};
use crate::{
    ids,
    link::{CallError, Peer},
    model::{DesiredStatus, ErrorInfo, PackageEntry},
    problem::Problem,
    relay::relay,
    text::cut,
};

/// Bytes of a package's own words in the error that is shown.
const SHOWN_BYTES: usize = 2048;
/// Between two tries of a question that the agent or the store did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Messages of the runtime's actor.
#[derive(Debug)]
pub enum RuntimeMsg {
    /// Something for the machine.
    Input(Input),
    /// A runtime ended, as a report says that is not acknowledged before this is dropped.
    Ended(Input, Arc<ProcessReport>),
    /// A runtime has nothing to do, and asks whether it may end.
    Drowsy {
        /// Its generation.
        generation: u64,
        /// Where the answer goes.
        leave: oneshot::Sender<bool>,
    },
    /// The agent's connection came or went.
    Agent(Option<Peer>),
    /// Something may have been missed: ask the agent whether the runtime still lives.
    Look,
    /// Read the wish from the document; `again` when it counts even if it did not change.
    Wish {
        /// Whether to send it on although it is the same.
        again: bool,
    },
}

/// Runs package JavaScript for one service; see the module.
#[derive(Debug)]
pub struct RuntimeActor;

/// What the runtime's actor keeps.
#[derive(Debug)]
pub struct RuntimeShell {
    service: Arc<ServiceContext>,
    state: Option<State>,
    wish: Option<DesiredStatus>,
    since: Mono,
    /// There while the machine is in `Held`.
    hold: Option<Hold>,
    /// A failed `start` is on record; it is tried for ever, and told once.
    start_failed: bool,
    /// Where Node waits for leave to end.
    leave: Option<oneshot::Sender<bool>>,
    /// There while an end is handled: kept until what is written about it is durable.
    told: Option<Arc<ProcessReport>>,
}

impl Actor for RuntimeActor {
    type Msg = RuntimeMsg;
    type State = RuntimeShell;
    type Arguments = Arc<ServiceContext>;

    async fn pre_start(
        &self,
        myself: ActorRef<RuntimeMsg>,
        service: Arc<ServiceContext>,
    ) -> Result<RuntimeShell, ActorProcessingErr> {
        service.phase.send_replace(RuntimePhase::Booting);
        service.runtime_slot.set(myself.clone());
        tracing::trace!(
            target: STEPS,
            machine = "runtime",
            whose = service.id,
            to = State::Waiting.variant(),
        );
        watch_links(&service, &myself);
        watch_processes(service.processes.subscribe(), myself.clone());
        relay(service.wishes.subscribe(), &myself, || RuntimeMsg::Wish {
            again: false,
        });
        let agent = service.agent.borrow().clone();
        myself.send_message(RuntimeMsg::Agent(agent))?;
        Ok(RuntimeShell {
            service,
            state: Some(State::Waiting),
            wish: None,
            since: Mono::now(),
            hold: None,
            start_failed: false,
            leave: None,
            told: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<RuntimeMsg>,
        message: RuntimeMsg,
        shell: &mut RuntimeShell,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RuntimeMsg::Agent(Some(agent)) => shell.look_for_runtime(agent, &myself),
            RuntimeMsg::Agent(None) => {}
            RuntimeMsg::Look => shell.look_again(&myself),
            RuntimeMsg::Wish { again } => {
                if let Ok(entry) = shell.service.entry() {
                    let wish = entry.status_info.desired;
                    if again || shell.wish != Some(wish) {
                        shell.wish = Some(wish);
                        shell.step(Input::Desired(wish), &myself);
                    }
                }
            }
            RuntimeMsg::Drowsy { generation, leave } => {
                shell.leave = Some(leave);
                shell.step(Input::Drowsy { generation }, &myself);
            }
            RuntimeMsg::Ended(input, told) => {
                shell.told = Some(told);
                shell.step(input, &myself);
            }
            RuntimeMsg::Input(input) => {
                let started = match &input {
                    Input::StartDone(result) => Some(result.clone()),
                    _ => None,
                };
                shell.step(input, &myself);
                shell.greet_waiting_runtime(&myself);
                if let Some(result) = started {
                    shell.started(result, &myself);
                }
            }
        }
        let done = match &shell.state {
            Some(State::Failed(failure)) => shell.failed(failure.clone(), &myself),
            _ => Ok(()),
        };
        shell.told = None;
        done
    }
}

impl RuntimeShell {
    fn step(&mut self, input: Input, myself: &ActorRef<RuntimeMsg>) {
        let Some(state) = self.state.take() else {
            return;
        };
        let now = Mono::now();
        let before = std::mem::discriminant(&state);
        let (from, what) = (state.variant(), input.variant());
        let (state, effects) = state.step(input, now);
        tracing::trace!(
            target: STEPS,
            machine = "runtime",
            whose = self.service.id,
            from,
            input = what,
            to = state.variant(),
            due = state.deadline().map(|(due, _)| due.as_millis()),
        );
        // A failure tells how long what failed had lasted.
        if std::mem::discriminant(&state) != before && !matches!(state, State::Failed(_)) {
            self.since = now;
            tracing::debug!(service = self.service.id, ?state, "runtime");
        }
        let generation = state.generation();
        self.announce(&state);
        if !matches!(
            state,
            State::Waiting | State::Settling { .. } | State::Asleep { .. } | State::Waking { .. }
        ) {
            // A new generation waits for nothing yet: it reads what was missed anew.
            let missed = self.service.door.open();
            self.service.fire(&missed);
        }
        if let State::Asleep { generation } = state
            && self.service.has_lost_callbacks(generation)
        {
            tell(myself, RuntimeMsg::Input(Input::Rouse));
        }
        if !matches!(state, State::Held { .. }) {
            self.hold = None;
        }
        self.state = Some(state);
        for effect in effects {
            self.perform(effect, generation, now, myself);
        }
    }

    fn announce(&self, state: &State) {
        let phase = phase_of(state, &self.service.phase.borrow());
        let mut initialised = false;
        self.service.phase.send_if_modified(|now| {
            let changed = *now != phase;
            initialised = *now == RuntimePhase::Booting && phase.is_initialised();
            *now = phase;
            changed
        });
        // After the phase says so: only then are forms asked for.
        if initialised {
            super::tasks::reevaluate_later(&self.service, None);
        }
    }

    fn perform(
        &mut self,
        effect: Effect,
        generation: Option<u64>,
        now: Mono,
        myself: &ActorRef<RuntimeMsg>,
    ) {
        let service = Arc::clone(&self.service);
        match effect {
            Effect::WakeAt(at) => {
                myself.send_after(at.since(now), || RuntimeMsg::Input(Input::Wake));
            }
            Effect::LookForAgent => {
                // Without one, the container's next will be heard.
                if let Some(agent) = service.agent.borrow().clone() {
                    self.look_for_runtime(agent, myself);
                }
            }
            Effect::AskDesired => tell(myself, RuntimeMsg::Wish { again: true }),
            Effect::Spawn { generation } => {
                service.forms.forget();
                service.begin_watching(generation);
                answer(myself, async move {
                    spawn(&service, generation)
                        .await
                        .err()
                        .map(Input::SpawnFailed)
                });
            }
            Effect::GiveLeave { generation } => {
                let leave = self.leave.take();
                answer(myself, async move {
                    let may = give_leave(&service, generation).await;
                    // One that has hung up asks again.
                    let _ = leave.map(|leave| leave.send(may));
                    (!may).then_some(Input::NotYet)
                });
            }
            Effect::RefuseLeave => {
                let _ = self.leave.take().map(|leave| leave.send(false));
            }
            Effect::KillGeneration { generation } => {
                tokio::spawn(async move { kill_generation(&service, generation).await });
            }
            Effect::CallInit => answer(myself, async move {
                let kind = service.host.document.pending_init(&service.id);
                call_init(&service, kind).await.map(Input::InitDone)
            }),
            Effect::CallStart => self.call(
                START,
                Value::Null,
                step::START_DEADLINE,
                myself,
                Input::StartDone,
            ),
            Effect::CallStop => {
                let link = service.runtime.borrow().clone();
                answer(myself, async move {
                    let stopped = link?
                        .peer
                        .call(STOP, Value::Null, step::STOP_DEADLINE)
                        .await;
                    let stopped = outcome(stopped)?;
                    // What `main` declared goes with it; the machine's deadline bounds the wait.
                    let withdrawn = hosted::withdraw(&service).await;
                    Some(Input::StopDone(
                        stopped.and(withdrawn.map_err(|problem| problem.details)),
                    ))
                });
            }
            Effect::CallExit => {
                let target = service.host.document.exit_target(&service.id);
                let params = json!(Exit {
                    id: ids::guid(),
                    target
                });
                let link = service.runtime.borrow().clone();
                answer(myself, async move {
                    // `uninit` may do with the data what no daemon may see.
                    if let Err(problem) = hosted::withdraw(&service).await {
                        return Some(Input::ExitDone(Err(problem.details)));
                    }
                    let done = link?.peer.call(EXIT, params, step::EXIT_DEADLINE).await;
                    outcome(done).map(Input::ExitDone)
                });
            }
            Effect::ClearRun => {
                service.reports.clear();
                self.note(|entry| {
                    entry.went_down();
                    let status = &mut entry.status_info;
                    if let DesiredStatus::Restarting { .. } = status.desired {
                        status.desired = DesiredStatus::Running;
                    }
                });
            }
            Effect::NoteStarted => self.note_started(myself),
            Effect::NoteStopped => {
                service.reports.clear();
                self.note(PackageEntry::went_down);
            }
            Effect::ShowError(mut details) => {
                cut(&mut details, SHOWN_BYTES);
                let debug = format!("generation {}", generation.unwrap_or_default());
                self.note(move |entry| {
                    entry.status_info.error = Some(ErrorInfo {
                        details,
                        debug,
                        info: Value::Null,
                    });
                });
            }
            Effect::ClearError => self.note(|entry| entry.status_info.error = None),
        }
    }

    /// Calls the runtime and turns its answer into an input. A connection that ends gives no input:
    /// the runtime redials and the machine asks again, or its process ended and that is reported.
    fn call(
        &self,
        method: &'static str,
        params: Value,
        patience: Duration,
        myself: &ActorRef<RuntimeMsg>,
        done: fn(Result<(), String>) -> Input,
    ) {
        let link = self.service.runtime.borrow().clone();
        answer(myself, async move {
            let result = link?.peer.call(method, params, patience).await;
            outcome(result).map(done)
        });
    }

    fn note(&self, change: impl FnOnce(&mut PackageEntry) + Send + 'static) {
        let service = Arc::clone(&self.service);
        tokio::spawn(async move {
            let written = service
                .update("runtime", move |entry| {
                    change(entry);
                    Ok(())
                })
                .await;
            if let Err(error) = written {
                tracing::warn!(service = service.id, %error, "a service's status was not written");
            }
        });
    }

    /// `started` is set once; a restart is over, or goes round once more.
    fn note_started(&self, myself: &ActorRef<RuntimeMsg>) {
        let service = Arc::clone(&self.service);
        let myself = myself.clone();
        tokio::spawn(async move {
            let written = service
                .update("runtime-started", |entry| {
                    entry.asleep = None;
                    let status = &mut entry.status_info;
                    status.desired = status.desired.came_up(status.started.is_some());
                    status.started.get_or_insert_with(Wall::now);
                    Ok(())
                })
                .await;
            match written {
                Ok(()) => tell(&myself, RuntimeMsg::Wish { again: true }),
                // The document still asks for the restart that is done: reading it now would go
                // round for as long as the disk is full. A new wish is heard all the same.
                Err(error) => {
                    tracing::warn!(service = service.id, %error, "a service's start was not written");
                }
            }
        });
    }

    /// Asks the agent what runs, so that a living Node is adopted instead of started again.
    fn look_for_runtime(&self, agent: Peer, myself: &ActorRef<RuntimeMsg>) {
        let may_sleep = match self.state {
            Some(State::Waiting) => true,
            Some(State::Waking { .. }) => false,
            _ => return,
        };
        let service = Arc::clone(&self.service);
        answer(myself, async move {
            // Until it answers or hangs up; a new connection begins this anew.
            loop {
                match find_runtime(&service, &agent, may_sleep).await {
                    Ok(input) => return Some(input),
                    Err(why) if agent.has_ended() => {
                        tracing::debug!(service = service.id, why, "the agent hung up");
                        return None;
                    }
                    Err(why) => {
                        tracing::warn!(service = service.id, why, "asking the agent again");
                        tokio::time::sleep(ASK_AGAIN).await;
                    }
                }
            }
        });
    }

    /// Asks the agent whether our runtime lives; `None` of the two is the container's affair.
    fn look_again(&self, myself: &ActorRef<RuntimeMsg>) {
        let generation = self.state.as_ref().and_then(State::generation);
        let agent = self.service.agent.borrow().clone();
        let (Some(generation), Some(agent)) = (generation, agent) else {
            return;
        };
        answer(myself, async move {
            // Not answered: the question comes again for as long as the runtime is away.
            let list = ask_list(&agent).await.ok()?;
            let lives = live_runtime(&list).is_some_and(|live| live == generation);
            (!lives).then_some(Input::RuntimeMissing { generation })
        });
    }

    /// A runtime that dialled before the agent was heard has said its hello to nobody.
    fn greet_waiting_runtime(&mut self, myself: &ActorRef<RuntimeMsg>) {
        let dialled = self
            .service
            .runtime
            .borrow()
            .as_ref()
            .map(|link| link.generation);
        if let (Some(generation), Some(State::Launching { .. })) = (dialled, &self.state) {
            self.step(Input::RuntimeUp { generation }, myself);
        }
    }
}

/// Sends to the actor; one that is gone has a successor that reads the world anew.
fn tell(actor: &ActorRef<RuntimeMsg>, message: RuntimeMsg) {
    let _ = actor.send_message(message);
}

/// Runs `work` beside the actor and sends the input it gives.
fn answer(
    actor: &ActorRef<RuntimeMsg>,
    work: impl Future<Output = Option<Input>> + Send + 'static,
) {
    let actor = actor.clone();
    tokio::spawn(async move {
        if let Some(input) = work.await {
            tell(&actor, RuntimeMsg::Input(input));
        }
    });
}

/// `None` when the connection ended or time is up: that is no answer, and what was asked may still be
/// under way. The machine has a deadline of its own for that.
fn outcome(result: Result<Value, CallError>) -> Option<Result<(), String>> {
    match result {
        Ok(_) => Some(Ok(())),
        Err(CallError::Closed | CallError::Deadline { .. }) => None,
        Err(error) => Some(Err(Problem::from(error).details)),
    }
}

/// As [`outcome`]; a success is durable before anybody hears of it.
async fn call_init(
    service: &Arc<ServiceContext>,
    kind: Option<InitKind>,
) -> Option<Result<(), String>> {
    let params = json!(Init {
        id: ids::guid(),
        kind
    });
    let link = service.runtime.borrow().clone()?;
    let result = outcome(link.peer.call(INIT, params, step::INIT_DEADLINE).await)?;
    if result.is_err() {
        return Some(result);
    }
    let noted = service.host.document.init_done(&service.id).await;
    Some(noted.map_err(|error| error.to_string()))
}

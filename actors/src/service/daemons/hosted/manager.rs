//! The actor that has a service's declared daemons kept running: the shell around [`plan`].
//!
//! It reads what is declared and whether the service is wanted at all whenever either may have
//! changed, and puts actors below `hosted` or takes them away. A daemon's process is ended by its own
//! actor; this one only says which.

use std::{sync::Arc, time::Duration};

use coppice_supervision::{ChildSpec, CommandError, Shutdown, Supervisor};
use coppice_wire::agent::{ProcessKind, ProcessStarted};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;

use super::{
    super::{
        super::{
            ServiceContext,
            agent::{self, AskError},
        },
        ASK_AGAIN, LIST_PATIENCE,
    },
    actor::HostedActor,
    declared::{Declarations, Declared, is_wanted},
    plan::{Effect, Input, Plan, Stage},
};
use crate::{link::Peer, relay::relay};

/// What an actor has to end by itself.
const ACTOR_GRACE: Duration = Duration::from_secs(2);

/// Messages of the manager.
#[derive(Debug)]
pub enum HostingMsg {
    /// What is wanted may have changed.
    Look,
    /// The agent is there; asked once, for what an earlier core left.
    Agent,
    /// The host's processes that live, oldest first.
    Living(Vec<ProcessStarted>),
    /// A daemon runs.
    Up(String),
    /// A daemon was ended.
    Gone(String),
    /// The supervisor of the daemons' actors is not there any more.
    Orphaned,
}

/// Has a service's declared daemons kept running; see the module.
#[derive(Debug)]
pub struct HostingActor;

/// What the manager keeps.
#[derive(Debug)]
pub struct HostingState {
    service: Arc<ServiceContext>,
    /// There once it is known what lives: before that nothing is started or ended.
    plan: Option<Plan>,
    /// What the plan was last told to have running.
    declared: Vec<Arc<Declared>>,
    work: mpsc::UnboundedSender<Task>,
}

/// Something to do about an actor, after everything before it.
enum Task {
    /// Put one there.
    Add(Arc<Declared>),
    /// Take it away.
    Remove(String),
}

impl Actor for HostingActor {
    type Msg = HostingMsg;
    type State = HostingState;
    type Arguments = (Arc<ServiceContext>, Supervisor);

    async fn pre_start(
        &self,
        myself: ActorRef<HostingMsg>,
        (service, supervisor): Self::Arguments,
    ) -> Result<HostingState, ActorProcessingErr> {
        let children = supervisor.which_children().await?.children;
        let names: Vec<String> = children.iter().map(|child| child.id.to_string()).collect();
        service.hosted.keep_only(&names);
        service.hosting_slot.set(myself.clone());
        relay(service.wishes.subscribe(), &myself, || HostingMsg::Look);
        relay(service.agent.subscribe(), &myself, || HostingMsg::Agent);
        myself.send_message(HostingMsg::Agent)?;
        let (work, tasks) = mpsc::unbounded_channel();
        tokio::spawn(perform(Arc::clone(&service), supervisor, myself, tasks));
        Ok(HostingState {
            service,
            plan: None,
            declared: Vec::new(),
            work,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<HostingMsg>,
        message: HostingMsg,
        state: &mut HostingState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HostingMsg::Agent => state.ask(&myself),
            HostingMsg::Living(processes) => state.begin(processes),
            HostingMsg::Look => state.look(),
            HostingMsg::Up(process) => state.step(Input::Up(process)),
            HostingMsg::Gone(process) => state.step(Input::Gone(process)),
            HostingMsg::Orphaned => return Err("the supervisor `hosted` is gone".into()),
        }
        Ok(())
    }
}

impl HostingState {
    fn ask(&self, myself: &ActorRef<HostingMsg>) {
        let agent = self.service.agent.borrow().clone();
        let Some(agent) = agent.filter(|_| self.plan.is_none()) else {
            return;
        };
        let (myself, service) = (myself.clone(), self.service.id.clone());
        tokio::spawn(async move {
            match living(&agent).await {
                // An actor that is gone has a successor that asks for itself.
                Ok(processes) => drop(myself.send_message(HostingMsg::Living(processes))),
                Err(_) if agent.has_ended() => {}
                Err(error) => {
                    tracing::warn!(service, %error, "asking the agent again");
                    myself.send_after(ASK_AGAIN, || HostingMsg::Agent);
                }
            }
        });
    }

    /// What lives and is neither kept nor declared is a stray of an earlier core: it is kept, as
    /// something to be ended.
    fn begin(&mut self, processes: Vec<ProcessStarted>) {
        if self.plan.is_some() {
            return;
        }
        let service = Arc::clone(&self.service);
        self.declared = self.wanted();
        for process in processes {
            let known = service.hosted.daemon(&process.id).is_some()
                || self.declared.iter().any(|one| one.process() == process.id);
            let stray = Declared::stray(&process).filter(|_| !known).map(Arc::new);
            if let Some(stray) = stray {
                service.hosted.add(Arc::clone(&stray), Stage::Stopping);
                self.then(Task::Add(stray));
            }
        }
        let present = service.hosted.present();
        for (process, _) in present
            .iter()
            .filter(|(_, stage)| *stage == Stage::Stopping)
        {
            // Whoever was told before and is done by now says so again.
            service.hosted.stop(process);
        }
        self.plan = Some(Plan::beginning_with(present));
        self.look();
    }

    fn look(&mut self) {
        if self.plan.is_some() {
            self.declared = self.wanted();
            let names = self.declared.iter().map(|one| one.process()).collect();
            self.step(Input::Declared(names));
        }
    }

    fn step(&mut self, input: Input) {
        // Until it is known what lives there is no plan; it begins with what the roster says by then.
        let Some(plan) = self.plan.take() else {
            return;
        };
        let (plan, effects) = plan.step(input);
        self.plan = Some(plan);
        for effect in effects {
            self.follow(effect);
        }
    }

    fn follow(&mut self, effect: Effect) {
        let hosted = &self.service.hosted;
        match effect {
            Effect::Start(process) => {
                let daemon = self.declared.iter().find(|one| one.process() == process);
                if let Some(daemon) = daemon {
                    hosted.add(Arc::clone(daemon), Stage::Starting);
                    self.then(Task::Add(Arc::clone(daemon)));
                }
            }
            Effect::Stop(process) => {
                // An actor that has failed waits for its turn; one that only ends it need not.
                if !hosted.stop(&process)
                    && let Some(daemon) = hosted.daemon(&process)
                {
                    self.then(Task::Add(daemon));
                }
            }
            Effect::Forget(process) => {
                if let Some(daemon) = hosted.daemon(&process) {
                    self.then(Task::Remove(daemon.spec.id.clone()));
                }
                hosted.strike(&process);
            }
        }
    }

    /// The task ends only with this actor.
    fn then(&self, task: Task) {
        let _ = self.work.send(task);
    }

    /// What shall run: what is declared, until the service is not wanted.
    fn wanted(&self) -> Vec<Arc<Declared>> {
        let service = &self.service;
        let declarations = match Declarations::load(&service.host.secrets, &service.id) {
            Ok(declarations) => declarations,
            Err(problem) => {
                tracing::error!(service = service.id, %problem, "its daemons cannot be read");
                return Vec::new();
            }
        };
        if declarations.list.is_empty() {
            return Vec::new();
        }
        if !is_wanted(service) {
            service.hosted.make_void();
        }
        if !service.hosted.is_void() {
            return declarations.list.into_iter().map(Arc::new).collect();
        }
        let service = Arc::clone(service);
        tokio::spawn(async move {
            if let Err(problem) = super::drop_void(&service).await {
                tracing::warn!(service = service.id, %problem, "its daemons stay declared");
            }
        });
        Vec::new()
    }
}

/// The host's processes that live, oldest first.
async fn living(agent: &Peer) -> Result<Vec<ProcessStarted>, AskError> {
    let list = agent::list(agent, LIST_PATIENCE).await?;
    let hosts = list.processes.into_iter();
    Ok(hosts
        .filter(|process| process.kind == ProcessKind::Host)
        .collect())
}

/// Does what is asked, one after the other, until nobody can ask any more.
async fn perform(
    service: Arc<ServiceContext>,
    supervisor: Supervisor,
    manager: ActorRef<HostingMsg>,
    mut tasks: mpsc::UnboundedReceiver<Task>,
) {
    while let Some(task) = tasks.recv().await {
        let done = match task {
            Task::Add(daemon) => add(&service, &supervisor, daemon).await,
            Task::Remove(child) => remove(&supervisor, &child).await,
        };
        match done {
            Ok(()) | Err(CommandError::ShuttingDown) => {}
            Err(CommandError::Gone) => {
                // A manager that is gone has a successor that looks for itself.
                let _ = manager.send_message(HostingMsg::Orphaned);
            }
            Err(error) => tracing::warn!(service = service.id, %error, "a daemon's actor"),
        }
    }
}

async fn add(
    service: &Arc<ServiceContext>,
    supervisor: &Supervisor,
    daemon: Arc<Declared>,
) -> Result<(), CommandError> {
    let name = daemon.spec.id.clone();
    remove(supervisor, &name).await?;
    let service = Arc::clone(service);
    let child = ChildSpec::worker(name, move |context| {
        let arguments = (Arc::clone(&service), Arc::clone(&daemon));
        async move { context.spawn(HostedActor, arguments).await }
    });
    // An actor that ends leaves its process alone: there is nothing to wait for.
    let child = child.shutdown(Shutdown::Timeout(ACTOR_GRACE));
    supervisor.add(child).await.map(drop)
}

/// One that is not there is where it should be.
async fn remove(supervisor: &Supervisor, child: &str) -> Result<(), CommandError> {
    for done in [
        supervisor.terminate(child.to_owned()).await,
        supervisor.delete(child.to_owned()).await,
    ] {
        match done {
            Ok(()) | Err(CommandError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

//! The actor that our supervisor is given, and the record that it and its start function keep.
//!
//! The record is made by the actors themselves, not by the supervisor's observer: what counts is
//! what happened, not what the supervisor says about it.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use coppice_supervision::{ChildContext, ExitReason, ShutdownDetail, StartError, stop};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, oneshot};

use super::script::{Exit, Kind, Script, Start};

/// What a panic of a worker says; the hook in `ours.rs` keeps quiet about these.
pub(crate) const CRASH: &str = "this worker crashes because the script says so";

#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    record: Vec<String>,
    plans: HashMap<String, Plan>,
    living: HashMap<ActorId, Arc<Life>>,
}

struct Plan {
    deaf: bool,
    starts: Vec<Start>,
    then: Start,
    /// Starts that the supervisor has decided on, made or not: one that it gave up before it was
    /// made is used up all the same, as OTP has made it.
    decided: usize,
}

/// One incarnation.
struct Life {
    /// The end that comes is its own.
    own: AtomicBool,
    /// It was asked to stop and heard it.
    asked: AtomicBool,
    actor: ActorRef<Order>,
    /// The way to a deaf one, whose handler never returns.
    whisper: mpsc::UnboundedSender<Exit>,
}

impl Stage {
    pub(crate) fn new(script: &Script) -> Self {
        let mut inner = Inner::default();
        for child in script.children() {
            if let Kind::Worker { deaf, starts, then } = &child.kind {
                let plan = Plan {
                    deaf: *deaf,
                    starts: starts.clone(),
                    then: *then,
                    decided: 0,
                };
                inner.plans.insert(child.name.clone(), plan);
            }
        }
        Self(Arc::new(Mutex::new(inner)))
    }

    pub(crate) fn take_record(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().record)
    }

    pub(crate) fn living(&self) -> Vec<ActorId> {
        self.0.lock().unwrap().living.keys().copied().collect()
    }

    /// Makes a living worker end by itself; `false` if it does not live.
    pub(crate) fn order(&self, worker: ActorId, exit: Exit) -> bool {
        let Some(life) = self.0.lock().unwrap().living.get(&worker).cloned() else {
            return false;
        };
        if life.own.swap(true, Ordering::Relaxed) {
            return false;
        }
        if exit == Exit::Kill {
            life.actor.kill();
        } else {
            // One of the two is read, depending on its ears.
            let _ = life.whisper.send(exit);
            let _ = life.actor.cast(Order::Exit(exit));
        }
        true
    }

    /// The start function of the worker `name`.
    pub(crate) async fn start(
        &self,
        child: &ChildContext,
        name: &str,
    ) -> Result<ActorCell, StartError> {
        let (next, deaf) = self.this_start(name);
        match next {
            Start::Fail => {
                self.note("fail", name);
                Err(StartError::failed(std::io::Error::other("no luck")))
            }
            Start::Ignore => {
                self.note("ignore", name);
                Err(StartError::Ignore)
            }
            Start::Up => self.bring_up(child, name, deaf).await,
            Start::Die(exit) => {
                let cell = self.bring_up(child, name, deaf).await?;
                self.order(cell.get_id(), exit);
                // Without a limit there is no timeout to report.
                let _ = cell.wait(None).await;
                Ok(cell)
            }
        }
    }

    /// The supervisor has decided to start `name`.
    pub(crate) fn decided(&self, name: &str) {
        // A supervisor has no plan.
        if let Some(plan) = self.0.lock().unwrap().plans.get_mut(name) {
            plan.decided += 1;
        }
    }

    fn this_start(&self, name: &str) -> (Start, bool) {
        let inner = self.0.lock().unwrap();
        let plan = &inner.plans[name];
        let start = plan.starts.get(plan.decided - 1);
        (start.copied().unwrap_or(plan.then), plan.deaf)
    }

    async fn bring_up(
        &self,
        child: &ChildContext,
        name: &str,
        deaf: bool,
    ) -> Result<ActorCell, StartError> {
        self.note("start", name);
        let worker = Worker {
            stage: self.clone(),
            name: name.to_owned(),
            life: OnceLock::new(),
        };
        let (whisper, ear) = mpsc::unbounded_channel();
        let actor = child.spawn(worker, (whisper, ear)).await?;
        if deaf {
            let (listening, listens) = oneshot::channel();
            actor
                .cast(Order::Listen(listening))
                .map_err(StartError::failed)?;
            // Only once its handler is occupied does it not hear a stop.
            listens.await.map_err(StartError::failed)?;
        }
        Ok(actor.get_cell())
    }

    fn note(&self, what: &str, name: &str) {
        self.0.lock().unwrap().record.push(format!("{what}:{name}"));
    }
}

/// Its last words are said when it is dropped, which ractor does in the moment the actor ends,
/// however it ends, before its supervisor hears of it.
struct Worker {
    stage: Stage,
    name: String,
    life: OnceLock<Arc<Life>>,
}

#[derive(Debug)]
enum Order {
    Exit(Exit),
    /// From now on, listen to the whisper only.
    Listen(oneshot::Sender<()>),
}

type Whisper = (mpsc::UnboundedSender<Exit>, mpsc::UnboundedReceiver<Exit>);

impl Actor for Worker {
    type Msg = Order;
    type State = mpsc::UnboundedReceiver<Exit>;
    type Arguments = Whisper;

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        (whisper, ear): Whisper,
    ) -> Result<Self::State, ActorProcessingErr> {
        let life = Arc::new(Life {
            own: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            actor: myself.clone(),
            whisper,
        });
        let mut inner = self.stage.0.lock().unwrap();
        inner.living.insert(myself.get_id(), life.clone());
        // `pre_start` runs once.
        let _ = self.life.set(life);
        Ok(ear)
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        order: Order,
        ear: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let exit = match order {
            Order::Exit(exit) => exit,
            Order::Listen(listening) => {
                // Who started it may have been told to give up.
                let _ = listening.send(());
                match ear.recv().await {
                    Some(exit) => exit,
                    None => pending().await,
                }
            }
        };
        // Each in its own way: all of them are ways for an actor to end.
        match exit {
            Exit::Normal => myself.stop(None),
            Exit::Shutdown => stop(
                &myself.get_cell(),
                &ExitReason::Shutdown(ShutdownDetail::Requested),
            ),
            Exit::ShutdownNote => return Err(ExitReason::shutdown("because").into()),
            Exit::Abnormal => return Err(std::io::Error::other("bad").into()),
            Exit::Crash => panic!("{CRASH}"),
            Exit::Kill => myself.kill(),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Order>,
        _: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(life) = self.life.get() {
            life.asked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(life) = self.life.get() else {
            return;
        };
        let how = if life.own.load(Ordering::Relaxed) {
            "exit"
        } else if life.asked.load(Ordering::Relaxed) {
            "stop"
        } else {
            "kill"
        };
        let mut inner = self.stage.0.lock().unwrap();
        inner.living.remove(&life.actor.get_id());
        inner.record.push(format!("{how}:{}", self.name));
    }
}

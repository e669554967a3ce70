//! A child that does what it is told, and a record of everything that happened.

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use coppice_supervision::{
    ChildSpec, Clock, ExitReason, StartError, SupervisionEvent, Supervisor, SupervisorSpec, What,
};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tokio::{sync::Notify, task::JoinHandle};

/// What the next start of a child does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Fail,
    Panic,
    Hang,
    Ignore,
    /// Comes up and dies in `post_start`.
    DieAtOnce,
    /// The actor is spawned without a link to its supervisor.
    Unlinked,
}

#[derive(Debug)]
pub(crate) enum Do {
    Exit(ExitReason),
    Panic,
    /// Stays in the handler for ever: a stop is not heard.
    Stall,
    /// Holds the thread until the other end of `until` is dropped: not even a kill is heard.
    Block {
        begun: tokio::sync::oneshot::Sender<()>,
        until: std::sync::mpsc::Receiver<()>,
    },
}

/// The record, the script of starts, and the way to children by name.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Inner>);

#[derive(Default)]
struct Inner {
    script: Mutex<HashMap<String, VecDeque<Start>>>,
    children: Mutex<HashMap<String, ActorRef<Do>>>,
    events: Mutex<Vec<SupervisionEvent>>,
    /// What the children themselves saw: `+a` started, `-a` stopped in good order.
    log: Mutex<Vec<String>>,
    news: Notify,
}

impl Stage {
    /// The next starts of `child`, in this order; then it comes up as it should.
    pub(crate) fn next_starts(&self, child: &str, starts: impl IntoIterator<Item = Start>) {
        let mut script = self.0.script.lock().unwrap();
        script.entry(child.to_owned()).or_default().extend(starts);
    }

    /// A permanent worker.
    pub(crate) fn child(&self, name: &str) -> ChildSpec {
        let (stage, name) = (self.clone(), name.to_owned());
        ChildSpec::worker(name.clone(), move |child| {
            let (stage, name) = (stage.clone(), name.clone());
            async move {
                let next = stage.next_start(&name);
                let actor = match next {
                    Some(Start::Fail) => {
                        return Err(StartError::failed(std::io::Error::other("no luck")));
                    }
                    Some(Start::Ignore) => return Err(StartError::Ignore),
                    Some(Start::Unlinked) => {
                        Actor::spawn(None, Puppet, (name.clone(), stage.clone(), None))
                            .await?
                            .0
                    }
                    other => {
                        child
                            .spawn(Puppet, (name.clone(), stage.clone(), other))
                            .await?
                    }
                };
                stage.0.children.lock().unwrap().insert(name, actor.clone());
                Ok(actor)
            }
        })
    }

    fn next_start(&self, name: &str) -> Option<Start> {
        let mut script = self.0.script.lock().unwrap();
        script.get_mut(name).and_then(VecDeque::pop_front)
    }

    /// The spec with this stage's eyes and tokio's clock.
    pub(crate) fn watched(&self, spec: SupervisorSpec) -> SupervisorSpec {
        let stage = self.clone();
        spec.clock(Clock::following_tokio())
            .observer(move |event: SupervisionEvent| {
                stage.0.events.lock().unwrap().push(event);
                stage.0.news.notify_waiters();
            })
    }

    pub(crate) async fn start(
        &self,
        spec: SupervisorSpec,
    ) -> Result<(Supervisor, JoinHandle<ExitReason>), StartError> {
        let (actor, ended) = Supervisor::start(self.watched(spec)).await?;
        Ok((Supervisor::new(actor), ended))
    }

    /// Starts what must come up.
    pub(crate) async fn up(&self, spec: SupervisorSpec) -> (Supervisor, JoinHandle<ExitReason>) {
        self.start(spec).await.unwrap()
    }

    pub(crate) fn actor(&self, child: &str) -> ActorRef<Do> {
        self.0.children.lock().unwrap()[child].clone()
    }

    pub(crate) fn cell(&self, child: &str) -> ActorCell {
        self.actor(child).get_cell()
    }

    pub(crate) fn tell(&self, child: &str, what: Do) {
        self.actor(child).cast(what).unwrap();
    }

    /// Ends a child and waits until its supervisor has seen it.
    pub(crate) async fn exit(&self, child: &str, reason: ExitReason) {
        let seen = self.seen();
        self.tell(child, Do::Exit(reason));
        self.after(seen, |what| exited(what) == Some(child)).await;
    }

    pub(crate) fn events(&self) -> Vec<What> {
        let events = self.0.events.lock().unwrap();
        events.iter().map(|event| event.what.clone()).collect()
    }

    pub(crate) fn events_with_paths(&self) -> Vec<(String, What)> {
        let events = self.0.events.lock().unwrap();
        events
            .iter()
            .map(|event| (event.supervisor.to_string(), event.what.clone()))
            .collect()
    }

    /// How many events there are; for [`Stage::after`].
    pub(crate) fn seen(&self) -> usize {
        self.0.events.lock().unwrap().len()
    }

    /// Waits for the first event that fits.
    pub(crate) async fn until(&self, fits: impl Fn(&What) -> bool) -> What {
        self.after(0, fits).await
    }

    /// Waits for the first event that fits, after the first `seen`.
    ///
    /// A day of paused time passes in no time, and nothing here takes a day.
    pub(crate) async fn after(&self, seen: usize, fits: impl Fn(&What) -> bool) -> What {
        let wait = async {
            loop {
                let news = self.0.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                let found = self.events().into_iter().skip(seen).find(&fits);
                if let Some(found) = found {
                    return found;
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(24 * 3600), wait)
            .await
            .unwrap_or_else(|_| panic!("it never came; what came: {:#?}", self.events()))
    }

    /// What the children saw so far, joined by blanks; forgotten by asking.
    pub(crate) fn take_log(&self) -> String {
        std::mem::take(&mut *self.0.log.lock().unwrap()).join(" ")
    }

    fn log(&self, entry: String) {
        self.0.log.lock().unwrap().push(entry);
    }
}

/// Names of the children that the events say were started, in order.
pub(crate) fn started(events: &[What]) -> Vec<String> {
    events
        .iter()
        .filter_map(|what| match what {
            What::Started { child, .. } => Some(child.to_string()),
            _ => None,
        })
        .collect()
}

pub(crate) fn exited(what: &What) -> Option<&str> {
    match what {
        What::Exited { child, .. } => Some(child.as_str()),
        _ => None,
    }
}

/// Whether the event says that this child is up.
pub(crate) fn is_start_of(child: &str) -> impl Fn(&What) -> bool {
    let wanted = child.to_owned();
    move |what| matches!(what, What::Started { child, .. } if child.as_str() == wanted)
}

/// Lets every task that can run do so.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn failure(text: &str) -> ExitReason {
    ExitReason::abnormal(std::io::Error::other(text.to_owned()))
}

struct Puppet;

impl Actor for Puppet {
    type Msg = Do;
    type State = (String, Stage, Option<Start>);
    type Arguments = (String, Stage, Option<Start>);

    async fn pre_start(
        &self,
        _: ActorRef<Do>,
        (name, stage, next): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        match next {
            Some(Start::Panic) => panic!("{name} panics on purpose in pre_start"),
            Some(Start::Hang) => pending().await,
            _ => {}
        }
        stage.log(format!("+{name}"));
        Ok((name, stage, next))
    }

    async fn post_start(
        &self,
        _: ActorRef<Do>,
        (_, _, next): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match next {
            Some(Start::DieAtOnce) => Err(failure("stillborn").into()),
            _ => Ok(()),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Do>,
        (name, stage, _): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        stage.log(format!("-{name}"));
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Do>,
        what: Do,
        (name, ..): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match what {
            Do::Exit(reason) => Err(reason.into()),
            Do::Panic => panic!("{name} panics on purpose"),
            Do::Stall => pending().await,
            Do::Block { begun, until } => {
                begun.send(()).unwrap();
                let _ = until.recv();
                Ok(())
            }
        }
    }
}

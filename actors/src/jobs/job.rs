//! One job as an actor: a temporary child of `jobs`, so that `coppice tree` shows what is under way.
//!
//! Invariants: a service has at most one job at a time; a job goes on when whoever asked for it hangs
//! up. Its actor waits for the work inside its only handler, because it has nothing else to hear; it is
//! ended by being killed, which to a job is the same as a crash of the core: its journal row stays.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use coppice_supervision::{ChildSpec, Shutdown, StartError, Supervisor};
use futures_util::{FutureExt, future::BoxFuture};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use crate::problem::{Kind, Problem};

/// Runs jobs under the supervisor `jobs`.
#[derive(Clone, Debug)]
pub struct Runner {
    supervisor: Supervisor,
    /// What is being done about which service.
    busy: Arc<Mutex<BTreeMap<String, &'static str>>>,
    number: Arc<AtomicU64>,
}

impl Runner {
    /// Jobs become children of `supervisor`.
    #[must_use]
    pub fn new(supervisor: Supervisor) -> Self {
        Self {
            supervisor,
            busy: Arc::default(),
            number: Arc::default(),
        }
    }

    /// Does `work` about a service; `verb` says so in a word, such as `install`.
    ///
    /// # Errors
    /// When another job is about this service, or what `work` answers.
    pub async fn run<T: Send + 'static>(
        &self,
        verb: &'static str,
        service: &str,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let claim = self.claim(verb, service)?;
        let (tell, told) = oneshot::channel();
        let job = async move {
            let answer = work.await;
            // Before the answer: who hears it may ask for the next job at once.
            drop(claim);
            // Whoever asked may have hung up.
            drop(tell.send(answer));
        };
        // Names differ, because an actor that has just ended may still be listed.
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("{verb} {service} #{number}");
        let added = self.supervisor.add(spec(&name, job.boxed())).await;
        added.map_err(|error| Problem::of(Kind::Cancelled, &error))?;
        told.await.unwrap_or_else(|_| {
            Err(Problem::new(
                Kind::Cancelled,
                format!(
                    "the job `{verb} {service}` was ended before it was done; it is undone or finished \
                     when Coppice starts again, or by `coppice package uninstall {service}`"
                ),
            ))
        })
    }

    /// Kills whatever is under way, as an operator or a failing supervisor may.
    #[cfg(test)]
    pub(crate) async fn kill_all(&self) {
        for job in self.supervisor.which_children().await.unwrap().children {
            self.supervisor.terminate(job.id).await.unwrap();
        }
    }

    fn claim(&self, verb: &'static str, service: &str) -> Result<Claim, Problem> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verb) = busy.get(service) {
            return Err(Problem::invalid(format!(
                "`{service}` is busy ({verb}); wait until that has ended"
            )));
        }
        busy.insert(service.to_owned(), verb);
        Ok(Claim {
            service: service.to_owned(),
            busy: Arc::clone(&self.busy),
        })
    }
}

/// The right to be the one job about a service, as long as it lives.
struct Claim {
    service: String,
    busy: Arc<Mutex<BTreeMap<String, &'static str>>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.service);
    }
}

type Work = BoxFuture<'static, ()>;

fn spec(name: &str, work: Work) -> ChildSpec {
    // It starts once, so the work is there once.
    let work = Arc::new(Mutex::new(Some(work)));
    ChildSpec::worker(name, move |context| {
        let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let work = work.ok_or(StartError::Ignore)?;
            context.spawn(JobActor, work).await
        }
    })
    .temporary()
    .shutdown(Shutdown::BrutalKill)
}

struct JobActor;

impl Actor for JobActor {
    type Msg = ();
    type State = Option<Work>;
    type Arguments = Work;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        work: Work,
    ) -> Result<Self::State, ActorProcessingErr> {
        myself.cast(())?;
        Ok(Some(work))
    }

    async fn handle(
        &self,
        myself: ActorRef<()>,
        (): (),
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(work) = state.take() {
            work.await;
        }
        myself.stop(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use coppice_supervision::SupervisorSpec;

    use super::*;

    async fn runner() -> Runner {
        let (actor, _ended) = Supervisor::start(SupervisorSpec::dynamic("jobs"))
            .await
            .unwrap();
        Runner::new(Supervisor::new(actor))
    }

    #[tokio::test]
    async fn one_service_has_one_job_at_a_time_and_another_may_follow_at_once() {
        let runner = runner().await;
        let (go, gone) = oneshot::channel::<()>();
        let first = tokio::spawn({
            let runner = runner.clone();
            async move {
                let work = async move {
                    gone.await.unwrap();
                    Ok(1)
                };
                runner.run("install", "a", work).await
            }
        });
        while runner.busy.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let refused = runner.run("uninstall", "a", async { Ok(2) }).await;
        assert!(refused.unwrap_err().details.contains("busy (install)"));
        assert_eq!(
            runner.run("install", "b", async { Ok(3) }).await.unwrap(),
            3
        );
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(
            runner.run("uninstall", "a", async { Ok(4) }).await.unwrap(),
            4
        );
    }

    #[tokio::test]
    async fn a_job_goes_on_when_whoever_asked_hangs_up() {
        let runner = runner().await;
        let (tell, told) = oneshot::channel();
        let (go, gone) = oneshot::channel::<()>();
        let asking = tokio::spawn({
            let runner = runner.clone();
            async move {
                let work = async move {
                    gone.await.unwrap();
                    tell.send("done").unwrap();
                    Ok(())
                };
                runner.run("install", "a", work).await
            }
        });
        while runner.busy.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        // It has been handed over when its actor is there.
        while runner
            .supervisor
            .which_children()
            .await
            .unwrap()
            .children
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
        asking.abort();
        go.send(()).unwrap();
        assert_eq!(told.await.unwrap(), "done");
    }

    #[tokio::test]
    async fn a_job_that_panics_frees_its_service_and_says_so() {
        let runner = runner().await;
        let panics = async {
            if true {
                panic!("oh")
            }
            Ok(())
        };
        let ended = runner.run("install", "a", panics).await.unwrap_err();
        assert_eq!(ended.kind, Kind::Cancelled);
        runner
            .run("uninstall", "a", async { Ok(()) })
            .await
            .unwrap();
    }
}

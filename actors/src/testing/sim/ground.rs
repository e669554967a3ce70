//! Simulated containers: the in-memory backend, which takes its time and fails by chance, with somebody
//! inside every container.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coppice_containers::{
    Backend, Check, ContainerSpec, CreateError, Exit, ExitStatus, InMemoryBackend, Inspection,
    Limits, OpError, Pending, Receipt, Running, Segment, StepError, Usage, VolumeMount,
};

use super::{
    super::{house::version_in, passed_on::passed_on},
    chance::{Chance, Weather},
    inhabitant::Inhabitant,
    recorder::Recorder,
};

/// What stands on the ground outlives the core.
pub(super) struct Ground {
    containers: InMemoryBackend,
    inhabitants: Mutex<BTreeMap<Segment, Arc<Inhabitant>>>,
    /// As in the real backend, what is done to one container is done one after the other.
    turns: Mutex<BTreeMap<Segment, Arc<tokio::sync::Mutex<()>>>>,
    pub(super) chance: Chance,
    recorder: Recorder,
    /// The backend is all there is of the machine, so it can end what is in it.
    own: std::sync::Weak<Self>,
}

impl Ground {
    pub(super) fn new(recorder: Recorder) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            containers: InMemoryBackend::new(),
            inhabitants: Mutex::default(),
            turns: Mutex::default(),
            chance: Chance::default(),
            recorder,
            own: own.clone(),
        })
    }

    /// A new life of the core begins: everybody inside goes on.
    pub(super) fn wake(&self) {
        self.turns().clear();
        for inhabitant in self.inhabitants().values() {
            inhabitant.wake();
        }
    }

    /// Who lives in a container, if it runs.
    pub(super) fn inhabitant(&self, id: &str) -> Option<Arc<Inhabitant>> {
        self.inhabitants().get(&Segment::new(id).unwrap()).cloned()
    }

    /// The container ends by itself; `false` when none runs.
    pub(super) fn end(&self, id: &str, status: ExitStatus) -> bool {
        let instance = Segment::new(id).unwrap();
        self.containers.crash(&instance, status);
        self.desert(&instance)
    }

    /// The machine loses its power.
    pub(super) fn power_cut(&self) {
        let all: Vec<Segment> = self.inhabitants().keys().cloned().collect();
        for instance in all {
            self.containers
                .crash(&instance, ExitStatus::Signal(libc::SIGKILL));
            self.desert(&instance);
        }
    }

    fn inhabit(&self, spec: &ContainerSpec, life: &Running) {
        let (own, instance) = (self.own.clone(), spec.instance.clone());
        let boot = life.boot.clone();
        let end = move || {
            if let Some(ground) = own.upgrade() {
                ground.containers.crash(&instance, ExitStatus::Code(0));
                ground.desert(&instance);
            }
        };
        let place = (spec.rpc_dir.join("host.sock"), spec.id_base, boot);
        let volumes = spec.volumes.first().and_then(|one| one.dir.parent());
        let data = volumes.map(|volumes| volumes.join(".version"));
        let package = (version_in(&spec.javascript), data);
        let inhabitant = Inhabitant::new(
            place,
            package,
            self.chance.clone(),
            self.recorder.clone(),
            end,
        );
        inhabitant.wake();
        let before = self.inhabitants().insert(spec.instance.clone(), inhabitant);
        if before.is_some() {
            let instance = &spec.instance;
            self.recorder
                .violated(format!("two containers of {instance} at a time"));
        }
    }

    fn desert(&self, instance: &Segment) -> bool {
        let inhabitant = self.inhabitants().remove(instance);
        inhabitant.iter().for_each(|inhabitant| inhabitant.perish());
        inhabitant.is_some()
    }

    fn inhabitants(&self) -> MutexGuard<'_, BTreeMap<Segment, Arc<Inhabitant>>> {
        self.inhabitants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<Segment, Arc<tokio::sync::Mutex<()>>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn at one container, after some time.
    async fn turn(&self, instance: &Segment) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = Arc::clone(self.turns().entry(instance.clone()).or_default());
        let turn = turn.lock_owned().await;
        self.chance.delay(Weather::Backend).await;
        turn
    }

    fn refuse(&self, what: Weather) -> Result<(), OpError> {
        if self.chance.strikes(what) {
            return Err(OpError::Step(StepError {
                doing: format!("{what:?}"),
                source: io::Error::other("simulated"),
            }));
        }
        Ok(())
    }
}

impl Backend for Ground {
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Pending<'a, Result<Running, CreateError>> {
        Box::pin(async move {
            let _turn = self.turn(&spec.instance).await;
            if self.chance.strikes(Weather::CreateFails) {
                return Err(CreateError::Unusable {
                    instance: spec.instance.clone(),
                    reason: "simulated".to_owned(),
                });
            }
            let life = self.containers.create(spec).await?;
            self.inhabit(spec, &life);
            self.chance.delay(Weather::Backend).await;
            Ok(life)
        })
    }

    fn inspect<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<Inspection, OpError>> {
        Box::pin(async move {
            self.chance.delay(Weather::Backend).await;
            self.refuse(Weather::InspectFails)?;
            self.containers.inspect(instance).await
        })
    }

    fn wait_exit<'a>(
        &'a self,
        instance: &'a Segment,
        life: &'a Running,
    ) -> Pending<'a, Result<Exit, OpError>> {
        Box::pin(async move {
            self.refuse(Weather::WaitFails)?;
            self.containers.wait_exit(instance, life).await
        })
    }

    fn stop<'a>(
        &'a self,
        instance: &'a Segment,
        grace: Duration,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let _turn = self.turn(instance).await;
            self.refuse(Weather::StopContainerFails)?;
            self.containers.stop(instance, grace).await?;
            self.desert(instance);
            self.chance.delay(Weather::Backend).await;
            Ok(())
        })
    }

    fn kill<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let _turn = self.turn(instance).await;
            self.containers.kill(instance).await?;
            self.desert(instance);
            Ok(())
        })
    }

    fn destroy<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let _turn = self.turn(instance).await;
            self.refuse(Weather::DestroyFails)?;
            self.containers.destroy(instance).await?;
            self.desert(instance);
            self.chance.delay(Weather::Backend).await;
            Ok(())
        })
    }

    passed_on!(containers);

    fn reconcile<'a>(&'a self, known: &'a [Segment]) -> Pending<'a, Receipt> {
        Box::pin(async move {
            let receipt = self.containers.reconcile(known).await;
            let strangers: Vec<Segment> = {
                let inhabitants = self.inhabitants();
                let all = inhabitants.keys();
                all.filter(|one| !known.contains(one)).cloned().collect()
            };
            for stranger in strangers {
                self.desert(&stranger);
            }
            receipt
        })
    }
}

//! The in-memory backend with somebody inside: every container that is made gets a puppet.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coppice_containers::{
    Backend, Check, ContainerSpec, CreateError, Exit, ExitStatus, InMemoryBackend, Inspection,
    Limits, OpError, Pending, Receipt, Running, Segment, Usage, VolumeMount,
};
use tokio::{runtime::Runtime, sync::mpsc, task::AbortHandle};

use super::{
    house::version_in,
    passed_on::passed_on,
    puppet::{self, Manners},
};

/// Containers in memory, with puppets that outlive the core.
pub(crate) struct Inhabited {
    containers: Arc<InMemoryBackend>,
    puppets: Mutex<BTreeMap<Segment, Puppet>>,
    /// By version; those of `` are everybody else's.
    manners: Mutex<BTreeMap<String, Manners>>,
    /// Not the core's: containers go on when it ends.
    runtime: Option<Runtime>,
}

/// Who lives in a container.
struct Puppet {
    pid_1: AbortHandle,
    /// Ends when nothing in there lives any more.
    lives: mpsc::Receiver<()>,
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.pid_1.abort();
    }
}

impl Inhabited {
    pub(crate) fn new() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Arc::new(Self {
            containers: Arc::new(InMemoryBackend::new()),
            puppets: Mutex::default(),
            manners: Mutex::default(),
            runtime: Some(runtime),
        })
    }

    /// How the puppets of containers made from now on behave.
    pub(crate) fn behave(&self, manners: Manners) {
        self.behave_in("", manners);
    }

    /// The same for one version of the package.
    pub(crate) fn behave_in(&self, version: &str, manners: Manners) {
        let mut all = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(version.to_owned(), manners);
    }

    /// Whether a container of this name runs.
    pub(crate) async fn runs(&self, id: &str) -> bool {
        let instance = Segment::new(id).unwrap();
        let inspected = self.containers.inspect(&instance).await.unwrap();
        matches!(inspected, Inspection::Running(_))
    }

    /// kill -9 of a container's pid 1.
    pub(crate) fn shoot(&self, instance: &Segment) {
        drop(self.puppet(instance));
        self.containers.crash(instance, ExitStatus::Signal(9));
    }

    fn inhabit(&self, spec: &ContainerSpec, life: &Running) {
        let instance = spec.instance.clone();
        let ended = {
            let (containers, instance) = (Arc::clone(&self.containers), instance.clone());
            move || containers.crash(&instance, ExitStatus::Code(0))
        };
        let manners = {
            let all = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
            let own = all.get(&version_in(&spec.javascript));
            own.or_else(|| all.get("")).cloned().unwrap_or_default()
        };
        let place = puppet::Place {
            socket: spec.rpc_dir.join("host.sock"),
            uid: spec.id_base,
            boot: life.boot.clone(),
            volumes: spec.volumes.first().map(|one| one.dir.clone()),
        };
        let Some(runtime) = &self.runtime else { return };
        let (alive, lives) = mpsc::channel(1);
        let pid_1 = runtime.spawn(puppet::play(place, manners, alive, ended));
        let puppet = Puppet {
            pid_1: pid_1.abort_handle(),
            lives,
        };
        let mut puppets = self.puppets.lock().unwrap_or_else(PoisonError::into_inner);
        puppets.insert(instance, puppet);
    }

    fn puppet(&self, instance: &Segment) -> Option<Puppet> {
        let mut puppets = self.puppets.lock().unwrap_or_else(PoisonError::into_inner);
        puppets.remove(instance)
    }

    /// Kills all in a container: as with a real one, nobody in there writes anything when this returns.
    async fn desert(&self, instance: &Segment) {
        if let Some(mut puppet) = self.puppet(instance) {
            puppet.pid_1.abort();
            while puppet.lives.recv().await.is_some() {}
        }
    }
}

impl Drop for Inhabited {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Backend for Inhabited {
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Pending<'a, Result<Running, CreateError>> {
        Box::pin(async move {
            let life = self.containers.create(spec).await?;
            self.inhabit(spec, &life);
            Ok(life)
        })
    }

    fn inspect<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<Inspection, OpError>> {
        self.containers.inspect(instance)
    }

    fn wait_exit<'a>(
        &'a self,
        instance: &'a Segment,
        life: &'a Running,
    ) -> Pending<'a, Result<Exit, OpError>> {
        self.containers.wait_exit(instance, life)
    }

    fn stop<'a>(
        &'a self,
        instance: &'a Segment,
        grace: Duration,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            self.desert(instance).await;
            self.containers.stop(instance, grace).await
        })
    }

    fn kill<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            self.desert(instance).await;
            self.containers.kill(instance).await
        })
    }

    fn destroy<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            self.desert(instance).await;
            self.containers.destroy(instance).await
        })
    }

    passed_on!(containers);

    fn reconcile<'a>(&'a self, known: &'a [Segment]) -> Pending<'a, Receipt> {
        self.containers.reconcile(known)
    }
}

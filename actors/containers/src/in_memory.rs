//! A backend that only keeps account.
//!
//! Deterministic: pids, start times and boot ids are counted up, nothing takes time, and nothing
//! fails unless the script says so. It passes the same tests as the real one.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    Backend, Check, ContainerSpec, CreateError, Exit, ExitStatus, Inspection, Leftover, Limits,
    OpError, Pending, Receipt, Running, Segment, Usage, VolumeMount,
};

/// One call that was made, in order; what a test asserts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// [`Backend::create`].
    Create(Segment),
    /// [`Backend::stop`], with its grace.
    Stop(Segment, Duration),
    /// [`Backend::kill`].
    Kill(Segment),
    /// [`Backend::destroy`].
    Destroy(Segment),
    /// [`Backend::create_subcontainer_fs`]: instance, image, guid.
    CreateSubcontainer(Segment, Segment, Segment),
    /// [`Backend::destroy_subcontainer_fs`]: instance, guid.
    DestroySubcontainer(Segment, Segment),
    /// [`Backend::mount_into`].
    MountInto(Segment, VolumeMount),
    /// [`Backend::set_limits`].
    SetLimits(Segment, Limits),
    /// [`Backend::reconcile`].
    Reconcile(Vec<Segment>),
}

/// The deterministic twin of [`LxcBackend`](crate::LxcBackend).
#[derive(Default)]
pub struct InMemoryBackend {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    containers: BTreeMap<Segment, Container>,
    lives: u64,
    calls: Vec<Called>,
    create_script: VecDeque<Result<(), CreateError>>,
    stop_script: VecDeque<Result<(), OpError>>,
    destroy_script: VecDeque<Result<(), OpError>>,
    subcontainer_script: VecDeque<Result<(), OpError>>,
    mount_script: VecDeque<Result<(), OpError>>,
    usages: BTreeMap<(Segment, Option<Segment>), Usage>,
}

struct Container {
    spec: ContainerSpec,
    life: Running,
    exit: watch::Sender<Option<Exit>>,
    subcontainers: BTreeSet<Segment>,
}

impl Container {
    fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    fn end(&mut self, status: ExitStatus) {
        if self.is_running() {
            self.subcontainers.clear();
            self.exit.send_replace(Some(Exit {
                status: Some(status),
            }));
        }
    }
}

impl InMemoryBackend {
    /// A host with no containers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next unanswered [`Backend::create`] gives this answer instead of succeeding; `Ok` lets it
    /// succeed. A failed one leaves nothing behind.
    pub fn push_create(&self, answer: Result<(), CreateError>) {
        self.state().create_script.push_back(answer);
    }

    /// The same for [`Backend::stop`]; a failed one leaves the container running.
    pub fn push_stop(&self, answer: Result<(), OpError>) {
        self.state().stop_script.push_back(answer);
    }

    /// The same for [`Backend::destroy`]; a failed one leaves everything as it was.
    pub fn push_destroy(&self, answer: Result<(), OpError>) {
        self.state().destroy_script.push_back(answer);
    }

    /// The same for [`Backend::create_subcontainer_fs`].
    pub fn push_create_subcontainer(&self, answer: Result<(), OpError>) {
        self.state().subcontainer_script.push_back(answer);
    }

    /// The same for [`Backend::mount_into`].
    pub fn push_mount(&self, answer: Result<(), OpError>) {
        self.state().mount_script.push_back(answer);
    }

    /// What [`Backend::usage`] answers from now on.
    pub fn set_usage(&self, instance: &Segment, leaf: Option<&Segment>, usage: Usage) {
        self.state()
            .usages
            .insert((instance.clone(), leaf.cloned()), usage);
    }

    /// The container's pid 1 ends by itself. Nothing happens when none runs.
    pub fn crash(&self, instance: &Segment, status: ExitStatus) {
        if let Some(container) = self.state().containers.get_mut(instance) {
            container.end(status);
        }
    }

    /// Every call so far, oldest first; reading (`inspect`, `usage`, `wait_exit`, `preflight`) is not
    /// on the list.
    #[must_use]
    pub fn calls(&self) -> Vec<Called> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while holding the account must not hide its message behind another.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn running(&mut self, instance: &Segment) -> Result<&mut Container, OpError> {
        self.containers
            .get_mut(instance)
            .filter(|container| container.is_running())
            .ok_or_else(|| OpError::NotRunning {
                instance: instance.clone(),
            })
    }

    fn create(&mut self, spec: &ContainerSpec) -> Result<Running, CreateError> {
        self.calls.push(Called::Create(spec.instance.clone()));
        if self
            .containers
            .get(&spec.instance)
            .is_some_and(Container::is_running)
        {
            return Err(CreateError::AlreadyRunning {
                instance: spec.instance.clone(),
            });
        }
        self.containers.remove(&spec.instance);
        self.create_script.pop_front().unwrap_or(Ok(()))?;
        self.lives += 1;
        let life = Running {
            init_pid: i32::try_from(10_000 + self.lives).unwrap_or(i32::MAX),
            started_ticks: self.lives,
            boot: format!("00000000-0000-4000-8000-{:012x}", self.lives),
        };
        let container = Container {
            spec: spec.clone(),
            life: life.clone(),
            exit: watch::Sender::new(None),
            subcontainers: BTreeSet::new(),
        };
        self.containers.insert(spec.instance.clone(), container);
        Ok(life)
    }

    fn inspect(&self, instance: &Segment) -> Inspection {
        match self.containers.get(instance) {
            Some(container) if container.is_running() => {
                Inspection::Running(container.life.clone())
            }
            _ => Inspection::Stopped,
        }
    }

    fn end(&mut self, instance: &Segment, status: ExitStatus) {
        if let Some(container) = self.containers.get_mut(instance) {
            container.end(status);
        }
    }

    fn reconcile(&mut self, known: &[Segment]) -> Receipt {
        self.calls.push(Called::Reconcile(known.to_vec()));
        let mut receipt = Receipt::default();
        self.containers.retain(|instance, container| {
            let kind = match (container.is_running(), known.contains(instance)) {
                (true, true) => return true,
                (true, false) => Leftover::UnknownContainer,
                (false, _) => Leftover::DeadContainer,
            };
            container.end(ExitStatus::Signal(libc::SIGKILL));
            receipt.note(kind, instance.as_str(), Ok(()));
            false
        });
        receipt
    }
}

fn answer<'a, T: Send + 'a>(value: T) -> Pending<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Backend for InMemoryBackend {
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Pending<'a, Result<Running, CreateError>> {
        Box::pin(async move { self.state().create(spec) })
    }

    fn inspect<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<Inspection, OpError>> {
        answer(Ok(self.state().inspect(instance)))
    }

    fn wait_exit<'a>(
        &'a self,
        instance: &'a Segment,
        life: &'a Running,
    ) -> Pending<'a, Result<Exit, OpError>> {
        Box::pin(async move {
            let receiver = {
                let state = self.state();
                let container = state.containers.get(instance);
                container
                    .filter(|c| c.life == *life)
                    .map(|c| c.exit.subscribe())
            };
            let Some(mut receiver) = receiver else {
                return Ok(Exit { status: None });
            };
            let exit = receiver
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|exit| *exit);
            Ok(exit.unwrap_or(Exit { status: None }))
        })
    }

    fn stop<'a>(
        &'a self,
        instance: &'a Segment,
        grace: Duration,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.calls.push(Called::Stop(instance.clone(), grace));
            state.stop_script.pop_front().unwrap_or(Ok(()))?;
            state.end(instance, ExitStatus::Code(0));
            Ok(())
        })
    }

    fn kill<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.calls.push(Called::Kill(instance.clone()));
            state.end(instance, ExitStatus::Signal(libc::SIGKILL));
            Ok(())
        })
    }

    fn destroy<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.calls.push(Called::Destroy(instance.clone()));
            state.destroy_script.pop_front().unwrap_or(Ok(()))?;
            state.end(instance, ExitStatus::Signal(libc::SIGKILL));
            state.containers.remove(instance);
            Ok(())
        })
    }

    fn create_subcontainer_fs<'a>(
        &'a self,
        instance: &'a Segment,
        image: &'a Segment,
        guid: &'a Segment,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.calls.push(Called::CreateSubcontainer(
                instance.clone(),
                image.clone(),
                guid.clone(),
            ));
            let scripted = state.subcontainer_script.pop_front().unwrap_or(Ok(()));
            let container = state.running(instance)?;
            if !container.spec.images.iter().any(|known| known.id == *image) {
                return Err(OpError::UnknownImage {
                    instance: instance.clone(),
                    image: image.clone(),
                });
            }
            scripted?;
            container.subcontainers.insert(guid.clone());
            Ok(())
        })
    }

    fn destroy_subcontainer_fs<'a>(
        &'a self,
        instance: &'a Segment,
        guid: &'a Segment,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state
                .calls
                .push(Called::DestroySubcontainer(instance.clone(), guid.clone()));
            if let Some(container) = state.containers.get_mut(instance) {
                container.subcontainers.remove(guid);
            }
            Ok(())
        })
    }

    fn subcontainers<'a>(
        &'a self,
        instance: &'a Segment,
    ) -> Pending<'a, Result<Vec<Segment>, OpError>> {
        let state = self.state();
        let container = state.containers.get(instance);
        let found = container.map(|c| c.subcontainers.iter().cloned().collect());
        answer(Ok(found.unwrap_or_default()))
    }

    fn mount_into<'a>(
        &'a self,
        instance: &'a Segment,
        mount: &'a VolumeMount,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state
                .calls
                .push(Called::MountInto(instance.clone(), mount.clone()));
            let scripted = state.mount_script.pop_front().unwrap_or(Ok(()));
            mount.check()?;
            state.running(instance)?;
            scripted
        })
    }

    fn set_limits<'a>(
        &'a self,
        instance: &'a Segment,
        limits: &'a Limits,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state
                .calls
                .push(Called::SetLimits(instance.clone(), limits.clone()));
            state.running(instance)?.spec.limits = limits.clone();
            Ok(())
        })
    }

    fn usage<'a>(
        &'a self,
        instance: &'a Segment,
        leaf: Option<&'a Segment>,
    ) -> Pending<'a, Result<Usage, OpError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.running(instance)?;
            let key = (instance.clone(), leaf.cloned());
            Ok(state.usages.get(&key).cloned().unwrap_or_default())
        })
    }

    fn reconcile<'a>(&'a self, known: &'a [Segment]) -> Pending<'a, Receipt> {
        Box::pin(async move { self.state().reconcile(known) })
    }

    fn files_in_use(&self) -> Pending<'_, Result<Vec<PathBuf>, OpError>> {
        let state = self.state();
        let specs = state.containers.values().map(|container| &container.spec);
        let files = specs.flat_map(|spec| {
            [&spec.base_image, &spec.layer_dir, &spec.javascript]
                .into_iter()
                .chain(&spec.assets)
                .chain(spec.images.iter().map(|image| &image.file))
        });
        answer(Ok(files.cloned().collect()))
    }

    fn preflight(&self) -> Pending<'_, Vec<Check>> {
        answer(vec![Check {
            name: "in-memory backend".to_owned(),
            ok: true,
            found: "no host is needed".to_owned(),
            next_step: None,
        }])
    }
}

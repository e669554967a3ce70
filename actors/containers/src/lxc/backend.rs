//! The trait, on the blocking functions: each runs on a thread that may block.

use std::{io, os::fd::AsFd, path::PathBuf, sync::Arc, time::Duration};

use tokio::{io::unix::AsyncFd, sync::RwLock, task::spawn_blocking};

use crate::{
    Backend, Check, ContainerSpec, CreateError, Exit, HostLayout, Inspection, Limits, OpError,
    Pending, Receipt, Running, Segment, Usage, VolumeMount,
    cgroup::{self, Hierarchies},
    error::{Doing, StepError},
    lxc::{
        host::Host,
        images, lifecycle, preflight,
        prepare::{NotPrepared, check_prepared},
        reconcile, subcontainer,
        turns::{Turn, Turns},
    },
    sys::pidfd::PidFd,
};

/// How long the parent of a dead pid 1 (its monitor) has to take note of the end before we go on without
/// knowing how it ended. On a machine that does nothing else it takes a few milliseconds; where it takes
/// long, the cause of the death is what people will ask for.
const REAP_WAIT: Duration = Duration::from_secs(2);

/// Containers through liblxc, on this host. Needs root.
#[derive(Clone)]
pub struct LxcBackend {
    host: Arc<Host>,
    /// Reconciliation looks at everything, so while it runs nothing else changes anything.
    gate: Arc<RwLock<()>>,
    turns: Turns,
}

impl LxcBackend {
    /// The containers of the server that this layout describes. Touches nothing yet.
    ///
    /// # Errors
    /// [`NotPrepared`] when [`prepare_process`](crate::prepare_process) was needed and not called.
    pub fn new(layout: HostLayout) -> Result<Self, NotPrepared> {
        check_prepared()?;
        Ok(Self {
            host: Arc::new(Host::new(layout)),
            gate: Arc::default(),
            turns: Turns::default(),
        })
    }

    async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Host) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StepError> + Send + 'static,
    {
        let host = Arc::clone(&self.host);
        // The gate goes along with the work: it goes on when the caller stops waiting.
        let open = Arc::clone(&self.gate).read_owned().await;
        let work = spawn_blocking(move || {
            let _open = open;
            work(&host)
        });
        work.await.unwrap_or_else(|panic| {
            Err(io::Error::other(panic))
                .doing("finish")
                .map_err(E::from)
        })
    }

    /// The same, with a turn that goes along with the work.
    async fn blocking_in<T, E>(
        &self,
        turn: &Turn,
        work: impl FnOnce(&Host) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StepError> + Send + 'static,
    {
        let turn = Arc::clone(turn);
        self.blocking(move |host| {
            let _turn = turn;
            work(host)
        })
        .await
    }

    async fn end(&self, instance: &Segment, grace: Duration) -> Result<(), OpError> {
        let turn = self.turns.shared(instance).await;
        let name = instance.clone();
        let opened = self
            .blocking_in(&turn, move |host| {
                let monitors = lifecycle::open_monitors(host, &name)?;
                Ok::<_, OpError>((lifecycle::inspect(host, &name)?, monitors))
            })
            .await?;
        let (found, monitors) = opened;
        let init = found.running().and_then(|life| lifecycle::open_init(&life));
        if let Some(init) = init.as_ref().filter(|_| !grace.is_zero()) {
            signal(init, libc::SIGTERM).doing(format!("end pid 1 of `{instance}`"))?;
            // Not ended within its grace means the harder way.
            let _ = tokio::time::timeout(grace, ended(init)).await;
        }
        let name = instance.clone();
        self.blocking_in(&turn, move |host| {
            if let Some(init) = init {
                lifecycle::kill_init(host, &name, &init)?;
            }
            Ok(lifecycle::finish_monitors(&monitors)?)
        })
        .await
    }
}

fn signal(process: &PidFd, signal: i32) -> io::Result<()> {
    match process.signal(signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        sent => sent,
    }
}

async fn ended(process: &PidFd) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for as long as the registration lives, so it is not closed
    // or reused before.
    let registered =
        unsafe { AsyncFd::register_with_interest(process.as_fd(), tokio::io::Interest::READABLE) }?;
    registered.readable().await.map(|_| ())
}

impl Backend for LxcBackend {
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Pending<'a, Result<Running, CreateError>> {
        Box::pin(async move {
            let spec = spec.clone();
            let instance = spec.instance.clone();
            let turn = self.turns.alone(&instance).await;
            self.blocking_in(&turn, move |host| {
                lifecycle::create(host, &spec).map_err(Whole::Create)
            })
            .await
            .map_err(|error| match error {
                Whole::Create(error) => error,
                Whole::Step(step) => CreateError::step(&instance, step),
            })
        })
    }

    fn inspect<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<Inspection, OpError>> {
        let instance = instance.clone();
        Box::pin(self.blocking(move |host| Ok(lifecycle::inspect(host, &instance)?)))
    }

    fn wait_exit<'a>(
        &'a self,
        _instance: &'a Segment,
        life: &'a Running,
    ) -> Pending<'a, Result<Exit, OpError>> {
        Box::pin(async move {
            let Some(init) = lifecycle::open_init(life) else {
                return Ok(Exit { status: None });
            };
            ended(&init)
                .await
                .doing(format!("wait for process {}", life.init_pid))?;
            let status = spawn_blocking(move || init.exit_status(REAP_WAIT)).await;
            // Not knowing how it ended is an answer, too.
            Ok(Exit {
                status: status.unwrap_or(None),
            })
        })
    }

    fn stop<'a>(
        &'a self,
        instance: &'a Segment,
        grace: Duration,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(self.end(instance, grace))
    }

    fn kill<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(self.end(instance, Duration::ZERO))
    }

    fn destroy<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let turn = self.turns.alone(instance).await;
            let instance = instance.clone();
            self.blocking_in(&turn, move |host| Ok(lifecycle::destroy(host, &instance)?))
                .await
        })
    }

    fn create_subcontainer_fs<'a>(
        &'a self,
        instance: &'a Segment,
        image: &'a Segment,
        guid: &'a Segment,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let turn = self.turns.shared(instance).await;
            let (instance, image, guid) = (instance.clone(), image.clone(), guid.clone());
            self.blocking_in(&turn, move |host| {
                subcontainer::create_fs(host, &instance, &image, &guid)
            })
            .await
        })
    }

    fn destroy_subcontainer_fs<'a>(
        &'a self,
        instance: &'a Segment,
        guid: &'a Segment,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let turn = self.turns.shared(instance).await;
            let (instance, guid) = (instance.clone(), guid.clone());
            self.blocking_in(&turn, move |host| {
                subcontainer::destroy_fs(host, &instance, &guid)
            })
            .await
        })
    }

    fn subcontainers<'a>(
        &'a self,
        instance: &'a Segment,
    ) -> Pending<'a, Result<Vec<Segment>, OpError>> {
        let instance = instance.clone();
        Box::pin(self.blocking(move |host| Ok(subcontainer::list(host, &instance)?)))
    }

    fn mount_into<'a>(
        &'a self,
        instance: &'a Segment,
        mount: &'a VolumeMount,
    ) -> Pending<'a, Result<(), OpError>> {
        Box::pin(async move {
            let turn = self.turns.shared(instance).await;
            let (instance, mount) = (instance.clone(), mount.clone());
            self.blocking_in(&turn, move |host| {
                subcontainer::mount_into(host, &instance, &mount)
            })
            .await
        })
    }

    fn set_limits<'a>(
        &'a self,
        instance: &'a Segment,
        limits: &'a Limits,
    ) -> Pending<'a, Result<(), OpError>> {
        let (instance, limits) = (instance.clone(), limits.clone());
        Box::pin(self.blocking(move |host| {
            let Inspection::Running(_) = lifecycle::inspect(host, &instance)? else {
                return Err(OpError::NotRunning { instance });
            };
            Ok(limits.apply(&Hierarchies::detect()?, &host.layout.cgroup(&instance))?)
        }))
    }

    fn usage<'a>(
        &'a self,
        instance: &'a Segment,
        leaf: Option<&'a Segment>,
    ) -> Pending<'a, Result<Usage, OpError>> {
        let (instance, leaf) = (instance.clone(), leaf.cloned());
        Box::pin(self.blocking(move |host| {
            let Inspection::Running(_) = lifecycle::inspect(host, &instance)? else {
                return Err(OpError::NotRunning { instance });
            };
            let cgroup = host.layout.cgroup(&instance);
            let path = leaf.map_or(cgroup.clone(), |leaf| format!("{cgroup}/ns/{leaf}"));
            Ok(cgroup::usage(&Hierarchies::detect()?, &path))
        }))
    }

    fn reconcile<'a>(&'a self, known: &'a [Segment]) -> Pending<'a, Receipt> {
        let (host, known) = (Arc::clone(&self.host), known.to_vec());
        Box::pin(async move {
            let closed = Arc::clone(&self.gate).write_owned().await;
            let work = spawn_blocking(move || {
                let _closed = closed;
                reconcile::reconcile(&host, &known)
            });
            work.await.unwrap_or_else(|panic| {
                let mut receipt = Receipt::default();
                receipt.note(
                    crate::Leftover::DeadContainer,
                    "all",
                    Err(panic.to_string()),
                );
                receipt
            })
        })
    }

    fn files_in_use(&self) -> Pending<'_, Result<Vec<PathBuf>, OpError>> {
        Box::pin(self.blocking(|host| Ok(images::files_in_use(&host.layout)?)))
    }

    fn preflight(&self) -> Pending<'_, Vec<Check>> {
        let host = Arc::clone(&self.host);
        Box::pin(async move {
            spawn_blocking(move || preflight::run(&host))
                .await
                .unwrap_or_else(|panic| {
                    vec![Check {
                        name: "preflight".to_owned(),
                        ok: false,
                        found: panic.to_string(),
                        next_step: Some("report this as a bug of Coppice".to_owned()),
                    }]
                })
        })
    }
}

/// Either kind of failure, until the instance's name is at hand.
enum Whole {
    Create(CreateError),
    Step(StepError),
}

impl From<StepError> for Whole {
    fn from(step: StepError) -> Self {
        Self::Step(step)
    }
}

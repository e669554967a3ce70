//! Making, finding and removing containers. Everything here blocks.
//!
//! ```text
//! create:  remove remains -> record -> images -> upper layer -> [own thread: stage, root, config, liblxc]
//! destroy: pid 1 -> monitor (its mounts vanish) -> cgroups -> link -> layers -> record -> images
//! ```
//!
//! The record comes first and goes last but for the images, which are needed while a record names them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use coppice_remove_tree::remove_tree;

use crate::{
    ContainerSpec, CreateError, Inspection, Running, Segment,
    cgroup::{self, Hierarchies},
    error::{Doing, StepError},
    lxc::{
        config, counts,
        host::{Host, on_own_thread},
        images, liblxc, links,
        record::{Record, write_private},
        root, seccomp,
    },
    sys::pidfd::{self, PidFd},
};

/// Longest wait for a process after SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// How long a container has to die before everything inside is killed one by one, and how often that is
/// tried. A large one takes seconds on a small machine: its memory has to be given back.
const KILL_ROUND: Duration = Duration::from_secs(2);
const KILL_ROUNDS: usize = 12;

/// Builds and starts a container.
pub(crate) fn create(host: &Host, spec: &ContainerSpec) -> Result<Running, CreateError> {
    let instance = &spec.instance;
    let unusable = |reason| CreateError::Unusable {
        instance: instance.clone(),
        reason,
    };
    config::check(spec).map_err(unusable)?;
    let name = host.layout.container_name(instance);
    if name.len() > 64 {
        return Err(unusable(format!(
            "the container name {name} is longer than 64 characters"
        )));
    }
    let step = |source| CreateError::step(instance, source);
    if let Inspection::Running(_) = inspect(host, instance).map_err(step)? {
        return Err(CreateError::AlreadyRunning {
            instance: instance.clone(),
        });
    }
    destroy(host, instance).map_err(step)?;
    let (images, dirs) = parts(spec);
    if let Some(path) = images.iter().chain(&dirs).find(|path| !path.exists()) {
        return Err(CreateError::Missing {
            instance: instance.clone(),
            path: (*path).clone(),
        });
    }
    build(host, spec, &images).map_err(|failed| {
        let error = match failed {
            Failed::Step(source) => step(source),
            Failed::Start => {
                let log = host.layout.container_dir(instance).join("lxc.log");
                CreateError::Start { instance: instance.clone(), log: liblxc::last_errors(&log) }
            }
        };
        if let Err(error) = destroy(host, instance) {
            tracing::warn!(%instance, %error, "remains of a failed start are left to reconciliation");
        }
        error
    })
}

/// The files and directories of a specification.
fn parts(spec: &ContainerSpec) -> (BTreeSet<PathBuf>, Vec<PathBuf>) {
    let images = [&spec.base_image, &spec.javascript]
        .into_iter()
        .chain(&spec.assets)
        .chain(spec.images.iter().map(|image| &image.file));
    let dirs = [
        &spec.layer_dir,
        &spec.logs_dir,
        &spec.cache_dir,
        &spec.rpc_dir,
    ]
    .into_iter()
    .chain(spec.volumes.iter().map(|volume| &volume.dir));
    (images.cloned().collect(), dirs.cloned().collect())
}

enum Failed {
    Step(StepError),
    Start,
}

impl From<StepError> for Failed {
    fn from(step: StepError) -> Self {
        Self::Step(step)
    }
}

fn build(host: &Host, spec: &ContainerSpec, files: &BTreeSet<PathBuf>) -> Result<Running, Failed> {
    let layout = &host.layout;
    let instance = &spec.instance;
    let mut images = BTreeMap::new();
    for file in files {
        let key = images::key(file).doing(format!("read {}", file.display()))?;
        images.insert(file.clone(), key);
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/uuid").doing("make a uuid")?;
    let boot = boot.trim().to_owned();
    let mut record = Record {
        spec: spec.clone(),
        boot,
        images,
        life: None,
    };
    record.save(layout)?;
    {
        let held = images::lock(layout)?;
        for (file, key) in &record.images {
            images::ensure(layout, &held, file, key)?;
        }
    }
    root::make_upper(&layout.root_dir(instance), spec.id_base)?;
    let idmap = host.range(spec.id_base)?;
    counts::lift();
    let hierarchies = Hierarchies::detect()?;
    // Until pid 1 runs, the cgroups' parent could look unused.
    let parents = host
        .cgroup_parents
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let parent = layout.cgroup_parent();
    hierarchies.delegate(&parent)?;
    for controller in spec.limits.unmet(&hierarchies, &parent) {
        tracing::warn!(%instance, controller, "this host cannot limit it; the service runs without");
    }
    let started = on_own_thread("container start", || {
        let stage = root::make_stage(layout)?;
        let devices = root::assemble(layout, &stage, &record, idmap.as_fd())?;
        images::forget_in_this_namespace(layout).doing("let go of the images")?;
        let found = config::Host::look(&hierarchies);
        let dir = layout.container_dir(instance);
        if found.seccomp {
            let file = config::seccomp_file(&dir);
            seccomp::profile()
                .and_then(|list| write_private(&file, list.as_bytes()))
                .doing(format!("write {}", file.display()))?;
            seccomp::close_the_32_bit_way().doing("refuse system calls")?;
        }
        let text = config::text(layout, &record, &found, &devices);
        let file = dir.join("config");
        write_private(&file, text.as_bytes()).doing(format!("write {}", file.display()))?;
        liblxc::start(&layout.container_name(instance), &layout.lxc_path())
            .doing(format!("start the container of `{instance}`"))
    })?;
    drop(parents);
    if !started {
        return Err(Failed::Start);
    }
    let life = ask_liblxc(host, &record)?.ok_or(Failed::Start)?;
    record.life = Some(life.clone());
    record.save(layout)?;
    Ok(life)
}

/// What runs now. Needs an answer from a monitor only while a creator has not written down yet what it
/// started. Changes nothing, so it may be asked at any time: a record written from here could come back
/// after its container was removed.
pub(crate) fn inspect(host: &Host, instance: &Segment) -> Result<Inspection, StepError> {
    let Some(record) = Record::load(&host.layout, instance) else {
        return Ok(Inspection::Stopped);
    };
    let life = match record.life {
        Some(life) => Some(life),
        None => ask_liblxc(host, &record)?,
    };
    Ok(match life {
        Some(life) if is_alive(&life) => Inspection::Running(life),
        _ => Inspection::Stopped,
    })
}

/// What runs now, and writes it down if its creator died before it did. Nothing else may go on.
pub(crate) fn settle(host: &Host, instance: &Segment) -> Result<Inspection, StepError> {
    let found = inspect(host, instance)?;
    if let Inspection::Running(life) = &found
        && let Some(mut record) = Record::load(&host.layout, instance)
        && record.life.is_none()
    {
        record.life = Some(life.clone());
        record.save(&host.layout)?;
    }
    Ok(found)
}

/// Whether this very process runs.
pub(crate) fn is_alive(life: &Running) -> bool {
    pidfd::start_and_parent(life.init_pid).is_some_and(|(started, _)| started == life.started_ticks)
}

/// Opens pid 1 of this life; `None` when it has ended.
pub(crate) fn open_init(life: &Running) -> Option<PidFd> {
    let process = PidFd::open(life.init_pid).ok()?;
    // Looked at after opening: if the life still is the same, the descriptor is its own.
    is_alive(life).then_some(process)
}

fn ask_liblxc(host: &Host, record: &Record) -> Result<Option<Running>, StepError> {
    let instance = &record.spec.instance;
    let name = host.layout.container_name(instance);
    let pid = liblxc::init_pid(&name, &host.layout.lxc_path())
        .doing(format!("ask for the container of `{instance}`"))?;
    Ok(pid.and_then(|init_pid| {
        let (started_ticks, _) = pidfd::start_and_parent(init_pid)?;
        Some(Running {
            init_pid,
            started_ticks,
            boot: record.boot.clone(),
        })
    }))
}

/// Pids of an instance's monitor: what is in the monitor's cgroup, and pid 1's parent.
pub(crate) fn monitors(
    host: &Host,
    hierarchies: &Hierarchies,
    instance: &Segment,
) -> BTreeSet<i32> {
    let mut pids = cgroup::members(hierarchies, &host.layout.monitor_cgroup(instance));
    let life = Record::load(&host.layout, instance).and_then(|record| record.life);
    if let Some(life) = life.filter(is_alive)
        && let Some((_, parent)) = pidfd::start_and_parent(life.init_pid)
        && parent > 1
    {
        pids.insert(parent);
    }
    pids
}

/// Opens the monitors before pid 1 is ended, while it still tells them.
pub(crate) fn open_monitors(host: &Host, instance: &Segment) -> Result<Vec<PidFd>, StepError> {
    let hierarchies = Hierarchies::detect()?;
    let pids = monitors(host, &hierarchies, instance);
    Ok(pids
        .into_iter()
        .filter_map(|pid| PidFd::open(pid).ok())
        .collect())
}

/// Ends the monitors of a container whose pid 1 has ended. Left alone, a monitor would first move itself
/// out of its cgroup in every hierarchy, which took 0.8 s here with v1's ten; and all it would clean up,
/// we clean up.
pub(crate) fn finish_monitors(monitors: &[PidFd]) -> Result<(), StepError> {
    monitors
        .iter()
        .try_for_each(|monitor| kill_and_wait(monitor).doing("end a container's monitor"))
}

/// SIGKILL, and wait until the process has ended.
pub(crate) fn kill_and_wait(process: &PidFd) -> io::Result<()> {
    match process.signal(libc::SIGKILL) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
        _ => {}
    }
    if process.wait(KILL_WAIT)? {
        Ok(())
    } else {
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// Kills a container's pid 1, and so everything inside, and waits until it has ended.
///
/// v1's freezer keeps a process from dying, and the container may use it on itself, over and over: then
/// whoever does that is killed, too.
pub(crate) fn kill_init(host: &Host, instance: &Segment, init: &PidFd) -> Result<(), StepError> {
    let doing = format!("kill pid 1 of `{instance}`");
    let hierarchies = Hierarchies::detect()?;
    let path = host.layout.cgroup(instance);
    for _ in 0..KILL_ROUNDS {
        match init.signal(libc::SIGKILL) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                return Err(error).doing(doing);
            }
            _ => {}
        }
        cgroup::thaw(&hierarchies, &path);
        if init.wait(KILL_ROUND).doing(&doing)? {
            return Ok(());
        }
        cgroup::kill(&hierarchies, &path);
    }
    Err(io::Error::from(io::ErrorKind::TimedOut)).doing(doing)
}

/// Kills what runs and removes every trace but volumes and logs.
pub(crate) fn destroy(host: &Host, instance: &Segment) -> Result<(), StepError> {
    let layout = &host.layout;
    let monitors = open_monitors(host, instance)?;
    if let Inspection::Running(life) = inspect(host, instance)?
        && let Some(init) = open_init(&life)
    {
        kill_init(host, instance, &init)?;
    }
    finish_monitors(&monitors)?;
    remove_cgroups(host, instance)?;
    let veth = layout.veth(instance);
    links::remove(&veth).doing(format!("remove the link {veth}"))?;
    for layer in [layout.root_dir(instance), layout.sub_dir(instance)] {
        remove_tree(&layer).doing(format!("remove {}", layer.display()))?;
    }
    let dir = layout.container_dir(instance);
    if !dir.exists() {
        return Ok(());
    }
    let held = images::lock(layout)?;
    remove_tree(&dir).doing(format!("remove {}", dir.display()))?;
    for (target, outcome) in images::sweep(layout, &held)? {
        outcome.doing(format!("unmount {}", target.display()))?;
    }
    Ok(())
}

fn remove_cgroups(host: &Host, instance: &Segment) -> Result<(), StepError> {
    let layout = &host.layout;
    let hierarchies = Hierarchies::detect()?;
    cgroup::remove(&hierarchies, &layout.cgroup(instance))?;
    cgroup::remove(&hierarchies, &layout.monitor_cgroup(instance))?;
    remove_unused_parents(host, &hierarchies);
    Ok(())
}

/// Removes the cgroups above all containers, if no container is or is being started.
pub(crate) fn remove_unused_parents(host: &Host, hierarchies: &Hierarchies) {
    let Ok(_nobody_starts) = host.cgroup_parents.try_write() else {
        return;
    };
    let layout = &host.layout;
    // A monitor that ends by itself, as after a failed start, goes there first and would keep the parent
    // busy for as long as that takes: 0.8 s here. What cannot be removed now is by the next one to leave.
    if let Err(error) = cgroup::remove(hierarchies, &layout.ended_monitors_cgroup()) {
        tracing::debug!(%error, "ended monitors keep their cgroup for now");
    }
    for path in [&layout.monitor_cgroup_parent(), &layout.cgroup_parent()] {
        for dir in hierarchies.dirs(path) {
            // Not empty means in use; the last one to leave removes it.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Whether a program is in `PATH` or where system programs are.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| Path::is_file(file))
}

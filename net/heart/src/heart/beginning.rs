//! How a heart comes to beat: anew, or as the successor of the program that its process ran before.

use std::{fs::File, os::unix::net::UnixListener, path::Path, rc::Rc};

use coppice_clock::Mono;
use nix::{
    fcntl::OFlag,
    sys::{
        signalfd::SignalFd,
        socket::{Backlog, listen},
        stat::{Mode, umask},
    },
    unistd::{Gid, Uid, chown, pipe2},
};

use super::{Heart, Slot, system};
use crate::{
    backoff::Backoff,
    child::{Role, Running},
    config::{HeartConfig, HeartError},
    handover::{HandedChild, Handover, taken},
    layout::{file, prepare_data, prepare_identity, prepare_run, remove_if_there},
    leftover,
    listeners::Listeners,
    lock::DataLock,
    notify::Notifier,
    program::Program,
    protocol::{UpgradeOutcome, UpgradeRequest},
    store_backup,
};

impl Slot {
    fn empty(program: &Rc<Program>) -> Self {
        Self {
            running: None,
            program: Rc::clone(program),
            backoff: Backoff::default(),
            start_at: Mono::now(),
        }
    }
}

impl<'a> Heart<'a> {
    /// The first of its process.
    pub(super) fn begin(config: &'a HeartConfig, signals: SignalFd) -> Result<Self, HeartError> {
        let data = prepare_data(&config.data_dir)?;
        let mut lock = DataLock::take(&data, config.lock_wait)?;
        leftover::await_end(&lock.children_of_predecessor()?)?;
        lock.record(&[])?;
        let program = own_program()?;
        let undone = store_backup::restore(&data).map_err(file("put back the stores in", &data))?;
        let layout = prepare_identity(data, &config.run_root)?;
        let run_held = prepare_run(&layout, &config.run_root)?;
        let (lifeline, lifeline_held) =
            pipe2(OFlag::O_CLOEXEC).map_err(system("make the lifeline"))?;
        let outcome = undone.then(|| UpgradeOutcome {
            request: UpgradeRequest {
                attempt: format!("cut-short-{}", Mono::now().as_millis()),
                program: program.path().to_owned(),
            },
            problem: Some("Coppice was ended in the middle of it".to_owned()),
        });
        let mut heart = Self {
            api: unix_listener(&layout.api_socket(), None)?,
            edge_api: unix_listener(&layout.edge_socket(), Some(config.edge_uid))?,
            config,
            layout,
            lock,
            signals,
            notifier: Notifier::from_env(),
            lifeline,
            lifeline_held,
            run_held,
            listeners: Listeners::default(),
            table: None,
            core: Slot::empty(&program),
            edge: Slot::empty(&program),
            trial: None,
            retired: Vec::new(),
            upgrade: None,
            wanted: None,
            copying: None,
            outcome,
            outdated: false,
            stopping: None,
            retry_at: None,
        };
        heart.notifier.status("The core comes up");
        heart.first_start()?;
        Ok(heart)
    }

    /// A child that cannot be started even once is a mistake in the set-up, and said at once.
    fn first_start(&mut self) -> Result<(), HeartError> {
        for role in [Role::Core, Role::Edge] {
            self.start(role).map_err(|source| HeartError::Spawn {
                role: role.name(),
                program: self.slot(role).program.path().display().to_string(),
                source,
            })?;
        }
        self.record()
    }

    /// The successor of a heart of another program, with all that it had.
    pub(super) fn go_on(
        config: &'a HeartConfig,
        signals: SignalFd,
        handover: Handover,
    ) -> Result<Self, HeartError> {
        let data = prepare_data(&config.data_dir)?;
        let lock = DataLock::held(File::from(taken(handover.lock)), &data);
        let layout = prepare_identity(data, &config.run_root)?;
        let program = own_program()?;
        let slot = |role, child: Option<HandedChild>| {
            let running = child.map(|child| Running::handed_over(role, child));
            Ok(Slot {
                running: running.transpose().map_err(HeartError::Handover)?,
                ..Slot::empty(&program)
            })
        };
        let retired = handover.retired.into_iter();
        let retired = retired.map(|child| Running::handed_over(Role::Edge, child));
        let [lifeline, lifeline_held] = handover.lifeline.map(taken);
        let open = handover.open.into_iter();
        let open = open.map(|(listener, fd)| (listener, taken(fd))).collect();
        let mut heart = Self {
            api: taken(handover.api).into(),
            edge_api: taken(handover.edge_api).into(),
            config,
            layout,
            lock,
            signals,
            notifier: Notifier::from_env(),
            lifeline,
            lifeline_held,
            run_held: File::from(taken(handover.run)),
            listeners: Listeners::handed_over(handover.listeners, open),
            table: handover.table,
            core: slot(Role::Core, handover.core)?,
            edge: slot(Role::Edge, handover.edge)?,
            trial: None,
            retired: retired
                .collect::<Result<_, _>>()
                .map_err(HeartError::Handover)?,
            upgrade: None,
            wanted: None,
            copying: None,
            outcome: handover.outcome,
            outdated: false,
            stopping: None,
            retry_at: None,
        };
        heart.publish();
        heart.record()?;
        heart.notifier.ready("Core and edge are at work");
        Ok(heart)
    }
}

fn own_program() -> Result<Rc<Program>, HeartError> {
    let own = Path::new("/proc/self/exe");
    Ok(Rc::new(Program::own().map_err(file("open", own))?))
}

/// A Unix socket that only its owner may connect to, from the first moment it exists.
fn unix_listener(path: &Path, owner: Option<u32>) -> Result<UnixListener, HeartError> {
    // Ours: the folder is held, so whoever made it is gone.
    remove_if_there(path)?;
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path).map_err(file("listen on", path));
    umask(before);
    let listener = listener?;
    listener
        .set_nonblocking(true)
        .map_err(file("listen on", path))?;
    // Requests queue here while the core is away; the standard library's queue is short.
    let backlog = Backlog::new(1024).map_err(system("choose a backlog"))?;
    listen(&listener, backlog).map_err(|errno| file("listen on", path)(errno.into()))?;
    if let Some(uid) = owner {
        chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))
            .map_err(|errno| file("give to the edge", path)(errno.into()))?;
    }
    Ok(listener)
}

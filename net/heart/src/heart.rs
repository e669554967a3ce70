//! The loop: one thread, one `poll`.
//!
//! ```text
//!              core says stop, SIGTERM, SIGINT           both ended
//!   Beating ───────────────────────────────▶ Stopping ─────────────▶ gone
//!      ▲ │ a child ended                        10 s: SIGKILL
//!      └─┘ started again: at once, then after 100 ms, 200 ms, ... 5 s
//! ```

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
    process::ExitCode,
    time::Duration,
};

use coppice_clock::Mono;
use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::Signal,
        signalfd::{SfdFlags, SignalFd},
        socket::{Backlog, listen},
        stat::{Mode, umask},
    },
    unistd::{Gid, Uid, chown, pipe2},
};
use serde_json::value::RawValue;

use crate::{
    backoff::Backoff,
    child::{Role, Running, blocked_signals, describe, keep_descriptors_to_ourselves},
    config::{HeartConfig, HeartError},
    layout::{Layout, file, prepare_data, prepare_identity, prepare_run, remove_if_there},
    leftover,
    listeners::Listeners,
    lock::DataLock,
    protocol::{CoreToHeart, Wire, broken},
};

/// How long children may take to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How often a listener that could not be opened is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Runs the heart of one data folder until the core or a signal says stop.
///
/// It must have its process to itself, with no other thread: it blocks SIGCHLD, SIGINT and SIGTERM, makes every inherited
/// descriptor private, and waits for children.
///
/// # Errors
/// When the data folder is not usable or in use, or a child cannot be started even once. Later
/// failures of children are not errors.
pub fn run(config: &HeartConfig) -> Result<ExitCode, HeartError> {
    let signals = blocked_signals();
    signals
        .thread_block()
        .map_err(system("take over the signals"))?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(system("take over the signals"))?;
    let own_fds = Path::new("/proc/self/fd");
    keep_descriptors_to_ourselves().map_err(file("go through", own_fds))?;

    let data = prepare_data(&config.data_dir)?;
    let mut lock = DataLock::take(&data, config.lock_wait)?;
    leftover::await_end(&lock.children_of_predecessor()?)?;
    lock.record(&[])?;
    let layout = prepare_identity(data, &config.run_root)?;
    let run_held = prepare_run(&layout, &config.run_root)?;
    let (lifeline, lifeline_held) = pipe2(OFlag::O_CLOEXEC).map_err(system("make the lifeline"))?;
    let mut heart = Heart {
        api: unix_listener(&layout.api_socket(), None)?,
        edge_api: unix_listener(&layout.edge_socket(), Some(config.edge_uid))?,
        config,
        layout,
        lock,
        signals,
        lifeline,
        listeners: Listeners::default(),
        table: None,
        core: Slot::empty(),
        edge: Slot::empty(),
        stopping: None,
        retry_at: None,
        _held: (run_held, lifeline_held),
    };
    heart.first_start()?;
    while !heart.is_done() {
        heart.beat()?;
    }
    heart.tidy_up()?;
    Ok(ExitCode::SUCCESS)
}

struct Heart<'a> {
    config: &'a HeartConfig,
    layout: Layout,
    lock: DataLock,
    signals: SignalFd,
    api: UnixListener,
    edge_api: UnixListener,
    /// The children's end of the pipe; ours closes when we die.
    lifeline: OwnedFd,
    listeners: Listeners,
    /// As the core wrote it; `None` until the first publish.
    table: Option<Box<RawValue>>,
    core: Slot,
    edge: Slot,
    /// Set once: when children that are still there are killed.
    stopping: Option<Mono>,
    /// When listeners that are not open are tried again.
    retry_at: Option<Mono>,
    /// Never used, only held: the folder of sockets against a copy, and our end of the lifeline.
    _held: (std::fs::File, OwnedFd),
}

/// The place of one child, occupied or about to be.
struct Slot {
    running: Option<Running>,
    backoff: Backoff,
    start_at: Mono,
}

impl Slot {
    fn empty() -> Self {
        Self {
            running: None,
            backoff: Backoff::default(),
            start_at: Mono::now(),
        }
    }
}

impl Heart<'_> {
    /// A child that cannot be started even once is a mistake in the set-up, and said at once.
    fn first_start(&mut self) -> Result<(), HeartError> {
        for role in [Role::Core, Role::Edge] {
            self.start(role).map_err(|source| {
                let program = self.command(role).first().cloned().unwrap_or_default();
                HeartError::Spawn {
                    role: role.name(),
                    program: program.to_string_lossy().into_owned(),
                    source,
                }
            })?;
        }
        self.record()
    }

    fn command(&self, role: Role) -> &[std::ffi::OsString] {
        match role {
            Role::Core => &self.config.core,
            Role::Edge => &self.config.edge,
        }
    }

    fn slot(&mut self, role: Role) -> &mut Slot {
        match role {
            Role::Core => &mut self.core,
            Role::Edge => &mut self.edge,
        }
    }

    fn start(&mut self, role: Role) -> io::Result<()> {
        let edge_socket = self.layout.edge_socket();
        let lifeline = ("COPPICE_LIFELINE_FD", self.lifeline.as_fd());
        let sign_in = self.lock.sign_in()?;
        let running = match role {
            Role::Core => Running::spawn(
                role,
                &self.config.core,
                sign_in,
                &[
                    lifeline,
                    ("COPPICE_API_FD", self.api.as_fd()),
                    ("COPPICE_EDGE_FD", self.edge_api.as_fd()),
                ],
                &[
                    ("COPPICE_DATA_DIR", self.layout.data.as_os_str()),
                    ("COPPICE_RUN_DIR", self.layout.run.as_os_str()),
                ],
            )?,
            Role::Edge => Running::spawn(
                role,
                &self.config.edge,
                sign_in,
                &[lifeline],
                &[("COPPICE_EDGE_SOCKET", OsStr::new(&edge_socket))],
            )?,
        };
        self.slot(role).running = Some(running);
        if role == Role::Edge {
            self.publish_to_edge();
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.stopping.is_some() && self.core.running.is_none() && self.edge.running.is_none()
    }

    fn beat(&mut self) -> Result<(), HeartError> {
        let events = self.wait()?;
        if events.signals {
            self.take_signals()?;
        }
        for (role, (readable, writable)) in [(Role::Core, events.core), (Role::Edge, events.edge)] {
            if readable {
                self.listen_to(role);
            }
            if writable && let Some(running) = &mut self.slot(role).running {
                running.flush();
            }
        }
        self.reap()?;
        self.keep_time()
    }

    fn wait(&self) -> Result<Events, HeartError> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        for slot in [&self.core, &self.edge] {
            let Some(running) = slot.running.as_ref().filter(|running| !running.silent) else {
                continue;
            };
            let mut flags = PollFlags::POLLIN;
            if running.channel.has_unsent() {
                flags |= PollFlags::POLLOUT;
            }
            fds.push(PollFd::new(running.channel.as_fd(), flags));
        }
        let timeout = self.next_deadline().map(|at| {
            // One more: `Mono` is cut to milliseconds, and waking early means waking twice.
            let millis = at.since(Mono::now()).as_millis() + 1;
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(system("wait for events")(error)),
        }
        let mut happened = fds.iter().map(|fd| {
            let events = fd.revents().unwrap_or(PollFlags::empty());
            let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
            (
                events.intersects(readable),
                events.contains(PollFlags::POLLOUT),
            )
        });
        let signals = happened.next().is_some_and(|(readable, _)| readable);
        let mut of = |slot: &Slot| {
            if slot.running.as_ref().is_some_and(|running| !running.silent) {
                happened.next().unwrap_or_default()
            } else {
                (false, false)
            }
        };
        Ok(Events {
            signals,
            core: of(&self.core),
            edge: of(&self.edge),
        })
    }

    fn next_deadline(&self) -> Option<Mono> {
        let slots = [&self.core, &self.edge].into_iter();
        slots
            .filter_map(|slot| match &slot.running {
                Some(running) => running.kill_at,
                None if self.stopping.is_none() => Some(slot.start_at),
                None => None,
            })
            .chain(self.stopping)
            .chain(self.retry_at)
            .min()
    }

    fn take_signals(&mut self) -> Result<(), HeartError> {
        while let Some(signal) = self
            .signals
            .read_signal()
            .map_err(system("read a signal"))?
        {
            let number = signal.ssi_signo.cast_signed();
            if number == Signal::SIGINT as i32 || number == Signal::SIGTERM as i32 {
                if self.stopping.is_none() {
                    eprintln!(
                        "Coppice ends; the services go on running. Start Coppice again to manage \
                         them, or use `coppice stop` next time to stop them too."
                    );
                }
                self.stop();
            }
            // SIGCHLD: every turn looks for children that have ended.
        }
        Ok(())
    }

    fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Mono::now() + STOP_PATIENCE);
        for slot in [&self.core, &self.edge] {
            if let Some(running) = &slot.running {
                running.signal(Signal::SIGTERM);
            }
        }
    }

    /// Takes what a child has sent.
    fn listen_to(&mut self, role: Role) {
        let Some(running) = &mut self.slot(role).running else {
            return;
        };
        let open = running.channel.fill();
        loop {
            let Some(running) = &mut self.slot(role).running else {
                return;
            };
            let message = match running.channel.next() {
                Ok(Some(json)) => match Wire::parse(&json) {
                    Ok(wire) => wire,
                    Err(error) => return running.give_up_on(&error),
                },
                Ok(None) => break,
                Err(error) => return running.give_up_on(&error),
            };
            if let Err(error) = self.obey(role, message)
                && let Some(running) = &mut self.slot(role).running
            {
                return running.give_up_on(&error);
            }
        }
        if let Some(running) = &mut self.slot(role).running {
            match open {
                Ok(true) => {}
                Ok(false) => running.hung_up(),
                Err(error) => running.give_up_on(&error),
            }
        }
    }

    fn obey(&mut self, role: Role, message: Wire) -> io::Result<()> {
        match role {
            Role::Edge if message.kind == "ready" => Ok(()),
            Role::Edge => Err(broken(&format!("a `{}` from the edge", message.kind))),
            Role::Core => match CoreToHeart::try_from(message)? {
                CoreToHeart::Ready => Ok(()),
                CoreToHeart::Stop => {
                    self.stop();
                    Ok(())
                }
                CoreToHeart::Publish { listeners, table } => {
                    self.listeners.publish(listeners);
                    self.table = Some(table);
                    self.publish();
                    Ok(())
                }
            },
        }
    }

    /// Tells both what is open now.
    fn publish(&mut self) {
        self.retry_at = self
            .listeners
            .any_closed()
            .then(|| Mono::now() + RETRY_EVERY);
        self.publish_to_edge();
        let answer = Wire {
            failed: Some(self.listeners.failed()),
            ..Wire::new("listeners")
        };
        if let Some(core) = &mut self.core.running {
            match answer.frame() {
                Ok(frame) => {
                    core.channel.queue_newest(frame, Vec::new());
                    core.flush();
                }
                Err(error) => core.give_up_on(&error),
            }
        }
    }

    fn publish_to_edge(&mut self) {
        let (Some(table), Some(edge)) = (&self.table, &mut self.edge.running) else {
            return;
        };
        let (listeners, fds) = self.listeners.open();
        let message = Wire {
            listeners: Some(listeners),
            table: Some(table.clone()),
            ..Wire::new("publish")
        };
        match message.frame() {
            Ok(frame) => {
                edge.channel.queue_newest(frame, fds);
                edge.flush();
            }
            // It came in as a message of allowed length; it cannot have become too long.
            Err(error) => edge.give_up_on(&error),
        }
    }

    /// Notices children that have ended.
    fn reap(&mut self) -> Result<(), HeartError> {
        let mut changed = false;
        for role in [Role::Core, Role::Edge] {
            let Some(status) = self.slot(role).running.as_mut().and_then(Running::ended) else {
                continue;
            };
            // Its last words may still lie in the channel: a core that says stop and ends.
            self.listen_to(role);
            let slot = self.slot(role);
            let Some(ended) = slot.running.take() else {
                continue;
            };
            changed = true;
            let now = Mono::now();
            let wait = slot.backoff.after(now.since(ended.since));
            slot.start_at = now + wait;
            if self.stopping.is_none() {
                eprintln!(
                    "coppice heart: the {} (process {}) {}; starting it again in {} ms",
                    role.name(),
                    ended.pid(),
                    describe(status),
                    wait.as_millis()
                );
            }
        }
        if changed { self.record() } else { Ok(()) }
    }

    /// Does what is due.
    fn keep_time(&mut self) -> Result<(), HeartError> {
        let now = Mono::now();
        let overdue = self.stopping.is_some_and(|kill_at| now >= kill_at);
        if overdue {
            // Again only after another while, should a kill take its time.
            self.stopping = Some(now + STOP_PATIENCE);
        }
        let mut started = false;
        for role in [Role::Core, Role::Edge] {
            let stopping = self.stopping.is_some();
            let slot = self.slot(role);
            match &mut slot.running {
                Some(running) => {
                    if overdue || running.kill_at.is_some_and(|at| now >= at) {
                        running.kill_at = None;
                        running.signal(Signal::SIGKILL);
                    }
                }
                None if stopping || now < slot.start_at => {}
                None => match self.start(role) {
                    Ok(()) => started = true,
                    Err(error) => {
                        // The program is being replaced, or the machine is out of something.
                        let slot = self.slot(role);
                        slot.start_at = now + slot.backoff.after(Duration::ZERO);
                        eprintln!(
                            "coppice heart: could not start the {}: {error}; trying again",
                            role.name()
                        );
                    }
                },
            }
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = Some(now + RETRY_EVERY);
            if self.listeners.retry() {
                self.publish();
            }
        }
        if started { self.record() } else { Ok(()) }
    }

    fn record(&mut self) -> Result<(), HeartError> {
        let children: Vec<_> = [&self.core, &self.edge]
            .into_iter()
            .filter_map(|slot| slot.running.as_ref()?.id)
            .collect();
        self.lock.record(&children)
    }

    /// Leaves nothing that would look like a running Coppice.
    fn tidy_up(&self) -> Result<(), HeartError> {
        for path in [
            self.layout.api_socket(),
            self.layout.edge_socket(),
            self.layout.link(),
        ] {
            remove_if_there(&path)?;
        }
        Ok(())
    }
}

/// What `poll` saw: per child, readable and writable.
struct Events {
    signals: bool,
    core: (bool, bool),
    edge: (bool, bool),
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

fn system(action: &'static str) -> impl FnOnce(nix::errno::Errno) -> HeartError {
    move |source| HeartError::System { action, source }
}

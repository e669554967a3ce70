//! The loop: one thread, one `poll`.
//!
//! ```text
//!              core says stop, SIGTERM, SIGINT           all ended
//!   Beating ───────────────────────────────▶ Stopping ─────────────▶ gone
//!      ▲ │ a child ended                        10 s: SIGKILL
//!      └─┘ started again: at once, then after 100 ms, 200 ms, ... 5 s
//! ```
//!
//! While an upgrade is under way it decides instead what becomes of the core; see [`crate::upgrade`].

mod beginning;
mod channels;
mod upgrading;

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
    process::{ExitCode, ExitStatus},
    rc::Rc,
    time::Duration,
};

use coppice_clock::Mono;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::Signal,
        signalfd::{SfdFlags, SignalFd},
    },
};
use serde_json::value::RawValue;

use crate::{
    backoff::Backoff,
    child::{Role, Running, blocked_signals, describe, keep_descriptors_to_ourselves},
    config::{HeartConfig, HeartError},
    handover::Handover,
    layout::{Layout, file, remove_if_there},
    listeners::Listeners,
    lock::DataLock,
    notify::Notifier,
    program::Program,
    protocol::{UpgradeOutcome, UpgradeRequest},
    store_backup::Copying,
    upgrade::{Input, Upgrade},
};

/// How long children may take to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How often a listener that could not be opened is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Runs the heart of one data folder until the core or a signal says stop.
///
/// It must have its process to itself, with no other thread: it blocks SIGCHLD, SIGINT and SIGTERM, makes every inherited
/// descriptor private, and waits for children. After an upgrade it goes on as the new program in the same process, with
/// the arguments of the old.
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
    let mut heart = match Handover::received().map_err(HeartError::Handover)? {
        None => Heart::begin(config, signals)?,
        Some(handover) => Heart::go_on(config, signals, handover)?,
    };
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
    notifier: Notifier,
    api: UnixListener,
    edge_api: UnixListener,
    /// The children's end of the pipe.
    lifeline: OwnedFd,
    /// Ours: closes when we die.
    lifeline_held: OwnedFd,
    /// The folder of sockets, held against a copy of the data folder.
    run_held: std::fs::File,
    listeners: Listeners,
    /// As the core wrote it; `None` until the first publish.
    table: Option<Box<RawValue>>,
    core: Slot,
    edge: Slot,
    /// An edge that shall take the place of the one that serves, once it is ready.
    trial: Option<Running>,
    /// Edges that end what is open.
    retired: Vec<Running>,
    upgrade: Option<Upgrade>,
    /// What the upgrade is to.
    wanted: Option<(UpgradeRequest, Rc<Program>)>,
    copying: Option<Copying>,
    outcome: Option<UpgradeOutcome>,
    /// An upgrade has succeeded, and this process is still the old program.
    outdated: bool,
    /// Set once: when children that are still there are killed.
    stopping: Option<Mono>,
    /// When listeners that are not open are tried again.
    retry_at: Option<Mono>,
}

/// The place of one child, occupied or about to be.
struct Slot {
    running: Option<Running>,
    program: Rc<Program>,
    backoff: Backoff,
    start_at: Mono,
}

/// A child that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Core,
    Edge,
    Trial,
    Retired(usize),
}

impl Heart<'_> {
    fn slot(&mut self, role: Role) -> &mut Slot {
        match role {
            Role::Core => &mut self.core,
            Role::Edge => &mut self.edge,
        }
    }

    /// Where there may be a child.
    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let retired = (0..self.retired.len()).map(Place::Retired);
        [Place::Core, Place::Edge, Place::Trial]
            .into_iter()
            .chain(retired)
    }

    fn at(&self, place: Place) -> Option<&Running> {
        match place {
            Place::Core => self.core.running.as_ref(),
            Place::Edge => self.edge.running.as_ref(),
            Place::Trial => self.trial.as_ref(),
            Place::Retired(index) => self.retired.get(index),
        }
    }

    fn at_mut(&mut self, place: Place) -> Option<&mut Running> {
        match place {
            Place::Core => self.core.running.as_mut(),
            Place::Edge => self.edge.running.as_mut(),
            Place::Trial => self.trial.as_mut(),
            Place::Retired(index) => self.retired.get_mut(index),
        }
    }

    fn children(&self) -> impl Iterator<Item = &Running> {
        self.places().filter_map(|place| self.at(place))
    }

    /// Starts a child in its slot.
    fn start(&mut self, role: Role) -> io::Result<()> {
        let program = Rc::clone(&self.slot(role).program);
        let running = self.spawn(role, &program)?;
        self.slot(role).running = Some(running);
        match role {
            Role::Core => self.tell_outcome(),
            Role::Edge => self.publish_to(Place::Edge),
        }
        Ok(())
    }

    fn spawn(&self, role: Role, program: &Program) -> io::Result<Running> {
        let edge_socket = self.layout.edge_socket();
        let lifeline = ("COPPICE_LIFELINE_FD", self.lifeline.as_fd());
        let sign_in = self.lock.sign_in()?;
        match role {
            Role::Core => Running::spawn(
                role,
                program,
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
            ),
            Role::Edge => Running::spawn(
                role,
                program,
                &self.config.edge,
                sign_in,
                &[lifeline],
                &[("COPPICE_EDGE_SOCKET", OsStr::new(&edge_socket))],
            ),
        }
    }

    fn is_done(&self) -> bool {
        self.stopping.is_some() && self.children().next().is_none()
    }

    fn beat(&mut self) -> Result<(), HeartError> {
        let (signals, children) = self.wait()?;
        if signals {
            self.take_signals()?;
        }
        for (place, events) in children {
            if events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
                self.listen_to(place);
            }
            if events.contains(PollFlags::POLLOUT)
                && let Some(running) = self.at_mut(place)
            {
                running.flush();
            }
        }
        self.reap()?;
        self.keep_time()?;
        self.renew();
        Ok(())
    }

    /// Waits until something happens: whether there are signals, and what each child's channel is ready for.
    fn wait(&self) -> Result<(bool, Vec<(Place, PollFlags)>), HeartError> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let mut places = Vec::new();
        for place in self.places() {
            let Some(running) = self.at(place).filter(|running| !running.silent) else {
                continue;
            };
            let mut flags = PollFlags::POLLIN;
            if running.channel.has_unsent() {
                flags |= PollFlags::POLLOUT;
            }
            places.push(place);
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
        let happened = fds
            .iter()
            .map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let signals = happened.clone().next().is_some_and(|one| !one.is_empty());
        Ok((signals, places.into_iter().zip(happened.skip(1)).collect()))
    }

    fn next_deadline(&self) -> Option<Mono> {
        let starts = [(Role::Core, &self.core), (Role::Edge, &self.edge)]
            .into_iter()
            .filter(|(role, slot)| slot.running.is_none() && self.may_start(*role))
            .map(|(_, slot)| slot.start_at);
        self.children()
            .filter_map(|running| running.kill_at)
            .chain(starts)
            .chain(self.stopping)
            .chain(self.retry_at)
            .chain(self.upgrade.as_ref().map(Upgrade::until))
            .min()
    }

    /// Whether a child that is not there is started when its time has come.
    fn may_start(&self, role: Role) -> bool {
        let upgrade_decides = || {
            role == Role::Core
                && self
                    .upgrade
                    .as_ref()
                    .is_some_and(|upgrade| !upgrade.leaves_the_core_alone())
        };
        self.stopping.is_none() && !upgrade_decides()
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
        self.notifier
            .stopping("Coppice ends; the services go on running");
        self.stopping = Some(Mono::now() + STOP_PATIENCE);
        // What it was at is undone by the next heart.
        self.upgrade = None;
        self.copying = None;
        for running in self.children() {
            running.signal(Signal::SIGTERM);
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
            self.listen_to(match role {
                Role::Core => Place::Core,
                Role::Edge => Place::Edge,
            });
            if let Some(ended) = self.slot(role).running.take() {
                changed = true;
                self.child_ended(role, &ended, status);
            }
        }
        if let Some(status) = self.trial.as_mut().and_then(Running::ended) {
            self.trial = None;
            changed = true;
            self.trial_ended(status);
        }
        let before = self.retired.len();
        self.retired.retain_mut(|edge| edge.ended().is_none());
        if let Some(outcome) = self.copying.as_mut().and_then(Copying::ended) {
            self.copying = None;
            self.advance(Input::Copied(outcome));
        }
        if changed || self.retired.len() != before {
            self.record()
        } else {
            Ok(())
        }
    }

    fn child_ended(&mut self, role: Role, ended: &Running, status: ExitStatus) {
        let now = Mono::now();
        if !self.may_start(role) {
            if role == Role::Core {
                let words = ended.last_words.as_ref();
                let words = words.map_or_else(String::new, |why| format!(", saying `{why}`,"));
                self.advance(Input::CoreEnded(describe(status) + &words));
            }
            return;
        }
        let slot = self.slot(role);
        let wait = slot.backoff.after(now.since(ended.since));
        slot.start_at = now + wait;
        let happened = format!(
            "the {} (process {}) {}; starting it again in {} ms",
            role.name(),
            ended.pid(),
            describe(status),
            wait.as_millis()
        );
        eprintln!("coppice heart: {happened}");
        self.notifier.status(&happened);
    }

    /// Does what is due.
    fn keep_time(&mut self) -> Result<(), HeartError> {
        let now = Mono::now();
        self.advance(Input::Tick);
        let overdue = self.stopping.is_some_and(|kill_at| now >= kill_at);
        if overdue {
            // Again only after another while, should a kill take its time.
            self.stopping = Some(now + STOP_PATIENCE);
        }
        for place in self.places() {
            if let Some(running) = self.at_mut(place)
                && (overdue || running.kill_at.is_some_and(|at| now >= at))
            {
                running.kill_at = None;
                running.signal(Signal::SIGKILL);
            }
        }
        let mut started = false;
        for role in [Role::Core, Role::Edge] {
            let due = self.may_start(role);
            let slot = self.slot(role);
            if slot.running.is_some() || !due || now < slot.start_at {
                continue;
            }
            match self.start(role) {
                Ok(()) => started = true,
                Err(error) => {
                    // The machine is out of something.
                    let slot = self.slot(role);
                    slot.start_at = now + slot.backoff.after(Duration::ZERO);
                    eprintln!(
                        "coppice heart: could not start the {}: {error}; trying again",
                        role.name()
                    );
                }
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
        let children: Vec<_> = self.children().map(Running::id).collect();
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

fn system(action: &'static str) -> impl FnOnce(nix::errno::Errno) -> HeartError {
    move |source| HeartError::System { action, source }
}

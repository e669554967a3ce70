//! The loop of pid 1: what is ready, what is due.
//!
//! Invariant: one turn never waits for anybody. Everything that takes time (a generation that has
//! to die, a host that is away, a shutdown) is a state that the next turn looks at again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use coppice_clock::{Mono, Wall};
use coppice_segments::Segments;
use coppice_wire::{
    Hello, Message, PROTOCOL, Role,
    agent::{PROCESS_EXITED, PROCESS_STARTED, ProcessKind, is_safe_name},
    hello::{HELLO, OLDEST},
    logs::{SRC_AGENT, SRC_RUNTIME, Stream},
    paths::{AGENT_SOCKET, BOOT_ID, ENV_BOOT, HOST_SOCKET, LOG_DIR},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
};

use super::{
    cgroups::Cgroups,
    clients::Clients,
    ending::Phase,
    journal::Journal,
    lines::Lines,
    link::{self, Link, LinkEvent},
    mounts,
    processes::{End, Process, Processes},
    report::Caller,
    serve::PendingKill,
    spawn,
    standby::Standbys,
};

/// How often a leaf that was still busy is tried again, and how long the leaf of a daemon of the
/// host's waits for a successor: making it anew in every hierarchy would be most of a start.
const LEAF_RETRY: Duration = Duration::from_secs(1);
/// How often the leaves of a generation that has to die are looked at.
const KILL_RETRY: Duration = Duration::from_millis(5);
/// Bytes of one output read per turn, so that a chatty process does not starve the others.
const HELPING: usize = 256 * 1024;

/// Everything pid 1 knows.
pub(super) struct Agent {
    pub(super) boot: String,
    pub(super) cgroups: Cgroups,
    /// Leaves that exist, and whose they are.
    pub(super) leaves: BTreeMap<String, Option<u64>>,
    /// Leaves to remove once they are empty, not before their time.
    pub(super) idle_leaves: BTreeMap<String, Mono>,
    pub(super) logs: Segments,
    pub(super) journal: Journal,
    pub(super) processes: Processes,
    pub(super) standbys: Standbys,
    pub(super) link: Link,
    pub(super) clients: Clients,
    pub(super) callers: BTreeMap<u64, Caller>,
    pub(super) kills: Vec<PendingKill>,
    pub(super) phase: Phase,
    signals: SignalFd,
    outputs: Vec<Output>,
}

/// One output of one process.
struct Output {
    src: String,
    stream: Stream,
    file: File,
    lines: Lines,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SetUpError {
    #[error("could not {what}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

impl Agent {
    /// Makes the container ready and listens; nothing runs yet.
    pub(super) fn set_up() -> Result<Self, SetUpError> {
        let failed = |what| move |source: io::Error| SetUpError::Io { what, source };
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        spawn::close_inherited();
        spawn::raise_descriptor_limit();
        let mut notes = mounts::set_up();
        let (cgroups, more) = Cgroups::set_up();
        notes.extend(more);
        let boot = boot_id().map_err(failed("read a boot id from /proc"))?;
        std::fs::write(BOOT_ID, &boot).map_err(failed("write the boot id under /run"))?;
        let clients =
            Clients::listen(Path::new(AGENT_SOCKET)).map_err(failed("listen under /run"))?;
        let wanted = SigSet::from_iter([
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGPWR,
        ]);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&wanted), None)
            .map_err(io::Error::from)
            .map_err(failed("block signals"))?;
        let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(io::Error::from)
            .map_err(failed("watch signals"))?;
        let hello = Hello {
            protocol: PROTOCOL,
            oldest: OLDEST,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            boot: boot.clone(),
            role: Role::Agent,
            generation: None,
        };
        let hello = Message::request(0, HELLO, &hello)
            .ok()
            .and_then(|hello| link::line(&hello))
            .unwrap_or_default();
        let mut logs = Segments::new(PathBuf::from(LOG_DIR), boot.clone(), SRC_AGENT);
        for note in notes {
            logs.note(Wall::now().as_millis(), &note);
        }
        Ok(Self {
            boot,
            cgroups,
            leaves: BTreeMap::new(),
            idle_leaves: BTreeMap::new(),
            logs,
            journal: Journal::default(),
            processes: Processes::default(),
            standbys: Standbys::default(),
            link: Link::new(PathBuf::from(HOST_SOCKET), hello, Mono::now()),
            clients,
            callers: BTreeMap::new(),
            kills: Vec::new(),
            phase: Phase::Serving,
            signals,
            outputs: Vec::new(),
        })
    }

    /// Turns until the end; returns the exit status.
    pub(super) fn live(&mut self) -> i32 {
        loop {
            let ready = self.wait();
            let now = Mono::now();
            self.take_signals(now);
            // Reports before deaths: a CLI that reported its end and died did so in that order.
            let events = self.clients.turn(|fd| ready.contains(&fd));
            self.take_client_events(events, now);
            self.reap(now);
            self.drain_outputs(&ready);
            for event in self.link.turn(now) {
                match event {
                    LinkEvent::Up => self.journal.rewind(),
                    LinkEvent::Message(message) => self.take_host_message(message, now),
                }
            }
            self.progress_kills(now);
            // Reports before tidying: the host may be waiting to start a successor.
            self.pump(now);
            self.remove_idle_leaves(now);
            if matches!(self.phase, Phase::Serving) {
                self.standbys
                    .make_due(&self.processes, &self.boot, &self.cgroups, now);
            }
            if self.progress_ending(now) {
                return 0;
            }
        }
    }

    /// Waits until something is ready or due; returns the ready descriptors.
    fn wait(&self) -> BTreeSet<RawFd> {
        let mut wanted: Vec<(RawFd, PollFlags)> =
            vec![(self.signals.as_fd().as_raw_fd(), PollFlags::POLLIN)];
        wanted.extend(self.link.interest());
        wanted.extend(self.clients.interest().map(|fd| (fd, PollFlags::POLLIN)));
        let outputs = self.outputs.iter().map(|output| output.file.as_raw_fd());
        wanted.extend(outputs.map(|fd| (fd, PollFlags::POLLIN)));
        let mut polled: Vec<PollFd<'_>> = wanted
            .iter()
            // SAFETY: every descriptor is owned by `self`, which is borrowed until poll returns.
            .map(|(fd, flags)| PollFd::new(unsafe { BorrowedFd::borrow_raw(*fd) }, *flags))
            .collect();
        match poll(&mut polled, self.timeout(Mono::now())) {
            // Interrupted, or out of memory for a moment: look at everything that is due.
            Err(_) => BTreeSet::new(),
            Ok(_) => wanted
                .iter()
                .zip(&polled)
                .filter(|(_, poll)| poll.any() == Some(true))
                .map(|((fd, _), _)| *fd)
                .collect(),
        }
    }

    fn timeout(&self, now: Mono) -> PollTimeout {
        let due = [
            self.link.wake_at(),
            (!self.kills.is_empty()).then(|| now + KILL_RETRY),
            (!self.idle_leaves.is_empty()).then(|| now + LEAF_RETRY),
            self.phase.wake_at(),
            self.standbys.wake_at(),
        ];
        match due.into_iter().flatten().min() {
            None => PollTimeout::NONE,
            // One more millisecond: waking a fraction early would only spin.
            Some(at) => PollTimeout::try_from(at.since(now) + Duration::from_millis(1))
                .unwrap_or(PollTimeout::MAX),
        }
    }

    fn take_signals(&mut self, now: Mono) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let number = signal.ssi_signo.cast_signed();
            if matches!(
                Signal::try_from(number),
                Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGPWR)
            ) {
                self.begin_ending(super::ending::SIGTERM_GRACE, now);
            }
        }
    }

    /// Reaps everything that has died: own children and orphans alike.
    fn reap(&mut self, now: Mono) {
        loop {
            let (pid, end) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, End::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, End::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            self.standbys.reaped(pid.as_raw());
            if let Some(process) = self.processes.take_spawned(pid.as_raw()) {
                self.journal_exit(&process, end, now);
            }
        }
    }

    pub(super) fn journal_start(&mut self, process: Process) {
        self.journal.push(|seq| {
            let mut started = process.started.clone();
            started.seq = seq;
            let message = Message::notification(PROCESS_STARTED, &started).ok()?;
            link::line(&message)
        });
        self.processes.insert(process);
    }

    pub(super) fn journal_exit(&mut self, process: &Process, end: End, now: Mono) {
        let leaf = &process.started.leaf;
        let oom = self.cgroups.oom_kills(leaf);
        let hosted = process.started.kind == ProcessKind::Host;
        self.journal.push(|seq| {
            let exited = process.exited(seq, end, now, oom);
            let message = Message::notification(PROCESS_EXITED, &exited).ok()?;
            link::line(&message)
        });
        if hosted {
            // Looking takes longer than telling, and the host has something to do meanwhile. It can start a
            // successor in the next turn at the earliest.
            self.pump(now);
            let standby = self.standbys.pid(leaf);
            let left = |pid: &i32| Some(*pid) != standby;
            if self.cgroups.pids(leaf).iter().any(left) {
                // The successor must not meet what it left behind, which nobody looks after any more.
                self.standbys.forget(leaf);
                self.cgroups.kill(leaf);
            }
        }
        if !leaf.is_empty() && !self.processes.uses_leaf(leaf) {
            let wait = if hosted { LEAF_RETRY } else { Duration::ZERO };
            self.idle_leaves.insert(leaf.clone(), now + wait);
        }
    }

    /// Reports to the host as much as it takes now.
    pub(super) fn pump(&mut self, now: Mono) {
        while self.link.wants_more() {
            let Some(line) = self.journal.next_unsent() else {
                return;
            };
            self.link.send(line, now);
        }
    }

    /// Whether a process writes into a pipe that we drain.
    pub(super) fn shares_output(&self, pid: i32) -> bool {
        let Ok(stdout) = std::fs::metadata(format!("/proc/{pid}/fd/1")) else {
            return false;
        };
        self.outputs.iter().any(|output| {
            output
                .file
                .metadata()
                .is_ok_and(|ours| (ours.dev(), ours.ino()) == (stdout.dev(), stdout.ino()))
        })
    }

    /// From now on both outputs of a process go to the log.
    pub(super) fn watch_outputs(&mut self, process: &Process, out: OwnedFd, err: OwnedFd) {
        let src = match process.started.kind {
            ProcessKind::Runtime => SRC_RUNTIME.to_owned(),
            _ => process.started.id.clone(),
        };
        for (fd, stream) in [(out, Stream::Out), (err, Stream::Err)] {
            if let Err(error) = spawn::set_nonblocking(&fd) {
                // Without this a read could hang the container's pid 1: better no log than that.
                let why = format!("output of `{src}` is not kept: {error}");
                self.logs.note(Wall::now().as_millis(), &why);
                continue;
            }
            self.outputs.push(Output {
                src: src.clone(),
                stream,
                file: File::from(fd),
                lines: Lines::default(),
            });
        }
    }

    fn drain_outputs(&mut self, ready: &BTreeSet<RawFd>) {
        let logs = &mut self.logs;
        self.outputs
            .retain_mut(|output| !ready.contains(&output.file.as_raw_fd()) || output.drain(logs));
    }

    fn remove_idle_leaves(&mut self, now: Mono) {
        for (leaf, due) in &self.idle_leaves {
            if *due <= now && !self.processes.uses_leaf(leaf) {
                self.standbys.forget(leaf);
            }
        }
        let used: Vec<&str> = self.callers.values().map(Caller::leaf).collect();
        let (processes, cgroups, leaves) = (&self.processes, &self.cgroups, &mut self.leaves);
        self.idle_leaves.retain(|leaf, due| {
            if processes.uses_leaf(leaf) || used.contains(&leaf.as_str()) {
                return false;
            }
            if *due > now || !cgroups.pids(leaf).is_empty() {
                return true;
            }
            cgroups.remove(leaf);
            leaves.remove(leaf);
            false
        });
    }
}

/// The uuid of this life: the one the host gave when it made the container, else a fresh one.
fn boot_id() -> io::Result<String> {
    if let Some(given) = std::env::var(ENV_BOOT)
        .ok()
        .filter(|id| is_safe_name(id, 64))
    {
        return Ok(given);
    }
    let fresh = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(fresh.trim().to_owned())
}

impl Output {
    /// Reads one helping; false when the output has ended.
    fn drain(&mut self, logs: &mut Segments) -> bool {
        let mut bytes = [0; 64 * 1024];
        let mut total = 0;
        let mut done = Vec::new();
        let open = loop {
            match self.file.read(&mut bytes) {
                Ok(0) => break false,
                Ok(count) => {
                    done.extend(self.lines.push(bytes.get(..count).unwrap_or_default()));
                    total += count;
                    if total >= HELPING {
                        break true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() == io::ErrorKind::WouldBlock,
            }
        };
        if !open {
            done.extend(self.lines.finish());
        }
        if !done.is_empty() {
            let now = Wall::now().as_millis();
            logs.write(now, &self.src, self.stream, done.iter().map(Vec::as_slice));
        }
        open
    }
}

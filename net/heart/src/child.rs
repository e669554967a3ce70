//! One child: how it is started, with which descriptors, and how it is spoken to.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::{
            net::UnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use coppice_clock::Mono;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    libc,
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};

use crate::{
    channel::Channel,
    handover::{self, HandedChild, taken},
    leftover::identify,
    lock::{ProcessId, SignIn},
    notify,
    program::Program,
    protocol::{MAX_FRAME, Wire},
};

/// The edge says `ready` and nothing else, and it is the one that strangers talk to.
const MAX_EDGE_FRAME: usize = 4 << 10;

/// How long a child may live on after it has closed its control channel: a core that is closing
/// its store does that.
const LIVES_ON: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Core,
    Edge,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Edge => "edge",
        }
    }
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    role: Role,
    id: ProcessId,
    ended: Option<ExitStatus>,
    pub(crate) channel: Channel,
    /// No more will come from it.
    pub(crate) silent: bool,
    pub(crate) since: Mono,
    /// When it is killed, because there is no working with it.
    pub(crate) kill_at: Option<Mono>,
    /// It has said that it works.
    pub(crate) ready: bool,
    /// Why it is about to end, as far as it has said.
    pub(crate) last_words: Option<String>,
}

impl Running {
    /// Starts a child that inherits these descriptors, its end of a new control channel, and no
    /// others: everything else of ours is close-on-exec.
    pub(crate) fn spawn(
        role: Role,
        program: &Program,
        words: &[OsString],
        mut sign_in: SignIn,
        fds: &[(&str, BorrowedFd<'_>)],
        env: &[(&str, &OsStr)],
    ) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = Command::new(program.to_run());
        // A group of its own: a Ctrl-C in the terminal is for the heart, which then ends its
        // children in good order.
        child
            .arg0(program.path())
            .args(words)
            .stdin(Stdio::null())
            .process_group(0)
            .env_remove(notify::SOCKET)
            .env_remove(handover::VARIABLE);
        for (name, value) in env {
            child.env(name, value);
        }
        let mut numbers: Vec<RawFd> = vec![theirs.as_raw_fd()];
        child.env("COPPICE_CONTROL_FD", theirs.as_raw_fd().to_string());
        for (name, fd) in fds {
            child.env(name, fd.as_raw_fd().to_string());
            numbers.push(fd.as_raw_fd());
        }
        let signals = blocked_signals();
        // SAFETY: the heart has one thread (`run` asks for a process to itself), so no lock, of the
        // allocator or another, can have been held by someone else at the fork.
        unsafe {
            child.pre_exec(move || {
                if let Some(own) = identify(std::process::id()) {
                    sign_in.sign(own)?;
                }
                signals.thread_unblock()?;
                for number in &numbers {
                    inherit(&BorrowedFd::borrow_raw(*number))?;
                }
                Ok(())
            });
        }
        let pid = child.spawn()?.id();
        Ok(Self {
            role,
            // It is ours and was not waited for: even if it has ended, it is still there to look at.
            id: identify(pid).unwrap_or(ProcessId { pid, started: 0 }),
            ended: None,
            channel: Channel::new(ours, max_frame(role), false)?,
            silent: false,
            since: Mono::now(),
            kill_at: None,
            ready: false,
            last_words: None,
        })
    }

    /// A child of the heart that this process was before.
    pub(crate) fn handed_over(role: Role, child: HandedChild) -> io::Result<Self> {
        let stream = UnixStream::from(taken(child.channel));
        Ok(Self {
            role,
            id: child.id,
            ended: None,
            channel: Channel::resumed(stream, max_frame(role), child.inbox)?,
            silent: false,
            since: child.since,
            kill_at: child.kill_at,
            // An upgrade ends with both at work.
            ready: true,
            last_words: None,
        })
    }

    /// What the next program of this process has to know of it; nothing while there is something to send.
    pub(crate) fn to_hand_over(&self) -> Option<HandedChild> {
        Some(HandedChild {
            id: self.id,
            channel: self.channel.as_fd().as_raw_fd(),
            inbox: self.channel.when_nothing_is_unsent()?.to_vec(),
            since: self.since,
            kill_at: self.kill_at,
        })
    }

    pub(crate) fn id(&self) -> ProcessId {
        self.id
    }

    pub(crate) fn pid(&self) -> u32 {
        self.id.pid
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // An error means that it has ended, and its end is about to be noticed.
        let _ = kill(Pid::from_raw(self.pid().cast_signed()), signal);
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let pid = Pid::from_raw(self.pid().cast_signed());
        self.ended = self.ended.or_else(|| wait_for(pid, libc::WNOHANG));
        self.ended
    }

    /// Puts a frame into its channel, and sends what goes.
    pub(crate) fn send(&mut self, wire: &Wire) {
        match wire.frame() {
            Ok(frame) => {
                self.channel.queue(frame, Vec::new());
                self.flush();
            }
            // What the heart says is short.
            Err(error) => self.give_up_on(&error),
        }
    }

    /// Sends what the channel takes.
    pub(crate) fn flush(&mut self) {
        if !self.silent
            && let Err(error) = self.channel.flush()
        {
            // What cannot be sent to a child that is going is sent to the next one.
            self.give_up_on(&error);
        }
    }

    /// There is no working with this incarnation: it ends by itself soon, or is killed.
    pub(crate) fn give_up_on(&mut self, error: &io::Error) {
        let now = Mono::now();
        self.silent = true;
        let patience = match error.kind() {
            io::ErrorKind::InvalidData => {
                eprintln!(
                    "coppice heart: killing the {} (process {}): it sent {error}",
                    self.role.name(),
                    self.pid()
                );
                Duration::ZERO
            }
            _ => LIVES_ON,
        };
        self.kill_at.get_or_insert(now + patience);
    }

    /// It closed its end.
    pub(crate) fn hung_up(&mut self) {
        self.silent = true;
        self.kill_at.get_or_insert(Mono::now() + LIVES_ON);
    }
}

impl Drop for Running {
    /// A heart that fails leaves nobody behind.
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::SIGKILL);
            wait_for(Pid::from_raw(self.pid().cast_signed()), 0);
        }
    }
}

const fn max_frame(role: Role) -> usize {
    match role {
        Role::Core => MAX_FRAME,
        Role::Edge => MAX_EDGE_FRAME,
    }
}

/// How a child ended, if it did; `options` as of `waitpid`.
pub(crate) fn wait_for(child: Pid, options: libc::c_int) -> Option<ExitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: a number, the address of another, and flags.
        let found = unsafe { libc::waitpid(child.as_raw(), &raw mut status, options) };
        match found {
            0 => return None,
            -1 if Errno::last() == Errno::EINTR => {}
            // Not, or not any more, a child of ours: whatever it was, it does not work for us.
            _ => return Some(ExitStatus::from_raw(status)),
        }
    }
}

/// What the heart hears through its signal descriptor instead.
pub(crate) fn blocked_signals() -> SigSet {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM] {
        signals.add(signal);
    }
    signals
}

pub(crate) fn inherit(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Makes every descriptor that we were started with private: the shell or `make` that started us
/// may have left some open.
pub(crate) fn keep_descriptors_to_ourselves() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
            continue;
        };
        if number <= libc::STDERR_FILENO {
            continue;
        }
        // SAFETY: the number is of a descriptor that is open now, and nothing is done to it but
        // setting a flag.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(())
}

/// `exited with code 3`, `was killed by SIGKILL`.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
        (None, None) => status.to_string(),
    }
}

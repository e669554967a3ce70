//! The process that looks a store's file over before this one maps it.
//!
//! A damaged map can end the process that reads it (SIGBUS, SIGSEGV, an assertion of LMDB's), so
//! another one reads it first. What it says comes on its standard output, in one line; how it ends
//! says the rest.
//!
//! ```text
//! a line "sound …"           ─▶ sound          the line "damaged …"  ─▶ damaged
//! ended by one of SIGNALS    ─▶ damaged        anything else         ─▶ no verdict
//! ```
//!
//! No verdict (no process to be had, killed, too slow) is not damage: nothing is thrown away for it.

use std::{
    fmt,
    io::{self, Read},
    os::{fd::AsFd, unix::process::ExitStatusExt},
    path::Path,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use coppice_clock::Mono;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        resource::{Resource, setrlimit},
        signal::Signal,
    },
};

use crate::{
    disk::{OwnerLock, Sound, examine},
    error::OpenError,
};

/// What a damaged map does to whoever reads it.
const SIGNALS: [Signal; 5] = [
    Signal::SIGBUS,
    Signal::SIGSEGV,
    Signal::SIGABRT,
    Signal::SIGFPE,
    Signal::SIGILL,
];

/// How long one file may take. A gigabyte on a slow card takes a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// More than any verdict is long.
const MOST_BYTES: usize = 64 << 10;

const SOUND: &str = "patchdb: sound ";
const DAMAGED: &str = "patchdb: damaged ";

/// How to start a process that calls [`examine_for_parent`].
#[derive(Clone)]
pub struct Examiner(Arc<dyn Fn(&Path) -> Command + Send + Sync>);

impl Examiner {
    /// What `command` makes of a file's name is to call [`examine_for_parent`] with it.
    pub fn by(command: impl Fn(&Path) -> Command + Send + Sync + 'static) -> Self {
        Self(Arc::new(command))
    }
}

impl fmt::Debug for Examiner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Examiner")
            .field(&(self.0)(Path::new("FILE")))
            .finish()
    }
}

/// What came of looking at a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Sound(Sound),
    /// In words.
    Damaged(String),
    /// Nobody could say, and why.
    Unknown(String),
}

/// Looks `file` over and says on standard output what it found. For a process of its own, which may
/// end by a signal in here; it leaves no core dump.
#[must_use]
pub fn examine_for_parent(file: &Path) -> ExitCode {
    // The map is gigabytes of address space, and what would be dumped is private. Where it cannot be
    // set, a dump is no danger to anything but room.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    match examine(file) {
        Ok(sound) => {
            println!("{SOUND}{} {}", sound.digest, sound.rows);
            ExitCode::SUCCESS
        }
        Err(flaw) => {
            // In one line, whatever a damaged name contains.
            println!("{DAMAGED}{}", flaw.to_string().escape_debug());
            ExitCode::FAILURE
        }
    }
}

impl Examiner {
    /// Looks over the store in `dir`, which nobody has open; how many rows there are. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn look_at(&self, dir: &Path) -> Result<u64, OpenError> {
        let _lock = OwnerLock::take(dir)?;
        match self.examine(&dir.join("data.mdb")) {
            Verdict::Sound(sound) => Ok(sound.rows),
            Verdict::Damaged(reason) => Err(OpenError::Unsound {
                dir: dir.to_owned(),
                reason,
            }),
            Verdict::Unknown(reason) => Err(OpenError::Io {
                path: dir.to_owned(),
                source: io::Error::other(reason),
            }),
        }
    }

    /// Blocks until there is a verdict.
    pub(crate) fn examine(&self, file: &Path) -> Verdict {
        let child = (self.0)(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let heard = child.and_then(|child| Examination(child).end());
        heard.unwrap_or_else(|error| Verdict::Unknown(error.to_string()))
    }
}

/// A process under way; killed and reaped whatever happens.
struct Examination(Child);

impl Examination {
    fn end(mut self) -> io::Result<Verdict> {
        let Some(mut said) = self.0.stdout.take() else {
            return Err(io::Error::other("it has no standard output"));
        };
        let text = hear(&mut said)?;
        let status = self.0.wait()?;
        let signal = status
            .signal()
            .and_then(|signal| Signal::try_from(signal).ok());
        Ok(match (verdict(&text), signal) {
            (Some(verdict), _) => verdict,
            (None, Some(signal)) if SIGNALS.contains(&signal) => {
                Verdict::Damaged(format!("reading it ends a process with {signal}"))
            }
            (None, _) => Verdict::Unknown(format!("the process that read it gave none: {status}")),
        })
    }
}

impl Drop for Examination {
    fn drop(&mut self) {
        // It has ended already in the usual case, which `kill` and `wait` know.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything the process says, unless it takes too long or says too much.
fn hear(said: &mut ChildStdout) -> io::Result<String> {
    let deadline = Mono::now() + PATIENCE;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.since(Mono::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(said.as_fd(), PollFlags::POLLIN)];
        if left.is_zero() || poll(&mut fds, timeout)? == 0 {
            return Err(io::Error::other("the process that read it took too long"));
        }
        match said.read(&mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            count => text.extend_from_slice(&buffer[..count]),
        }
        if text.len() > MOST_BYTES {
            return Err(io::Error::other("the process that read it said too much"));
        }
    }
}

fn verdict(text: &str) -> Option<Verdict> {
    // Not at the start of a line only: a test's harness writes in front of its tests.
    if let Some((_, found)) = text.split_once(SOUND) {
        let (digest, rest) = found.split_once(' ')?;
        let rows = rest.lines().next()?.parse().ok()?;
        let digest = blake3::Hash::from_hex(digest).ok()?;
        return Some(Verdict::Sound(Sound { digest, rows }));
    }
    let (_, found) = text.split_once(DAMAGED)?;
    Some(Verdict::Damaged(found.lines().next()?.to_owned()))
}

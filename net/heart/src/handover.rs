//! From a heart to its successor in the same process.
//!
//! After an upgrade the heart runs the new program in its own place (`exec`): the process number stays, so its children
//! stay its children and systemd its manager, and so does every descriptor that is named here. Nothing is closed and
//! opened again: no connection is refused meanwhile, and nobody else can take the lock.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Seek, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use coppice_clock::Mono;
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    child::inherit,
    lock::ProcessId,
    program::Program,
    protocol::{Listener, UpgradeOutcome},
};

/// Names the descriptor of the letter below.
pub(crate) const VARIABLE: &str = "COPPICE_HANDOVER_FD";

/// Everything a heart knows. Descriptors are numbers that stay open across the `exec`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) lock: RawFd,
    pub(crate) run: RawFd,
    pub(crate) api: RawFd,
    pub(crate) edge_api: RawFd,
    /// The children's end, and ours.
    pub(crate) lifeline: [RawFd; 2],
    pub(crate) listeners: Vec<Listener>,
    /// Of these, the open ones.
    pub(crate) open: Vec<(Listener, RawFd)>,
    pub(crate) table: Option<Box<RawValue>>,
    pub(crate) core: Option<HandedChild>,
    pub(crate) edge: Option<HandedChild>,
    /// Edges that end what is open.
    pub(crate) retired: Vec<HandedChild>,
    pub(crate) outcome: Option<UpgradeOutcome>,
}

/// A child that goes on.
#[derive(Serialize, Deserialize)]
pub(crate) struct HandedChild {
    pub(crate) id: ProcessId,
    pub(crate) channel: RawFd,
    /// What it has begun to say.
    pub(crate) inbox: Vec<u8>,
    pub(crate) since: Mono,
    pub(crate) kill_at: Option<Mono>,
}

impl Handover {
    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let children = self.core.iter().chain(&self.edge).chain(&self.retired);
        [self.lock, self.run, self.api, self.edge_api]
            .into_iter()
            .chain(self.lifeline)
            .chain(self.open.iter().map(|(_, fd)| *fd))
            .chain(children.map(|child| child.channel))
    }

    /// Becomes the heart of `program`. Comes back only when that cannot be, and then nothing has changed.
    pub(crate) fn pass_on_to(&self, program: &Program) -> io::Error {
        match self.try_to_pass_on(program) {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn try_to_pass_on(&self, program: &Program) -> io::Result<std::convert::Infallible> {
        let mut letter = File::from(memfd_create("coppice-heart", MFdFlags::MFD_CLOEXEC)?);
        letter.write_all(&serde_json::to_vec(self)?)?;
        letter.rewind()?;
        let all: Vec<RawFd> = self.descriptors().chain([letter.as_raw_fd()]).collect();
        for number in &all {
            inherit(&borrowed(*number))?;
        }
        let mut words = std::env::args_os();
        let _called = words.next();
        let error = Command::new(program.to_run())
            .arg0(program.path())
            .args(words)
            .env(VARIABLE, OsStr::new(&letter.as_raw_fd().to_string()))
            .exec();
        for number in &all {
            keep(&borrowed(*number))?;
        }
        Err(error)
    }

    /// What a predecessor in this process has left, if there was one.
    pub(crate) fn received() -> io::Result<Option<Self>> {
        let Ok(number) = std::env::var(VARIABLE) else {
            return Ok(None);
        };
        let number: RawFd = number.parse().map_err(io::Error::other)?;
        fcntl(borrowed(number), FcntlArg::F_GETFD)?;
        let mut letter = File::from(taken(number));
        let mut bytes = Vec::new();
        letter.read_to_end(&mut bytes)?;
        let handover: Self = serde_json::from_slice(&bytes)?;
        for number in handover.descriptors() {
            keep(&borrowed(number))?;
        }
        Ok(Some(handover))
    }
}

/// Our own again, and not our children's.
fn keep(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

fn borrowed(number: RawFd) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: used for setting and asking flags only, which on a number that is not open is an error and no more.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(number) }
}

/// A descriptor that the letter names.
pub(crate) fn taken(number: RawFd) -> OwnedFd {
    // SAFETY: each number in the letter was an owned descriptor of the program that this process ran before, which is
    // gone; each is named once and taken once, by whoever owns it from now on.
    unsafe { OwnedFd::from_raw_fd(number) }
}

//! What is known of a container that runs or has ended.

use serde::{Deserialize, Serialize};

/// One life of a container. A restarted container is another value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Running {
    /// Host pid of the container's pid 1.
    pub init_pid: i32,
    /// Start time of that process in clock ticks since the machine's boot (`/proc/<pid>/stat`, field
    /// 22): with it, a reused pid is not mistaken for the container.
    pub started_ticks: u64,
    /// The uuid of this container life; pid 1 has it as `COPPICE_BOOT`, `/etc/machine-id` is made of it.
    pub boot: String,
}

/// What [`Backend::inspect`](crate::Backend::inspect) finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// Pid 1 lives.
    Running(Running),
    /// Pid 1 does not live, or there never was such a container.
    Stopped,
}

impl Inspection {
    /// The running life, if there is one.
    #[must_use]
    pub fn running(self) -> Option<Running> {
        match self {
            Self::Running(running) => Some(running),
            Self::Stopped => None,
        }
    }
}

/// The end of a container's pid 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How it ended; `None` where the kernel cannot tell a process that is not the parent
    /// (before Linux 6.15), or the container had ended before anyone waited.
    pub status: Option<ExitStatus>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl ExitStatus {
    /// Reads a `wait` status.
    pub(crate) fn from_wait(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Code(libc::WEXITSTATUS(status))
        }
    }
}

//! What the heart is told, and why it may refuse.

use std::{ffi::OsString, io, path::PathBuf, time::Duration};

use nix::errno::Errno;

/// The user the edge drops to: a number without an entry in `/etc/passwd`, just below the ids of
/// the services.
pub const EDGE_UID: u32 = 0x6FFF_FFFE;

/// What the heart is told.
#[derive(Clone, Debug)]
pub struct HeartConfig {
    /// Where everything is kept. Made if it is not there.
    pub data_dir: PathBuf,
    /// Where sockets go, in a folder named after the data folder's id. Default `/run/coppice`.
    pub run_root: PathBuf,
    /// What makes the program that the heart itself runs the core: its arguments.
    pub core: Vec<OsString>,
    /// What makes it the edge.
    pub edge: Vec<OsString>,
    /// Who owns `edge.sock`. Default [`EDGE_UID`].
    pub edge_uid: u32,
    /// How long to wait for another heart to let go of the data folder. Default 10 s.
    pub lock_wait: Duration,
    /// How long core and edge of a newer program may take until they work. Default 30 s.
    pub ready_within: Duration,
    /// How long an edge that was replaced may go on with what was open. Default an hour.
    pub drained_within: Duration,
}

impl HeartConfig {
    /// A heart for this data folder, with the defaults for everything else.
    #[must_use]
    pub fn new(data_dir: PathBuf, core: Vec<OsString>, edge: Vec<OsString>) -> Self {
        Self {
            data_dir,
            run_root: PathBuf::from("/run/coppice"),
            core,
            edge,
            edge_uid: EDGE_UID,
            lock_wait: Duration::from_secs(10),
            ready_within: Duration::from_secs(30),
            drained_within: Duration::from_secs(3600),
        }
    }
}

/// Why there is no heart.
#[derive(Debug, thiserror::Error)]
pub enum HeartError {
    /// Someone else has the lock.
    #[error(
        "the data folder `{data_dir}` is in use by {holder}; stop that Coppice, or choose another \
         folder with --data-dir"
    )]
    Locked {
        /// The folder.
        data_dir: PathBuf,
        /// `process 123`, or `another process` if it has not said which.
        holder: String,
    },
    /// A core or edge of an earlier heart does not end.
    #[error("process {pid}, left by an earlier Coppice on this data folder, does not end; end it")]
    Leftover {
        /// The process.
        pid: u32,
    },
    /// Another data folder has the same id, so the same sockets and container names.
    #[error(
        "the data folder `{data_dir}` has the id `{id}`, which a running Coppice on `{other}` has \
         too; if one is a copy of the other, delete the file `id` of the copy before it is first \
         used"
    )]
    IdInUse {
        /// The folder.
        data_dir: PathBuf,
        /// The id.
        id: String,
        /// The other folder.
        other: PathBuf,
    },
    /// The folder belongs to a newer Coppice.
    #[error(
        "the data folder `{data_dir}` has version {found}, this Coppice knows versions up to \
         {known}; install the newer Coppice again"
    )]
    TooNew {
        /// The folder.
        data_dir: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The folder holds something else.
    #[error(
        "`{data_dir}` holds `{entry}`, so it is no Coppice data folder; choose an empty or a new \
         one with --data-dir"
    )]
    Foreign {
        /// The folder.
        data_dir: PathBuf,
        /// What should not be there.
        entry: String,
    },
    /// A file of ours has a content that we did not write.
    #[error("`{path}` should hold {expected}; restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// What the program that this process ran before left for this one cannot be used.
    #[error("could not take over from the program of before the upgrade; start Coppice again")]
    Handover(#[source] io::Error),
    /// A child could not be started at all.
    #[error("could not start the {role} (`{program}`)")]
    Spawn {
        /// `core` or `edge`.
        role: &'static str,
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A system call about a path failed.
    #[error("could not {action} `{path}`")]
    File {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A system call failed that only fails when the machine is out of something.
    #[error("could not {action}")]
    System {
        /// What was to be done.
        action: &'static str,
        /// Why.
        #[source]
        source: Errno,
    },
}

//! The sockets of a simulation: connections in memory, between those who know the same path.
//!
//! A real socket would do, but for the kernel, which says when there is something to read.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tokio::{
    io::DuplexStream,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use super::machine::is_simulated;
use crate::link::{Caller, Connection};

/// What one side may have written and the other not read.
const ROOM: usize = 256 * 1024;

thread_local! {
    static DOORS: RefCell<BTreeMap<PathBuf, UnboundedSender<Connection>>> =
        const { RefCell::new(BTreeMap::new()) };
}

/// The door at `path`, in place of the one before; `None` where sockets are real.
pub(crate) fn listen(path: &Path) -> Option<UnboundedReceiver<Connection>> {
    if !is_simulated() {
        return None;
    }
    let (dial, dialled) = mpsc::unbounded_channel();
    DOORS.with_borrow_mut(|doors| doors.insert(path.to_owned(), dial));
    Some(dialled)
}

/// Connects as this user; `None` when nobody listens.
pub(super) fn dial(path: &Path, uid: u32) -> Option<DuplexStream> {
    let (theirs, ours) = tokio::io::duplex(ROOM);
    let (read, write) = tokio::io::split(ours);
    let connection = Connection {
        read: Box::new(read),
        write: Box::new(write),
        caller: Caller { uid, pid: None },
    };
    DOORS.with_borrow(|doors| doors.get(path)?.send(connection).ok())?;
    Some(theirs)
}

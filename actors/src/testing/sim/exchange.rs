//! Sockets in memory: connections between those who know the same path.
//!
//! A simulation has them because the kernel would say when there is something to read, and a measurement
//! of many services because the kernel lets one process have fewer sockets than that.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use tokio::{
    io::DuplexStream,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use super::{
    chance::{Chance, Weather},
    machine::is_simulated,
};
use crate::link::{Caller, Connection};

/// What one side may have written and the other not read.
const ROOM: usize = 256 * 1024;

type Doors = BTreeMap<PathBuf, UnboundedSender<Connection>>;

/// Those of the whole process, where it has any.
static SHARED: OnceLock<Mutex<Doors>> = OnceLock::new();

thread_local! {
    static DOORS: RefCell<Doors> = const { RefCell::new(BTreeMap::new()) };
    static CHANCE: RefCell<Chance> = RefCell::default();
}

/// From now on doors are opened by this chance.
pub(super) fn by(chance: &Chance) {
    CHANCE.set(chance.clone());
}

/// From now on this whole process has no real sockets; whoever simulates has its own all the same.
pub(in super::super) fn share() {
    SHARED.get_or_init(Mutex::default);
}

/// Looks at the doors; `None` where sockets are real.
fn with_doors<T>(look: impl FnOnce(&mut Doors) -> T) -> Option<T> {
    if is_simulated() {
        return Some(DOORS.with_borrow_mut(look));
    }
    let shared = SHARED.get()?;
    Some(look(
        &mut shared.lock().unwrap_or_else(PoisonError::into_inner),
    ))
}

/// The door at `path`, in place of the one before; `None` where sockets are real.
pub(crate) fn listen(path: &Path) -> Option<io::Result<UnboundedReceiver<Connection>>> {
    if is_simulated() && CHANCE.with_borrow(|chance| chance.strikes(Weather::ListenFails)) {
        return Some(Err(io::Error::other("simulated")));
    }
    let (dial, dialled) = mpsc::unbounded_channel();
    with_doors(|doors| doors.insert(path.to_owned(), dial))?;
    Some(Ok(dialled))
}

/// Connects as this user; `None` when nobody listens.
pub(in super::super) fn dial(path: &Path, uid: u32) -> Option<DuplexStream> {
    let (theirs, ours) = tokio::io::duplex(ROOM);
    let (read, write) = tokio::io::split(ours);
    let connection = Connection {
        read: Box::new(read),
        write: Box::new(write),
        caller: Caller { uid, pid: None },
    };
    let dialled = with_doors(|doors| doors.get(path)?.send(connection).ok());
    dialled.flatten().map(|()| theirs)
}

//! Whether there is room on the disk of the data folder.
//!
//! ```text
//!  Enough ──less than FULL_BELOW to spare──▶ Full (a notice; what fails is held)
//!     ▲                                        │
//!     └────────ENOUGH_FROM to spare────────────┘ (the reserve is taken again)
//! ```
//!
//! To spare is what is free beyond what the reserve lacks: when the reserve was given up, its room is
//! there for stopping and for saying so, and not for starting what has just failed for want of room.
//! Both states may last; the way out of `Full` is the user's: free some space.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::sys::statvfs::statvfs;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{blocking::blocking, host::Host, network::Watch, reserve::Reserve};

/// Less than this to spare is a full disk: a database grows by as much at a time.
const FULL_BELOW: u64 = 16 << 20;
/// This much to spare is room again; the distance keeps a disk at the border from going to and fro.
const ENOUGH_FROM: u64 = 64 << 20;
/// Between two looks at the disk; one system call each.
const EVERY: Duration = Duration::from_secs(10);

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Enough.
    Enough,
    /// Too little.
    Full {
        /// Bytes that are free.
        free: u64,
    },
}

impl Room {
    /// What it is when so much is free and so much of that is to spare.
    const fn step(self, free: u64, spare: u64) -> Self {
        match self {
            Self::Enough if spare < FULL_BELOW => Self::Full { free },
            Self::Full { .. } if spare < ENOUGH_FROM => Self::Full { free },
            Self::Enough | Self::Full { .. } => Self::Enough,
        }
    }
}

/// The disk; see the module.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    reserve: Reserve,
    room: Mutex<Room>,
}

impl Disk {
    /// The disk that a reserve is on.
    pub(crate) fn of(folder: PathBuf, reserve: Reserve) -> Self {
        Self {
            folder,
            reserve,
            room: Mutex::new(Room::Enough),
        }
    }

    /// Looks at the disk now: one system call that reads nothing from it.
    pub(crate) fn look(&self) -> Room {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        match self.measure() {
            Ok((free, spare)) => *room = room.step(free, spare),
            Err(error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "the disk cannot be measured");
            }
        }
        *room
    }

    fn measure(&self) -> io::Result<(u64, u64)> {
        let disk = statvfs(&self.folder)?;
        let free = disk.blocks_available() as u64 * disk.fragment_size() as u64;
        Ok((free, free.saturating_sub(self.reserve.lacks())))
    }
}

/// The notice about a disk, where there has to be one.
fn notice(room: Room) -> Option<String> {
    match room {
        Room::Enough => None,
        Room::Full { free } => Some(format!(
            "The disk is full ({} MiB left). What fails for want of room waits until there is some: \
             delete files, or remove a service that is not needed any more.",
            free >> 20
        )),
    }
}

/// Looks at the disk from time to time and tells people when it is full.
#[derive(Debug)]
pub(crate) struct DiskActor;

/// Messages of the disk's actor.
#[derive(Debug)]
pub(crate) enum DiskMsg {
    /// It is time to look.
    Look,
}

impl Actor for DiskActor {
    type Msg = DiskMsg;
    type State = Arc<Host>;
    type Arguments = Arc<Host>;

    async fn pre_start(
        &self,
        myself: ActorRef<DiskMsg>,
        host: Arc<Host>,
    ) -> Result<Arc<Host>, ActorProcessingErr> {
        myself.send_message(DiskMsg::Look)?;
        myself.send_interval(EVERY, || DiskMsg::Look);
        Ok(host)
    }

    async fn handle(
        &self,
        _: ActorRef<DiskMsg>,
        DiskMsg::Look: DiskMsg,
        host: &mut Arc<Host>,
    ) -> Result<(), ActorProcessingErr> {
        tokio::spawn(show(Arc::clone(host)));
        Ok(())
    }
}

/// Looks, and shows or takes back the notice. A disk that has room again gets its reserve back.
pub(crate) async fn show(host: Arc<Host>) {
    let room = host.disk.look();
    let notices = notice(room).into_iter().collect();
    let shown = host
        .network
        .notices
        .show(&host.document, Watch::Disk, notices);
    shown.await;
    if room == Room::Enough && host.reserve.lacks() > 0 {
        let reserve = host.reserve.clone();
        let held = blocking(move || reserve.hold()).await;
        if let Err(error) = held {
            tracing::warn!(%error, "the reserve was not taken again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_disk_is_full_below_one_border_and_has_room_again_above_another() {
        let full = |free| Room::Full { free: free * MIB };
        for (before, free, spare, after) in [
            (Room::Enough, 100, 100, Room::Enough),
            (Room::Enough, 16, 16, Room::Enough),
            (Room::Enough, 15, 15, full(15)),
            (full(15), 63, 63, full(63)),
            (full(15), 64, 64, Room::Enough),
            // The reserve was given up: what is free is its room.
            (Room::Enough, 70, 6, full(70)),
        ] {
            assert_eq!(
                before.step(free * MIB, spare * MIB),
                after,
                "{before:?} {free}"
            );
        }
    }

    #[test]
    fn the_notice_says_how_much_is_left_and_what_to_do() {
        let text = notice(Room::Full { free: 3 * MIB }).unwrap();
        assert!(text.contains("3 MiB left") && text.contains("delete files"));
        assert_eq!(notice(Room::Enough), None);
    }

    #[test]
    fn the_room_of_a_reserve_that_was_given_up_is_not_to_spare() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::in_folder(folder.path());
        reserve.hold();
        let disk = Disk::of(folder.path().to_owned(), reserve.clone());
        let (free, spare) = disk.measure().unwrap();
        assert_eq!(free - spare, reserve.lacks());
        reserve.give_up();
        let (free, spare) = disk.measure().unwrap();
        assert_eq!(free.saturating_sub(spare), 64 * MIB);
    }
}

//! A download through the edge that is under way while others are killed.

use std::{sync::mpsc, thread::JoinHandle};

use super::{model::Model, plan::Round, subjects::Subject};
use crate::{client::Failed, until::seconds, world::World};

/// More than fits into buffers on the way.
const MEGABYTES: usize = 24;

/// A download that has begun and waits.
pub(super) struct Held {
    go_on: mpsc::Sender<()>,
    downloading: JoinHandle<(Result<(), Failed>, usize)>,
    host: String,
}

/// Begins one from a service that nobody touches, in a round that spares what carries connections.
pub(super) fn begin(
    world: &World,
    subjects: &[Subject],
    model: &Model,
    round: &Round,
) -> Option<Held> {
    if !round.spares_connections() {
        return None;
    }
    let (_, subject) = subjects.iter().enumerate().find(|(number, subject)| {
        subject.greets() && model.fate(*number).runs() && !round.touches(*number)
    })?;
    let (client, host) = (world.client(), subject.host());
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let name = host.clone();
    let downloading = std::thread::spawn(move || {
        let mut received = 0;
        let outcome = client.download(&name, &format!("/big?mb={MEGABYTES}"), |piece| {
            if received == 0 {
                let _ = begun.send(());
                // Gone when the round has failed: then nobody asks any more.
                let _ = may_go_on.recv();
            }
            received += piece.len();
        });
        (outcome, received)
    });
    has_begun
        .recv_timeout(seconds(20))
        .unwrap_or_else(|_| panic!("no download from {host} begins"));
    Some(Held {
        go_on,
        downloading,
        host,
    })
}

impl Held {
    /// The rest of it arrives.
    pub(super) fn end(self) {
        // It may have ended, for the worse.
        let _ = self.go_on.send(());
        let (outcome, received) = self.downloading.join().unwrap();
        assert!(
            outcome.is_ok() && received == MEGABYTES * 1_000_000,
            "a download from {}, which nobody touched, ended after {received} bytes: {outcome:?}",
            self.host
        );
    }
}

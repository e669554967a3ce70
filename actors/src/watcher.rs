//! The actor that watches the document and tells those who asked to hear of a change.

use std::sync::Arc;

use patchdb::{Event, Pointer, Subscription};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    host::Host,
    service::{Changed, callbacks::touched},
};

const PACKAGES: &str = "/public/packageData";

/// Watches the document; see the module.
#[derive(Debug)]
pub(crate) struct WatcherActor;

/// Messages of the watcher.
#[derive(Debug)]
pub(crate) enum WatcherMsg {
    /// These places below `packageData` changed.
    Changed(Vec<Vec<String>>),
    /// Changes were missed: everything may have changed.
    Missed,
}

impl Actor for WatcherActor {
    type Msg = WatcherMsg;
    type State = Arc<Host>;
    type Arguments = Arc<Host>;

    async fn pre_start(
        &self,
        myself: ActorRef<WatcherMsg>,
        host: Arc<Host>,
    ) -> Result<Arc<Host>, ActorProcessingErr> {
        let subscription = host.document.store().subscribe(PACKAGES, None)?;
        tokio::spawn(read(Arc::clone(&host), subscription, myself));
        Ok(host)
    }

    async fn handle(
        &self,
        _: ActorRef<WatcherMsg>,
        message: WatcherMsg,
        host: &mut Arc<Host>,
    ) -> Result<(), ActorProcessingErr> {
        let mut changed: Vec<Changed> = match message {
            WatcherMsg::Changed(paths) => paths
                .iter()
                .flat_map(|path| touched(&path.iter().map(String::as_str).collect::<Vec<_>>()))
                .collect(),
            // Firing too much is safe: a package reads again and compares.
            WatcherMsg::Missed => {
                host.network.changed();
                host.document
                    .package_ids()
                    .iter()
                    .flat_map(|id| touched(&[id.as_str()]))
                    .collect()
            }
        };
        changed.sort();
        changed.dedup();
        if changed.iter().any(Changed::is_of_hosts) {
            host.network.changed();
        }
        host.tell_watchers(&changed);
        Ok(())
    }
}

async fn read(host: Arc<Host>, mut subscription: Subscription, actor: ActorRef<WatcherMsg>) {
    loop {
        let message = match subscription.next().await {
            Some(Event::Revision(revision)) => {
                WatcherMsg::Changed(revision.patch.iter().map(|op| segments(&op.path)).collect())
            }
            Some(Event::Resync) => match host.document.store().subscribe(PACKAGES, None) {
                Ok(again) => {
                    subscription = again;
                    WatcherMsg::Missed
                }
                Err(_) => break,
            },
            None => break,
        };
        if actor.send_message(message).is_err() {
            break;
        }
    }
}

fn segments(pointer: &Pointer) -> Vec<String> {
    pointer
        .segments()
        .map(|segment| segment.to_string())
        .collect()
}

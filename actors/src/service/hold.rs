//! Holding: what failed while something it needs is missing is not tried again until that is there.
//!
//! A hold is no state of its own: the runtime's and the container's machines are in `Held`, and the
//! [`Hold`] is what their shells keep meanwhile. It shows the hold in the document, looks once a second
//! whether it is over, and says so to the actor. Dropping it ends both, so nothing is shown as held
//! that is not, whichever way the actor leaves that state.
//!
//! A held service is at rest: it is not counted as failing, it waits as long as it takes, and its
//! owner's start tries at once, a stop lets go.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use coppice_clock::Wall;
use ractor::{ActorRef, Message};
use tokio::task::JoinSet;

pub(super) use super::explain::Obstacle;
use super::{ServiceContext, explain, records};
use crate::{
    disk,
    model::{Held, WaitsFor},
    words,
};

/// Between two looks at what is missing: a few reads from memory, one system call.
const EVERY: Duration = Duration::from_secs(1);

/// What keeps what failed of this service from being tried again, if anything does.
pub(super) fn obstacle(service: &ServiceContext) -> Option<Obstacle> {
    let document = &service.host.document;
    explain::obstacle(&service.id, service.host.disk.look(), &|id| {
        document.package(id)
    })
}

/// What a record says is done: it waits, and for what.
pub(super) fn action(obstacle: &Obstacle) -> String {
    match &obstacle.waits_for {
        WaitsFor::Dependency { id } => {
            format!("it is held until its dependency {id} is well again")
        }
        WaitsFor::Room => "it is held until there is room on the disk".to_owned(),
    }
}

/// A service that is held, for as long as this exists.
#[derive(Debug)]
pub(super) struct Hold {
    service: Arc<ServiceContext>,
    /// Ends with this.
    _watch: JoinSet<()>,
}

impl Hold {
    /// Holds the service until the obstacle is gone, and then sends `released` to its actor.
    pub(super) fn begin<M: Message>(
        service: &Arc<ServiceContext>,
        obstacle: Obstacle,
        actor: ActorRef<M>,
        released: impl Fn() -> M + Send + 'static,
    ) -> Self {
        let (watched, since) = (Arc::clone(service), Wall::now());
        if obstacle.waits_for == WaitsFor::Room {
            // The notice is up when the hold is, and not at the disk's next turn.
            tokio::spawn(disk::show(Arc::clone(&service.host)));
        }
        let mut shown = obstacle.waits_for.clone();
        show(service, Some(held(service, obstacle, since)));
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                match self::obstacle(&watched) {
                    // How little room there is changes all the time, and telling takes room.
                    Some(obstacle)
                        if obstacle.waits_for == WaitsFor::Room && shown == WaitsFor::Room => {}
                    // Nothing is written when it is the same as before.
                    Some(obstacle) => {
                        shown = obstacle.waits_for.clone();
                        show(&watched, Some(held(&watched, obstacle, since)));
                    }
                    None => {
                        tracing::info!(service = watched.id, "a hold is over");
                        // An actor that is gone has a successor that tries anyway.
                        let _ = actor.send_message(released());
                        return;
                    }
                }
            }
        });
        Self {
            service: Arc::clone(service),
            _watch: watch,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        show(&self.service, None);
    }
}

fn held(service: &ServiceContext, obstacle: Obstacle, since: Wall) -> Held {
    let Obstacle {
        waits_for,
        mut because,
    } = obstacle;
    because.iter_mut().for_each(records::cut_link);
    let why = words::explain_further(&service.id, &because);
    let way_out = match &waits_for {
        WaitsFor::Dependency { id } => {
            format!("It starts when {id} is well. Start it to try at once.")
        }
        WaitsFor::Room => "It starts when there is room on the disk: free some.".to_owned(),
    };
    Held {
        since,
        waits_for,
        because,
        reason: format!("it failed, and waits because {why}. {way_out}"),
    }
}

/// Makes this what the document shows.
fn show(service: &Arc<ServiceContext>, held: Option<Held>) {
    {
        let mut now = service.held.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == held {
            return;
        }
        *now = held;
    }
    // While the process ends there is nobody to write, and the next one forgets all holds.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let service = Arc::clone(service);
    runtime.spawn(async move {
        let shown = Arc::clone(&service);
        let written = service.update("held", move |entry| {
            // Read here, in the writer: of two that come at once, the later is what holds.
            let now = shown.held.lock().unwrap_or_else(PoisonError::into_inner);
            entry.held.clone_from(&now);
            Ok(())
        });
        if let Err(error) = written.await {
            tracing::warn!(service = service.id, %error, "a hold was not shown");
        }
    });
}

//! What serves the API: one HTTP router on the two Unix sockets that the heart holds.
//!
//! ```text
//! api.sock   (root only)  ─┐
//!                          ├─▶ router ─▶ /rpc/v1        JSON-RPC: rpc/
//! edge.sock  (the edge)   ─┘           /ws/rpc/<guid>   streams: streams.rs, on a line.rs
//!                                      /rest/rpc/<guid> uploads: upload.rs
//! ```
//!
//! Invariants: a request on `api.sock` is root's; one on `edge.sock` is whoever its session says.
//! Both doors, and every incarnation of the actor, know the same accounts: what ends a session
//! ends its streams, whichever way it was said.

mod door;
mod http;
pub(crate) mod identity;
mod line;
mod origin;
mod squeeze;
pub(crate) mod streams;
pub(crate) mod upload;
#[cfg(test)]
mod walk;

use std::{
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    routing::{any, get, post},
};
use coppice_actors::Coppice;
use coppice_supervision::ChildSpec;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use door::Entrance;

use crate::{
    Accounts,
    continuations::Continuations,
    rpc::{Sparing, Turns},
};

/// Which socket a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The root-only socket.
    Root,
    /// The edge's socket.
    Edge,
}

/// What every request has at hand, one for all of them.
pub struct Gate {
    /// The server.
    pub coppice: Coppice,
    /// Passwords and sessions.
    pub accounts: Accounts,
    pub(crate) tickets: Continuations,
    pub(crate) turns: Turns,
    /// How often a credential that opens nothing is recorded.
    pub(crate) refusals: Arc<Sparing>,
    /// Ends Coppice, not the services; `true` takes the services down first.
    pub stop: Arc<dyn Fn(bool) + Send + Sync>,
    /// Changes to the program at this path, under this name of the try.
    pub upgrade: Upgrade,
}

impl Gate {
    /// A gate of its own: nobody has a session's tickets or turns yet.
    pub(crate) fn new(
        coppice: Coppice,
        stop: Arc<dyn Fn(bool) + Send + Sync>,
        upgrade: Upgrade,
    ) -> Self {
        Self {
            accounts: Accounts::new(coppice.host().secrets.clone()),
            coppice,
            tickets: Continuations::default(),
            turns: Turns::default(),
            refusals: Arc::default(),
            stop,
            upgrade,
        }
    }
}

/// The gate, and the door that a request comes to it by.
#[derive(Clone)]
pub(crate) struct Entered {
    gate: Arc<Gate>,
    door: Door,
}

/// Asks for another program; the first argument is the name of the try.
pub type Upgrade = Arc<dyn Fn(String, PathBuf) + Send + Sync>;

/// What the gateway is started with; kept, so that it can be started again.
pub struct Doors {
    /// The root-only socket.
    pub root: UnixListener,
    /// The edge's socket.
    pub edge: UnixListener,
    /// The server, once it is up.
    pub coppice: watch::Receiver<Option<Coppice>>,
    /// Ends Coppice.
    pub stop: Arc<dyn Fn(bool) + Send + Sync>,
    /// Changes to another program.
    pub upgrade: Upgrade,
    /// How the gateway is made to end for another core.
    pub retiring: Retiring,
}

/// How a gateway is made to end for another core: nothing is accepted any more, and what was is answered.
#[derive(Clone, Debug, Default)]
pub struct Retiring {
    closed: CancellationToken,
    serving: TaskTracker,
}

impl Retiring {
    /// Closes the doors. What comes from now on waits for the next core.
    pub fn begin(&self) {
        self.closed.cancel();
        self.serving.close();
    }

    /// Waits until they are closed.
    pub async fn begun(&self) {
        self.closed.cancelled().await;
    }

    /// Waits until everything that was accepted is answered; streams are not waited for, their clients follow again.
    pub async fn ended(&self) {
        self.serving.wait().await;
    }
}

/// What outlives the actor: streams that are open do, so what ends them must.
pub struct House {
    doors: Doors,
    gate: OnceLock<Arc<Gate>>,
}

impl House {
    fn gate(&self, coppice: Coppice) -> Arc<Gate> {
        let make = || {
            let (stop, upgrade) = (
                Arc::clone(&self.doors.stop),
                Arc::clone(&self.doors.upgrade),
            );
            Arc::new(Gate::new(coppice, stop, upgrade))
        };
        Arc::clone(self.gate.get_or_init(make))
    }
}

/// The gateway as a child of the forest.
#[must_use]
pub fn child(doors: Doors) -> ChildSpec {
    let house = Arc::new(House {
        doors,
        gate: OnceLock::new(),
    });
    ChildSpec::worker("gateway", move |context| {
        let house = Arc::clone(&house);
        async move { context.spawn(GatewayActor, house).await }
    })
}

/// Serves the API; see the module.
pub struct GatewayActor;

/// Messages of the gateway.
#[derive(Debug)]
pub enum GatewayMsg {
    /// A door closed by itself.
    Failed(String),
}

/// Ends what the actor serves when the actor ends, whichever way it ends.
pub struct Serving(CancellationToken);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Actor for GatewayActor {
    type Msg = GatewayMsg;
    type State = Serving;
    type Arguments = Arc<House>;

    async fn pre_start(
        &self,
        myself: ActorRef<GatewayMsg>,
        house: Arc<House>,
    ) -> Result<Serving, ActorProcessingErr> {
        let ended = CancellationToken::new();
        for (door, listener) in [
            (Door::Root, &house.doors.root),
            (Door::Edge, &house.doors.edge),
        ] {
            let listener = listener.try_clone()?;
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let (house, ended, actor) = (Arc::clone(&house), ended.clone(), myself.clone());
            let Retiring { closed, serving } = house.doors.retiring.clone();
            serving.spawn(async move {
                let mut known = house.doors.coppice.clone();
                // Requests wait in the socket's queue until the server is up.
                let Ok(coppice) = known
                    .wait_for(Option::is_some)
                    .await
                    .map(|coppice| coppice.clone())
                else {
                    return;
                };
                let Some(coppice) = coppice else { return };
                let entrance = Entrance::new(listener, closed.clone());
                let serving = axum::serve(entrance, router(house.gate(coppice), door))
                    .with_graceful_shutdown(async move {
                        tokio::select! {
                            () = ended.cancelled() => {}
                            () = door::quiet(closed) => {}
                        }
                    });
                if let Err(error) = serving.await {
                    // An actor that is gone has a successor with doors of its own.
                    let _ = actor.send_message(GatewayMsg::Failed(error.to_string()));
                }
            });
        }
        Ok(Serving(ended))
    }

    async fn handle(
        &self,
        _: ActorRef<GatewayMsg>,
        message: GatewayMsg,
        _: &mut Serving,
    ) -> Result<(), ActorProcessingErr> {
        let GatewayMsg::Failed(why) = message;
        Err(why.into())
    }
}

/// Every route of the API. How long a body may be is said where it is read.
pub(crate) fn router(gate: Arc<Gate>, door: Door) -> Router {
    Router::new()
        .route("/rpc/v1", post(http::rpc))
        .route("/rpc/{*rest}", post(http::rpc))
        .route("/ws/rpc/{guid}", get(http::socket))
        .route("/rest/rpc/{guid}", any(http::request))
        .fallback(http::nowhere)
        .method_not_allowed_fallback(http::wrong_method)
        .with_state(Entered { gate, door })
}

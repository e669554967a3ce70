//! What serves the API: one HTTP router on the two Unix sockets that the heart holds.
//!
//! ```text
//! api.sock   (root only)  ─┐
//!                          ├─▶ router ─▶ /rpc/v1        JSON-RPC: rpc/
//! edge.sock  (the edge)   ─┘           /ws/rpc/<guid>   streams: streams.rs
//!                                      /rest/rpc/<guid> uploads: streams.rs
//! ```
//!
//! Invariant: a request on `api.sock` is root's; one on `edge.sock` is whoever its session says.

mod http;
pub(crate) mod streams;

use std::{os::unix::net::UnixListener, sync::Arc};

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    routing::{any, get, post},
};
use coppice_actors::Coppice;
use coppice_supervision::ChildSpec;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Accounts, continuations::Continuations};

/// Bytes of a JSON-RPC request.
const MAX_RPC_BODY: usize = 4 * 1024 * 1024;

/// Which socket a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The root-only socket.
    Root,
    /// The edge's socket.
    Edge,
}

/// What every request has at hand.
#[derive(Clone)]
pub struct Gate {
    /// The server.
    pub coppice: Coppice,
    /// Passwords and sessions.
    pub accounts: Accounts,
    pub(crate) tickets: Continuations,
    /// Ends Coppice, not the services; `true` takes the services down first.
    pub stop: Arc<dyn Fn(bool) + Send + Sync>,
}

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
}

/// The gateway as a child of the forest.
#[must_use]
pub fn child(doors: Doors) -> ChildSpec {
    let doors = Arc::new(doors);
    ChildSpec::worker("gateway", move |context| {
        let doors = Arc::clone(&doors);
        async move { context.spawn(GatewayActor, doors).await }
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
    type Arguments = Arc<Doors>;

    async fn pre_start(
        &self,
        myself: ActorRef<GatewayMsg>,
        doors: Arc<Doors>,
    ) -> Result<Serving, ActorProcessingErr> {
        let ended = CancellationToken::new();
        for (door, listener) in [(Door::Root, &doors.root), (Door::Edge, &doors.edge)] {
            let listener = listener.try_clone()?;
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let (doors, ended, actor) = (Arc::clone(&doors), ended.clone(), myself.clone());
            tokio::spawn(async move {
                let mut known = doors.coppice.clone();
                // Requests wait in the socket's queue until the server is up.
                let Ok(coppice) = known
                    .wait_for(Option::is_some)
                    .await
                    .map(|coppice| coppice.clone())
                else {
                    return;
                };
                let Some(coppice) = coppice else { return };
                let gate = Gate {
                    accounts: Accounts::new(coppice.host().secrets.clone()),
                    coppice,
                    tickets: Continuations::default(),
                    stop: Arc::clone(&doors.stop),
                };
                let serving = axum::serve(listener, router(gate, door))
                    .with_graceful_shutdown(async move { ended.cancelled().await });
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

/// Every route of the API.
pub(crate) fn router(gate: Gate, door: Door) -> Router {
    Router::new()
        .route("/rpc/v1", post(http::rpc))
        .route("/rpc/{*rest}", post(http::rpc))
        .route("/ws/rpc/{guid}", get(http::socket))
        .route("/rest/rpc/{guid}", any(http::request))
        .layer(DefaultBodyLimit::max(MAX_RPC_BODY))
        .layer(Extension(door))
        .with_state(gate)
}

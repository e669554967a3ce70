//! One connection: requests both ways, answers matched by id.
//!
//! Invariant: every call ends, by its answer, its deadline, or the end of the connection.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use coppice_wire::{Decoder, Id, Message, RpcError, codes, encode};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::Accepted;

/// Requests of one peer that are answered at the same time; more are refused with an error.
const MAX_IN_FLIGHT: usize = 1024;
/// Messages that may wait to be written before a sender waits too.
const WRITE_QUEUE: usize = 256;
/// A peer that takes no byte for this long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// Answers what the other side asks.
pub trait Handler: Send + Sync + 'static {
    /// A request; its answer goes back.
    fn request(
        self: Arc<Self>,
        method: String,
        params: Value,
    ) -> BoxFuture<'static, Result<Value, RpcError>>;
    /// A notification, in the order it came.
    fn notification(&self, method: String, params: Value);
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The other side answered with an error.
    #[error(transparent)]
    Refused(RpcError),
    /// The connection ended before the answer.
    #[error("the connection to the container ended")]
    Closed,
    /// No answer in time.
    #[error("`{method}` was not answered within {waited:?}")]
    Deadline {
        /// What was asked.
        method: String,
        /// How long was waited.
        waited: Duration,
    },
}

type Pending = Arc<Mutex<HashMap<i64, oneshot::Sender<Result<Value, RpcError>>>>>;

/// A live connection; clones share it.
#[derive(Clone)]
pub struct Peer {
    out: mpsc::Sender<Message>,
    pending: Pending,
    next: Arc<AtomicI64>,
    ended: CancellationToken,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("ended", &self.ended.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// Serves a connection that said hello.
    pub fn serve(accepted: Accepted, handler: Arc<dyn Handler>) -> Self {
        let Accepted {
            stream,
            decoder,
            slot,
            ..
        } = accepted;
        let (read, write) = stream.into_split();
        let (out, queue) = mpsc::channel(WRITE_QUEUE);
        let peer = Self {
            out,
            pending: Pending::default(),
            next: Arc::new(AtomicI64::new(1)),
            ended: CancellationToken::new(),
        };
        tokio::spawn(write_loop(write, queue, peer.ended.clone()));
        let serving = peer.clone();
        tokio::spawn(async move {
            read_loop(read, decoder, handler, serving).await;
            drop(slot);
        });
        peer
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(
        &self,
        method: &str,
        params: Value,
        patience: Duration,
    ) -> Result<Value, CallError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.pending().insert(id, answer);
        let request = Message::Request {
            id: Id::Number(id),
            method: method.to_owned(),
            params,
        };
        let outcome = tokio::select! {
            () = self.ended.cancelled() => Err(CallError::Closed),
            outcome = tokio::time::timeout(patience, async {
                self.out.send(request).await.map_err(|_| CallError::Closed)?;
                answered.await.map_err(|_| CallError::Closed)?.map_err(CallError::Refused)
            }) => outcome.unwrap_or_else(|_| Err(CallError::Deadline {
                method: method.to_owned(),
                waited: patience,
            })),
        };
        self.pending().remove(&id);
        outcome
    }

    /// Tells; waits only while the write queue is full.
    pub async fn notify(&self, method: &str, params: Value) {
        let message = Message::Notification {
            method: method.to_owned(),
            params,
        };
        // A peer that is gone needs no telling: what it would have done is done on its return.
        let _ = self.out.send(message).await;
    }

    /// Whether this is the same connection.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pending, &other.pending)
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.ended.cancel();
    }

    /// Resolves when the connection has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    fn pending(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<i64, oneshot::Sender<Result<Value, RpcError>>>> {
        // A panic while the map is held leaves it whole: every change is one call.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_loop(
    mut write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Message>,
    ended: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            () = ended.cancelled() => break,
            message = queue.recv() => match message {
                Some(message) => message,
                None => break,
            },
        };
        let line = match encode(&message) {
            Ok(line) => line,
            Err(error) => {
                tracing::warn!(%error, "a message to a container was dropped");
                continue;
            }
        };
        match tokio::time::timeout(WRITE_DEADLINE, write.write_all(&line)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    ended.cancel();
}

async fn read_loop(
    mut read: OwnedReadHalf,
    mut decoder: Decoder,
    handler: Arc<dyn Handler>,
    peer: Peer,
) {
    let in_flight = Arc::new(AtomicUsize::new(0));
    let mut buffer = vec![0; 64 * 1024];
    'connection: loop {
        while let Some(decoded) = decoder.next() {
            match decoded {
                Ok(message) => dispatch(message, &handler, &peer, &in_flight),
                Err(error) if error.is_fatal() => {
                    tracing::warn!(%error, "closing a container's connection");
                    break 'connection;
                }
                Err(error) => tracing::warn!(%error, "ignoring a line from a container"),
            }
        }
        let length = tokio::select! {
            () = peer.ended.cancelled() => break,
            length = read.read(&mut buffer) => length.unwrap_or(0),
        };
        if length == 0 {
            // The other side may have closed only its writing half: answers under way still go out.
            while in_flight.load(Ordering::Acquire) > 0 && !peer.ended.is_cancelled() {
                tokio::select! {
                    () = peer.ended.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            }
            break;
        }
        decoder.push(&buffer[..length]);
    }
    peer.ended.cancel();
    peer.pending().clear();
}

fn dispatch(
    message: Message,
    handler: &Arc<dyn Handler>,
    peer: &Peer,
    in_flight: &Arc<AtomicUsize>,
) {
    match message {
        Message::Request { id, method, params } => {
            let handler = Arc::clone(handler);
            let out = peer.out.clone();
            let in_flight = Arc::clone(in_flight);
            let crowded = in_flight.fetch_add(1, Ordering::AcqRel) >= MAX_IN_FLIGHT;
            tokio::spawn(async move {
                let result = if crowded {
                    Err(RpcError::new(
                        codes::INVALID_REQUEST,
                        format!(
                            "more than {MAX_IN_FLIGHT} requests are under way; wait for some to end"
                        ),
                    ))
                } else {
                    handler.request(method, params).await
                };
                // Nobody is left to read the answer when this fails.
                let _ = out.send(Message::response(id, result)).await;
                in_flight.fetch_sub(1, Ordering::AcqRel);
            });
        }
        Message::Notification { method, params } => handler.notification(method, params),
        Message::Response {
            id: Some(Id::Number(id)),
            result,
        } => {
            if let Some(waiting) = peer.pending().remove(&id) {
                // The caller's patience may have ended in this very moment.
                let _ = waiting.send(result);
            }
        }
        Message::Response { result, .. } => {
            tracing::warn!(?result, "an answer without a number we gave");
        }
    }
}

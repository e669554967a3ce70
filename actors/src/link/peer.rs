//! One connection: requests both ways, answers matched by id.
//!
//! Invariants: every call ends, by its answer, its deadline, or the end of the connection; what
//! waits to be written never exceeds the service's budget.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use coppice_wire::{EncodeError, Id, MAX_LINE_BYTES, Message, RpcError, codes, encode};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{Accepted, budget::Admitted, intake::Intake, listener::Connection};

/// What a message costs that waits to be written, beside its bytes.
const WAITING_BYTES: usize = 128;
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
    /// The question is too long to be asked.
    #[error("`{method}` would take {size} bytes, and {MAX_LINE_BYTES} is the most; send less")]
    TooLong {
        /// What was to be asked.
        method: String,
        /// Bytes of the line.
        size: usize,
    },
}

/// An answer on its way to the caller.
pub(super) struct Answered {
    pub(super) result: Result<Value, RpcError>,
    /// Its place in the budget, until the caller has it.
    pub(super) held: Admitted,
}

/// A line on its way to the other side.
struct Outgoing {
    line: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

type Pending = Arc<Mutex<BTreeMap<i64, oneshot::Sender<Answered>>>>;

/// A live connection; clones share it.
#[derive(Clone)]
pub struct Peer {
    /// Bounded by `unread`, of which every message holds its part. A bound of its own would let an answer
    /// that waits for a place be overtaken by the next one.
    out: mpsc::UnboundedSender<Outgoing>,
    /// Bytes that may wait to be written, over all connections of the service.
    unread: Arc<Semaphore>,
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
            connection: Connection { read, write, .. },
            decoder,
            share,
            seat,
            ..
        } = accepted;
        let (out, queue) = mpsc::unbounded_channel();
        let peer = Self {
            out,
            unread: Arc::clone(&share.unread),
            pending: Pending::default(),
            next: Arc::new(AtomicI64::new(1)),
            ended: CancellationToken::new(),
        };
        tokio::spawn(write_loop(write, queue, peer.ended.clone()));
        let intake = Intake {
            peer: peer.clone(),
            share,
            handler,
        };
        tokio::spawn(async move {
            intake.run(read, decoder).await;
            drop(seat);
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
        let request = Message::Request {
            id: Id::Number(id),
            method: method.to_owned(),
            params,
        };
        let line = match encode(&request) {
            Ok(line) => line,
            Err(EncodeError::TooLong { size }) => {
                let method = method.to_owned();
                return Err(CallError::TooLong { method, size });
            }
            Err(EncodeError::NotJson(error)) => {
                let refusal = RpcError::invalid_params(method, &error);
                return Err(CallError::Refused(refusal));
            }
        };
        drop(request);
        let (answer, answered) = oneshot::channel();
        self.pending().insert(id, answer);
        let _forgotten = Forget { peer: self, id };
        tokio::select! {
            biased;
            outcome = tokio::time::timeout(patience, async {
                self.send(line).await?;
                let Answered { result, held } = answered.await.map_err(|_| CallError::Closed)?;
                drop(held);
                result.map_err(CallError::Refused)
            }) => outcome.unwrap_or_else(|_| Err(CallError::Deadline {
                method: method.to_owned(),
                waited: patience,
            })),
            // An answer that came before the end is one.
            () = self.ended.cancelled() => Err(CallError::Closed),
        }
    }

    /// Tells; waits only while the other side does not read what it was told.
    pub async fn notify(&self, method: &str, params: Value) {
        let message = Message::Notification {
            method: method.to_owned(),
            params,
        };
        match encode(&message) {
            // A peer that is gone needs no telling: what it would have done is done on its return.
            Ok(line) => drop(self.send(line).await),
            Err(error) => tracing::warn!(%error, method, "a container was not told"),
        }
    }

    /// Tells, unless the other side does not read what it was told before. For what is said again
    /// anyhow.
    pub fn mention(&self, method: &str, params: Value) {
        let message = Message::Notification {
            method: method.to_owned(),
            params,
        };
        let Ok(line) = encode(&message) else { return };
        if let Ok(room) = Arc::clone(&self.unread).try_acquire_many_owned(size(&line)) {
            // A peer that is gone needs no telling.
            let _ = self.queue(line, room);
        }
    }

    /// Answers request `id`. An answer that finds no room, since the other side does not read the
    /// ones before it, or that is too long for any line, becomes an error that says so: it cannot
    /// wait for room, or a few hundred great answers would wait with it.
    pub(super) async fn answer(&self, id: Id, result: Result<Value, RpcError>) {
        let refusal = match encode(&Message::response(id.clone(), result)) {
            Ok(line) => match Arc::clone(&self.unread).try_acquire_many_owned(size(&line)) {
                Ok(room) => {
                    // Nobody is left to read the answer when this fails.
                    let _ = self.queue(line, room);
                    return;
                }
                Err(TryAcquireError::Closed) => return,
                Err(TryAcquireError::NoPermits) => {
                    "too many answers were not read yet; read them before you ask for more"
                        .to_owned()
                }
            },
            Err(error) => format!("there is an answer, but it cannot be sent: {error}"),
        };
        let refusal = RpcError::new(codes::INVALID_REQUEST, refusal);
        if let Ok(line) = encode(&Message::response(id, Err(refusal))) {
            // As above.
            let _ = self.send(line).await;
        }
    }

    /// Whether somebody waits for the answer to call `id`.
    pub(super) fn waits_for(&self, id: i64) -> bool {
        self.pending().contains_key(&id)
    }

    /// The answer to call `id` is here.
    pub(super) fn answered(&self, id: i64, answer: Answered) {
        if let Some(waiting) = self.pending().remove(&id) {
            // The caller's patience may have ended in this very moment.
            let _ = waiting.send(answer);
        }
    }

    /// What says that the connection ends.
    pub(super) fn ending(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// The other side is gone: nobody will be answered any more.
    pub(super) fn over(&self) {
        self.ended.cancel();
        self.pending().clear();
    }

    async fn send(&self, line: Vec<u8>) -> Result<(), CallError> {
        let room = tokio::select! {
            biased;
            () = self.ended.cancelled() => return Err(CallError::Closed),
            room = Arc::clone(&self.unread).acquire_many_owned(size(&line)) => room,
        };
        self.queue(line, room.map_err(|_| CallError::Closed)?)
    }

    fn queue(&self, line: Vec<u8>, room: OwnedSemaphorePermit) -> Result<(), CallError> {
        let sent = self.out.send(Outgoing { line, _room: room });
        sent.map_err(|_| CallError::Closed)
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

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, oneshot::Sender<Answered>>> {
        // A panic while the map is held leaves it whole: every change is one call.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a call off the list, also when its caller went away meanwhile.
struct Forget<'a> {
    peer: &'a Peer,
    id: i64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.peer.pending().remove(&self.id);
    }
}

/// What a line costs while it waits; no line has too many bytes for this.
fn size(line: &[u8]) -> u32 {
    u32::try_from(line.len() + WAITING_BYTES).unwrap_or(u32::MAX)
}

async fn write_loop(
    mut write: impl AsyncWrite + Unpin,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    ended: CancellationToken,
) {
    loop {
        let outgoing = tokio::select! {
            biased;
            () = ended.cancelled() => break,
            outgoing = queue.recv() => match outgoing {
                Some(outgoing) => outgoing,
                None => break,
            },
        };
        match tokio::time::timeout(WRITE_DEADLINE, write.write_all(&outgoing.line)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    ended.cancel();
}

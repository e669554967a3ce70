//! What a connection says: read as fast as the service's budget allows, and handed on.
//!
//! Invariant: nothing is made of a line before it was weighed and let in. A line that is not let in
//! yet is not skipped either: whatever came after it waits in the socket.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use coppice_wire::{
    DecodeError, Decoder, Id, Message, Outline, RpcError, codes, decode, is_blank, outline, weight,
};
use futures_util::{FutureExt, poll};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use super::{
    budget::{Admitted, Share},
    peer::{Answered, Handler, Peer},
};
use crate::text::cut;

/// Read at once from one connection. Most say little, and there are two for each service.
const FIRST_READ_BYTES: usize = 2 * 1024;
/// The same once a connection had that much to say.
const READ_BYTES: usize = 16 * 1024;
/// An unfinished line of more bytes than this is a long one, of which a service may have few.
const SHORT_LINE_BYTES: usize = 32 * 1024;
/// From the first long piece of a line to its end.
const LONG_LINE_DEADLINE: Duration = Duration::from_secs(30);
/// Longest method name and longest id of a request, in bytes; ours have some thirty.
const NAME_BYTES: usize = 128;
/// What is kept of an error's message, in bytes: it is shown, stored and sent to every browser.
const MESSAGE_BYTES: usize = 2048;
/// What is kept of the text beside an error's message, in bytes.
const DETAIL_BYTES: usize = 8192;

/// Reads one connection until it ends.
pub(super) struct Intake {
    pub(super) peer: Peer,
    pub(super) share: Arc<Share>,
    pub(super) handler: Arc<dyn Handler>,
}

/// The right to have an unfinished long line, for a while.
struct LongLine {
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Intake {
    pub(super) async fn run(self, read: impl AsyncRead + Unpin, decoder: Decoder) {
        let ended = self.peer.ending();
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            why = self.read(read, decoder) => if let Some(why) = why {
                tracing::warn!(why, "closing a container's connection");
            },
        }
        self.peer.over();
    }

    /// Gives why the connection has to be closed; `None` when the other side did it.
    async fn read(
        &self,
        mut read: impl AsyncRead + Unpin,
        mut decoder: Decoder,
    ) -> Option<&'static str> {
        let mut buffer = vec![0; FIRST_READ_BYTES];
        let mut long: Option<LongLine> = None;
        loop {
            while let Some(line) = decoder.next_line() {
                match line {
                    Ok(line) if is_blank(line) => {}
                    Ok(line) => self.take(line).await,
                    Err(_) => return Some("a line was too long"),
                }
            }
            if decoder.partial_bytes() <= SHORT_LINE_BYTES {
                long = None;
            } else if long.is_none() {
                let place = Arc::clone(&self.share.long_lines).acquire_owned().await;
                long = Some(LongLine {
                    until: Instant::now() + LONG_LINE_DEADLINE,
                    _place: place.ok()?,
                });
            }
            let length = match &long {
                None => read.read(&mut buffer).await,
                Some(long) => match timeout_at(long.until, read.read(&mut buffer)).await {
                    Ok(length) => length,
                    Err(_) => return Some("a long line was not finished in time"),
                },
            };
            match length {
                Ok(0) | Err(_) => return None,
                Ok(length) => {
                    decoder.push(&buffer[..length]);
                    if length == buffer.len() {
                        buffer.resize(READ_BYTES, 0);
                    }
                }
            }
        }
    }

    /// Waits until the line may come in, and hands it on.
    async fn take(&self, line: &[u8]) {
        match outline(line) {
            Ok(Outline::Request(id)) if !is_long(&id) => self.request(id, line).await,
            Ok(Outline::Notification) => self.notification(line).await,
            Ok(Outline::Response(Some(Id::Number(id)))) => self.answer(id, line).await,
            // Not quoted: it may be long, and a secret.
            Ok(_) => self.ignore(line, "its id is none of ours").await,
            Err(error) => self.ignore(line, words(&error)).await,
        }
    }

    /// A line that comes to nothing takes its time nevertheless.
    async fn ignore(&self, line: &[u8], why: &'static str) {
        drop(self.share.asks.admit(0, line.len()).await);
        tracing::warn!(why, "ignoring a line from a container");
    }

    async fn request(&self, id: Id, line: &[u8]) {
        let weight = weight(line);
        let heaviest = self.share.asks.heaviest();
        if weight > heaviest {
            let admitted = self.share.asks.admit(0, line.len()).await;
            self.refuse(id, too_heavy(weight, heaviest), admitted);
            return;
        }
        let admitted = self.share.asks.admit(weight, line.len()).await;
        match decode(line) {
            Ok(Message::Request { id, method, params }) if method.len() <= NAME_BYTES => {
                let (peer, handler) = (self.peer.clone(), Arc::clone(&self.handler));
                begin(async move {
                    let answered = AssertUnwindSafe(handler.request(method, params));
                    let result = answered.catch_unwind().await;
                    peer.answer(id, result.unwrap_or_else(|_| Err(crashed())))
                        .await;
                    drop(admitted);
                })
                .await;
            }
            Ok(Message::Request { id, method, .. }) => {
                self.refuse(id, RpcError::method_not_found(&method), admitted);
            }
            Ok(_) => tracing::warn!("a line from a container is no request after all"),
            Err(error) => {
                tracing::warn!(why = words(&error), "refusing a request from a container");
                let refusal = RpcError::new(codes::BAD_MESSAGE, error.to_string());
                self.refuse(id, refusal, admitted);
            }
        }
    }

    /// Beside the reading, since the other side may first want to be read itself.
    fn refuse(&self, id: Id, why: RpcError, admitted: Admitted) {
        let peer = self.peer.clone();
        tokio::spawn(async move {
            peer.answer(id, Err(why)).await;
            drop(admitted);
        });
    }

    async fn notification(&self, line: &[u8]) {
        let weight = weight(line);
        if weight > self.share.asks.heaviest() {
            return self.ignore(line, "it is made of too many values").await;
        }
        let _admitted = self.share.asks.admit(weight, line.len()).await;
        match decode(line) {
            Ok(Message::Notification { method, params }) if method.len() <= NAME_BYTES => {
                self.handler.notification(method, params);
            }
            _ => tracing::warn!("ignoring a notification from a container"),
        }
    }

    async fn answer(&self, id: i64, line: &[u8]) {
        // Not an error: the caller's patience may have ended.
        if !self.peer.waits_for(id) {
            drop(self.share.answers.admit(0, line.len()).await);
            return;
        }
        let weight = weight(line);
        let heaviest = self.share.answers.heaviest();
        if weight > heaviest {
            let held = self.share.answers.admit(0, line.len()).await;
            let result = Err(too_heavy(weight, heaviest));
            self.peer.answered(id, Answered { result, held });
            return;
        }
        let held = self.share.answers.admit(weight, line.len()).await;
        let result = match decode(line) {
            Ok(Message::Response { result, .. }) => result.map_err(bounded),
            // Said to the caller, who would wait in vain for another.
            Ok(_) | Err(_) => Err(RpcError::new(
                codes::BAD_MESSAGE,
                "the container's answer could not be read; restart the service",
            )),
        };
        self.peer.answered(id, Answered { result, held });
    }
}

/// Begins a piece of work in its turn, and lets it go on by itself where it has to wait.
///
/// Packages rely on it: the SDK reports `waiting` and then `starting`, and stops or starts a daemon when
/// each was answered. Were the two begun side by side, the answers could come the wrong way round, and
/// the daemon would stay down.
async fn begin(work: impl Future<Output = ()> + Send + 'static) {
    let mut work = Box::pin(work);
    // Unconstrained, or a reader that has done much would see work wait that need not.
    if poll!(tokio::task::unconstrained(&mut work)).is_pending() {
        tokio::spawn(work);
    }
}

fn crashed() -> RpcError {
    RpcError::new(
        codes::UNKNOWN,
        "the effect failed inside Coppice, whose log has more; restart the service if it waits for it",
    )
}

fn is_long(id: &Id) -> bool {
    matches!(id, Id::Text(text) if text.len() > NAME_BYTES)
}

/// What a line's trouble was, without a word of the line itself.
const fn words(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::TooLong { .. } => "it is too long",
        DecodeError::NotJson(_) => "it is not JSON",
        DecodeError::NotAMessage(_) => "it is not a JSON-RPC 2.0 message",
    }
}

fn too_heavy(weight: usize, heaviest: usize) -> RpcError {
    RpcError::new(
        codes::INVALID_REQUEST,
        format!(
            "the message is made of so many values that reading it could take {weight} bytes, and \
             {heaviest} is the most; send less at once"
        ),
    )
}

/// An error as it is kept: what package code throws may be of any length.
fn bounded(mut error: RpcError) -> RpcError {
    cut(&mut error.message, MESSAGE_BYTES);
    error.data = error.data.take().map(|data| match data {
        serde_json::Value::String(mut text) => {
            cut(&mut text, DETAIL_BYTES);
            text.into()
        }
        serde_json::Value::Object(mut members) => {
            let kept = ["details", "debug"].into_iter().filter_map(|name| {
                let mut text = match members.remove(name)? {
                    serde_json::Value::String(text) => text,
                    _ => return None,
                };
                cut(&mut text, DETAIL_BYTES);
                Some((name.to_owned(), text.into()))
            });
            serde_json::Value::Object(kept.collect())
        }
        _ => serde_json::Value::Null,
    });
    error
}

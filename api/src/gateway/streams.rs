//! What flows over a WebSocket or comes as a body: the document, logs, uploads and their progress.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{
        Request,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use coppice_actors::{
    Coppice, Problem,
    jobs::Source,
    logs::{Cursor, ServiceLogs},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use patchdb::{PublicEvent, PublicSubscription};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, sync::watch};

use crate::rpc::logs::entry;

/// A quiet stream is pinged this often, and dropped when the pong does not come in time.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How often a followed log is looked at.
const LOG_POLL: Duration = Duration::from_millis(200);
/// Lines read at a time.
const LOG_BATCH: usize = 1000;
/// Bytes of an uploaded package.
const MAX_UPLOAD: u64 = 64 * 1024 * 1024 * 1024;
/// Progress frames of an upload come at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

const NORMAL: u16 = 1000;
const FAILED: u16 = 1011;

async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    // A close frame has room for 123 bytes of reason.
    let mut reason = reason.to_owned();
    while reason.len() > 123 {
        reason.pop();
    }
    // The other side may be gone already, which is what is wanted.
    let _ = socket
        .send(Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })))
        .await;
}

/// What a stream waits for while it has nothing to say; `false` when the other side is gone.
async fn idle(socket: &mut WebSocket) -> bool {
    match tokio::time::timeout(PING_EVERY, socket.recv()).await {
        Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => false,
        Ok(Some(Ok(_))) => true,
        Err(_) => socket.send(Message::Ping(Vec::new().into())).await.is_ok(),
    }
}

/// Revisions of the document, one frame each.
pub(crate) async fn document(mut socket: WebSocket, mut subscription: PublicSubscription) {
    loop {
        tokio::select! {
            event = subscription.next() => match event {
                Some(PublicEvent::Frame(frame)) => {
                    if socket.send(Message::Text(frame.as_str().into())).await.is_err() {
                        return;
                    }
                }
                Some(PublicEvent::Resync) => return close(socket, FAILED, "too far behind: subscribe again").await,
                None => return close(socket, NORMAL, "complete").await,
            },
            alive = idle(&mut socket) => if !alive {
                return;
            },
        }
    }
}

/// Log lines from a position on, one frame each.
pub(crate) async fn logs(mut socket: WebSocket, logs: ServiceLogs, mut cursor: Cursor) {
    let mut tick = tokio::time::interval(LOG_POLL);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let (reader, from) = (logs.clone(), cursor);
                let lines = tokio::task::spawn_blocking(move || reader.after(from, LOG_BATCH)).await;
                let Ok(Ok(lines)) = lines else {
                    return close(socket, FAILED, "the logs cannot be read").await;
                };
                for line in lines {
                    cursor = line.next;
                    if socket.send(Message::Text(entry(&line).to_string().into())).await.is_err() {
                        return;
                    }
                }
            }
            alive = idle(&mut socket) => if !alive {
                return;
            },
        }
    }
}

/// How an upload and its installation stand.
#[derive(Clone, Debug)]
pub(crate) enum Upload {
    Waiting,
    Receiving { done: u64, total: Option<u64> },
    Installing,
    Done,
    Failed(Problem),
}

impl Upload {
    fn frame(&self) -> Value {
        let phases = |upload: Value, install: Value, overall: Value| {
            json!({ "overall": overall, "phases": [
                { "name": "Uploading", "progress": upload },
                { "name": "Installing", "progress": install },
            ] })
        };
        match self {
            Self::Waiting | Self::Failed(_) => phases(Value::Null, Value::Null, json!(false)),
            Self::Receiving { done, total } => phases(
                json!({ "done": done, "total": total, "units": "bytes" }),
                Value::Null,
                json!(false),
            ),
            Self::Installing => phases(json!(true), json!(false), json!(false)),
            Self::Done => phases(json!(true), json!(true), json!(true)),
        }
    }
}

/// Progress of an upload until it is installed or refused.
pub(crate) async fn upload_progress(mut socket: WebSocket, mut progress: watch::Receiver<Upload>) {
    loop {
        let now = progress.borrow_and_update().clone();
        if socket
            .send(Message::Text(now.frame().to_string().into()))
            .await
            .is_err()
        {
            return;
        }
        match now {
            Upload::Done => return close(socket, NORMAL, "complete").await,
            Upload::Failed(problem) => return close(socket, FAILED, &problem.details).await,
            Upload::Waiting | Upload::Receiving { .. } | Upload::Installing => {}
        }
        tokio::time::sleep(PROGRESS_EVERY).await;
        tokio::select! {
            changed = progress.changed() => if changed.is_err() {
                return close(socket, FAILED, "the upload ended").await;
            },
            alive = idle(&mut socket) => if !alive {
                return;
            },
        }
    }
}

/// Takes a package that is sent as a body, then installs it. The answer to the sender comes when
/// the body is here; how the installation goes is told by the progress.
pub(crate) fn upload(
    coppice: Coppice,
    progress: watch::Sender<Upload>,
) -> impl FnOnce(Request<Body>) -> BoxFuture<'static, Response> + Send {
    move |request| {
        async move {
            match receive(&coppice, request, &progress).await {
                Ok(source) => {
                    tokio::spawn(async move {
                        progress.send_replace(Upload::Installing);
                        let installed = coppice.install(source).await;
                        progress.send_replace(match installed {
                            Ok(_) => Upload::Done,
                            Err(problem) => Upload::Failed(problem),
                        });
                        // A progress that nobody watches yet waits for its watcher.
                        progress.closed().await;
                    });
                    StatusCode::NO_CONTENT.into_response()
                }
                Err(problem) => {
                    let text = problem.details.clone();
                    progress.send_replace(Upload::Failed(problem));
                    (StatusCode::BAD_REQUEST, text).into_response()
                }
            }
        }
        .boxed()
    }
}

async fn receive(
    coppice: &Coppice,
    request: Request<Body>,
    progress: &watch::Sender<Upload>,
) -> Result<Source, Problem> {
    let announced = request.headers().get(axum::http::header::CONTENT_LENGTH);
    let total: Option<u64> = announced
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse().ok());
    if total.is_some_and(|total| total > MAX_UPLOAD) {
        return Err(Problem::invalid(
            "the package is larger than 64 GiB, the most that can be uploaded",
        ));
    }
    let name = data_encoding::BASE32_NOPAD.encode(&rand::random::<[u8; 10]>());
    let path = coppice.upload_folder().join(format!("{name}.s9pk"));
    let received = write_body(&path, request, total, progress).await;
    if received.is_err() {
        // Nothing of a broken upload is kept; the next start would remove it too.
        let _ = tokio::fs::remove_file(&path).await;
    }
    received.map(|()| Source::Upload(path))
}

async fn write_body(
    path: &std::path::Path,
    request: Request<Body>,
    total: Option<u64>,
    progress: &watch::Sender<Upload>,
) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(
            coppice_actors::Kind::Filesystem,
            format!("the upload could not be kept: {error}; free some space and try again"),
        )
    };
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    let mut body = request.into_body().into_data_stream();
    let mut done = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::invalid(format!("the upload broke off: {error}; send it again"))
        })?;
        done += chunk.len() as u64;
        if done > MAX_UPLOAD || total.is_some_and(|total| done > total) {
            return Err(Problem::invalid(
                "the upload is longer than it was announced",
            ));
        }
        file.write_all(&chunk).await.map_err(failed)?;
        progress.send_replace(Upload::Receiving { done, total });
    }
    if total.is_some_and(|total| done != total) {
        return Err(Problem::invalid("the upload broke off; send it again"));
    }
    file.flush().await.map_err(failed)
}

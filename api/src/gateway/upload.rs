//! A package that is sent as a body, and its installation.
//!
//! Invariants: a body that stops coming ends; of one that did not come whole nothing is kept,
//! whichever way it ended, be it that the sender hung up or the session ended.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use coppice_actors::{Kind, Problem, jobs::Source};
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, sync::watch, time::timeout};

use super::http::refused;
use crate::rpc::{Context, audit};

/// Bytes of an uploaded package.
const MAX_UPLOAD: u64 = 64 * 1024 * 1024 * 1024;
/// The method that gives the ticket, as it is recorded.
const METHOD: &str = "package.sideload";
/// How long an upload may bring nothing.
const STALLED: Duration = Duration::from_secs(60);

/// Removes a file of an upload that did not come whole. The next start would remove it, too.
struct Partial(Option<PathBuf>);

impl Partial {
    fn whole(mut self) -> Option<PathBuf> {
        self.0.take()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // It may never have been made.
            let _ = std::fs::remove_file(path);
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
    pub(crate) fn frame(&self) -> Value {
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

/// Takes a package that is sent as a body, then installs it. The answer to the sender comes when
/// the body is here; how the installation goes is told by the progress.
pub(crate) fn upload(
    context: Arc<Context>,
    progress: watch::Sender<Upload>,
) -> impl FnOnce(Request<Body>) -> BoxFuture<'static, Response> + Send {
    move |request| {
        async move {
            match receive(&context, request, &progress).await {
                Ok(source) => {
                    tokio::spawn(install(context, source, progress));
                    StatusCode::NO_CONTENT.into_response()
                }
                Err(problem) => {
                    audit::record(
                        &context,
                        &context.caller,
                        METHOD,
                        None,
                        Some(problem.kind.code()),
                    )
                    .await;
                    let response = refused(&problem);
                    progress.send_replace(Upload::Failed(problem));
                    response
                }
            }
        }
        .boxed()
    }
}

async fn install(context: Arc<Context>, source: Source, progress: watch::Sender<Upload>) {
    progress.send_replace(Upload::Installing);
    let installed = context.gate.coppice.install(source).await;
    let (object, error) = match &installed {
        Ok(installed) => (Some(installed.id.clone()), None),
        Err(problem) => (None, Some(problem.kind.code())),
    };
    audit::record(&context, &context.caller, METHOD, object, error).await;
    progress.send_replace(match installed {
        Ok(_) => Upload::Done,
        Err(problem) => Upload::Failed(problem),
    });
    // A progress that nobody watches yet waits for its watcher.
    progress.closed().await;
}

async fn receive(
    context: &Context,
    request: Request<Body>,
    progress: &watch::Sender<Upload>,
) -> Result<Source, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let total: Option<u64> = announced
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse().ok());
    if total.is_some_and(|total| total > MAX_UPLOAD) {
        return Err(Problem::invalid(
            "the package is larger than 64 GiB, the most that can be uploaded; \
             copy it to the server and run `coppice package install` there",
        ));
    }
    let name = data_encoding::BASE32_NOPAD.encode(&rand::random::<[u8; 10]>());
    let folder = context.gate.coppice.upload_folder();
    write_body(
        &folder.join(format!("{name}.s9pk")),
        request.into_body(),
        total,
        progress,
    )
    .await
    .map(Source::Upload)
}

/// Writes a body to a file; gives the file when all of it is there.
async fn write_body(
    path: &Path,
    body: Body,
    total: Option<u64>,
    progress: &watch::Sender<Upload>,
) -> Result<PathBuf, Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(
            Kind::Filesystem,
            format!("the upload could not be kept: {error}; free some space and try again"),
        )
    };
    let partial = Partial(Some(path.to_owned()));
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    let mut body = body.into_data_stream();
    let mut done = 0;
    loop {
        let chunk = timeout(STALLED, body.next()).await.map_err(|_| {
            Problem::new(
                Kind::Timeout,
                format!(
                    "the upload brought nothing for {} s; send it again",
                    STALLED.as_secs()
                ),
            )
        })?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|error| {
            Problem::invalid(format!("the upload broke off: {error}; send it again"))
        })?;
        done += chunk.len() as u64;
        if done > MAX_UPLOAD || total.is_some_and(|total| done > total) {
            return Err(Problem::invalid(
                "the upload is longer than it was announced, or than 64 GiB; send it again",
            ));
        }
        file.write_all(&chunk).await.map_err(failed)?;
        progress.send_replace(Upload::Receiving { done, total });
    }
    if total.is_some_and(|total| done != total) {
        return Err(Problem::invalid("the upload broke off; send it again"));
    }
    file.flush().await.map_err(failed)?;
    Ok(partial.whole().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream;

    use super::*;

    fn begun() -> stream::Chain<
        stream::Once<std::future::Ready<std::io::Result<Bytes>>>,
        stream::Pending<std::io::Result<Bytes>>,
    > {
        let piece = Ok(Bytes::from_static(b"magic"));
        stream::once(std::future::ready(piece)).chain(stream::pending())
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_brings_nothing_more_ends_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.s9pk");
        let (progress, _watched) = watch::channel(Upload::Waiting);
        let stalled = write_body(&path, Body::from_stream(begun()), None, &progress).await;
        assert_eq!(stalled.unwrap_err().kind, Kind::Timeout);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn an_upload_whose_sender_hangs_up_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.s9pk");
        let (progress, mut watched) = watch::channel(Upload::Waiting);
        let mut writing = Box::pin(write_body(
            &path,
            Body::from_stream(begun()),
            None,
            &progress,
        ));
        tokio::select! {
            _ = &mut writing => panic!("it has no end"),
            _ = watched.changed() => assert!(path.exists()),
        }
        drop(writing);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_whole_upload_is_kept_and_a_short_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.s9pk");
        let (progress, _watched) = watch::channel(Upload::Waiting);
        let short = write_body(&path, Body::from("magic"), Some(6), &progress).await;
        assert_eq!(short.unwrap_err().kind, Kind::InvalidRequest);
        assert!(!path.exists());
        let whole = write_body(&path, Body::from("magic"), Some(5), &progress).await;
        assert_eq!(std::fs::read(whole.unwrap()).unwrap(), b"magic");
    }
}

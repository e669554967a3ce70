//! Calls to a server: over the root-only socket of this machine, or over HTTPS to another one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Response, body::Frame, body::Incoming, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};
use tokio_tungstenite::tungstenite::{
    Message, client::IntoClientRequest, protocol::frame::coding::CloseCode,
};
use tokio_util::io::ReaderStream;

use super::{Common, find, remote::Remote};

/// Bytes of a file that are sent at a time.
const PIECE: usize = 256 * 1024;

/// The server refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .details.as_deref().unwrap_or(.message))]
pub struct CallError {
    /// Number of the kind of problem.
    pub code: i64,
    /// Its kind in words.
    pub message: String,
    /// What failed, on what, and the next step.
    pub details: Option<String>,
}

impl CallError {
    fn of(error: &Value) -> Self {
        Self {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            details: error["data"]["details"].as_str().map(str::to_owned),
        }
    }
}

/// There was a server, and it did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub(super) String);

impl NoAnswer {
    /// It took no connection.
    pub(super) const HUNG_UP: &'static str = "the server hung up; try again";

    pub(super) fn because(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// A connection, of whichever kind.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// The way to a server.
#[derive(Clone, Debug)]
enum Way {
    /// The root-only socket of a server of this machine.
    Here(PathBuf),
    /// Another machine.
    There(Box<Remote>),
}

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Client(Way);

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

impl Client {
    /// The server that the command line means.
    pub(super) fn of(common: &Common) -> anyhow::Result<Self> {
        match &common.host {
            Some(host) => Ok(Self(Way::There(Box::new(Remote::of(common, host)?)))),
            None => Self::here(common.data_dir.as_deref()),
        }
    }

    /// The server of this machine with that data folder, or the only one.
    pub(super) fn here(data_dir: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self(Way::Here(find::socket(data_dir)?)))
    }

    /// Another machine's.
    pub(super) fn there(remote: Remote) -> Self {
        Self(Way::There(Box::new(remote)))
    }

    /// Whether it cannot see the files of this machine.
    pub(super) const fn is_remote(&self) -> bool {
        matches!(self.0, Way::There(_))
    }

    /// Whether a server of this machine is there; it may still be on its way up.
    pub(super) fn answers(&self) -> bool {
        match &self.0 {
            Way::Here(socket) => std::os::unix::net::UnixStream::connect(socket).is_ok(),
            Way::There(_) => true,
        }
    }

    async fn connect(&self) -> anyhow::Result<Box<dyn Connection>> {
        match &self.0 {
            Way::Here(socket) => {
                let stream = UnixStream::connect(socket).await;
                Ok(Box::new(
                    stream.context(NoAnswer::because(NoAnswer::HUNG_UP))?,
                ))
            }
            Way::There(remote) => remote.connect().await,
        }
    }

    /// What each request says of where it goes and who sends it.
    fn headers(&self) -> HeaderMap {
        match &self.0 {
            Way::Here(_) => {
                let host = header::HeaderValue::from_static("localhost");
                HeaderMap::from_iter([(header::HOST, host)])
            }
            Way::There(remote) => remote.headers(),
        }
    }

    async fn post(
        &self,
        path: &str,
        kind: (header::HeaderName, String),
        body: Body,
    ) -> anyhow::Result<Response<Incoming>> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await?)).await?;
        tokio::spawn(connection);
        let mut request = hyper::Request::post(path).body(body)?;
        *request.headers_mut() = self.headers();
        request.headers_mut().insert(kind.0, kind.1.parse()?);
        sender
            .send_request(request)
            .await
            .context(NoAnswer::because("the server did not answer; try again"))
    }

    /// Calls one method.
    pub(super) async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        Ok(self.exchange(method, params).await?.0)
    }

    /// Calls one method; gives also what the answer's head says.
    pub(super) async fn exchange(
        &self,
        method: &str,
        params: Value,
    ) -> anyhow::Result<(Value, HeaderMap)> {
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let kind = (header::CONTENT_TYPE, "application/json".to_owned());
        let response = self.post("/rpc/v1", kind, whole(body)).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await;
        let body = body
            .context(NoAnswer::because(
                "the server's answer broke off; try again",
            ))?
            .to_bytes();
        let answer = serde_json::from_slice::<Value>(&body);
        let mut answer = answer.with_context(|| {
            format!(
                "what answered ({}) is no Coppice; look at the address",
                head.status
            )
        })?;
        match answer.get_mut("error").map(Value::take) {
            None => Ok((
                answer
                    .get_mut("result")
                    .map(Value::take)
                    .unwrap_or_default(),
                head.headers,
            )),
            Some(error) => Err(CallError::of(&error).into()),
        }
    }

    /// Sends a file to where a ticket leads.
    pub(super) async fn send_file(&self, guid: &str, file: tokio::fs::File) -> anyhow::Result<()> {
        let total = file.metadata().await?.len();
        let pieces = ReaderStream::with_capacity(file, PIECE).map_ok(Frame::data);
        let body = StreamBody::new(pieces).boxed_unsync();
        let length = (header::CONTENT_LENGTH, total.to_string());
        let response = self
            .post(&format!("/rest/rpc/{guid}"), length, body)
            .await?;
        if response.status().is_success() {
            return Ok(());
        }
        let status = response.status();
        let said = response.into_body().collect().await?.to_bytes();
        match serde_json::from_slice(&said) {
            Ok(error) => Err(CallError::of(&error).into()),
            Err(_) => anyhow::bail!("the server did not take the file: {status}"),
        }
    }

    /// Opens a stream and gives each of its text frames to `each`, until it ends or `each` says so.
    pub(super) async fn follow(
        &self,
        guid: &str,
        mut each: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<()> {
        let mut request = format!("ws://localhost/ws/rpc/{guid}").into_client_request()?;
        request.headers_mut().extend(self.headers());
        let (mut stream, _) = tokio_tungstenite::client_async(request, self.connect().await?)
            .await
            .context("the server did not open the stream; try again")?;
        while let Some(frame) = stream.next().await {
            match frame.context(NoAnswer::because("the stream broke off; try again"))? {
                Message::Text(text) if !each(&text) => break,
                Message::Close(Some(close)) if close.code != CloseCode::Normal => {
                    anyhow::bail!("the stream ended: {}", close.reason)
                }
                Message::Close(_) => break,
                _ => {}
            }
        }
        Ok(())
    }
}

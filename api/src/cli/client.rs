//! Calls over the root-only socket.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use super::find;

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

/// A server that runs here.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(super) fn find(data_dir: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self {
            socket: find::socket(data_dir)?,
        })
    }

    /// Whether a server is there; it may still be on its way up.
    pub(super) fn answers(&self) -> bool {
        std::os::unix::net::UnixStream::connect(&self.socket).is_ok()
    }

    /// Calls one method.
    pub(super) async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .context("the server hung up; try again")?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = hyper::Request::post("/rpc/v1")
            .header(hyper::header::HOST, "localhost")
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender
            .send_request(request)
            .await
            .context("the server did not answer; try again")?;
        let body = response
            .into_body()
            .collect()
            .await
            .context("the server's answer broke off; try again")?
            .to_bytes();
        let mut answer: Value =
            serde_json::from_slice(&body).context("the server's answer is not JSON")?;
        match answer.get_mut("error").map(Value::take) {
            None => Ok(answer
                .get_mut("result")
                .map(Value::take)
                .unwrap_or_default()),
            Some(error) => Err(CallError {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
                details: error["data"]["details"].as_str().map(str::to_owned),
            }
            .into()),
        }
    }

    /// Opens a stream and gives each of its text frames to `each`, until it ends or `each` says so.
    pub(super) async fn follow(
        &self,
        guid: &str,
        mut each: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<()> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .context("the server hung up; try again")?;
        let url = format!("ws://localhost/ws/rpc/{guid}");
        let (mut stream, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .context("the server did not open the stream; try again")?;
        while let Some(frame) = stream.next().await {
            match frame.context("the stream broke off; try again")? {
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

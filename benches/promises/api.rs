//! The server's API over its root-only socket: calls, and the document as it changes.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::UnixStream,
    runtime::Runtime,
    time::{sleep, timeout},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use crate::server::Server;

/// Nothing measured takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to the server.
pub(crate) struct Api {
    socket: PathBuf,
    runtime: Runtime,
}

/// What changes below one place of the document.
pub(crate) struct Changes<'a> {
    api: &'a Api,
    /// What was there at the beginning.
    pub(crate) before: Value,
    stream: WebSocketStream<UnixStream>,
}

impl Api {
    pub(crate) fn of(server: &Server) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            socket: server.run_folder().join("api.sock"),
            runtime,
        }
    }

    /// The result of a call that has to succeed.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let answer = self
            .runtime
            .block_on(self.ask(method, params))
            .unwrap_or_else(|| panic!("{method}: no answer"));
        assert!(answer["error"].is_null(), "{method}: {answer:#}");
        answer["result"].clone()
    }

    async fn ask(&self, method: &str, params: Value) -> Option<Value> {
        let stream = UnixStream::connect(&self.socket).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .ok()?;
        tokio::spawn(connection);
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = hyper::Request::post("/rpc/v1")
            .header(hyper::header::HOST, "localhost")
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let body = sender
            .send_request(request)
            .await
            .ok()?
            .into_body()
            .collect()
            .await
            .ok()?
            .to_bytes();
        serde_json::from_slice(&body).ok()
    }

    /// Follows what changes at `pointer`, from when the server answers.
    pub(crate) fn changes(&self, pointer: &str) -> Changes<'_> {
        let (before, stream) = self.runtime.block_on(async {
            let start = loop {
                // A core that is just starting breaks the connection or knows nothing yet.
                match self
                    .ask("db.subscribe", json!({ "pointer": pointer }))
                    .await
                {
                    Some(answer) if answer["error"].is_null() => break answer["result"].clone(),
                    _ => sleep(Duration::from_millis(2)).await,
                }
            };
            let stream = UnixStream::connect(&self.socket).await.unwrap();
            let url = format!("ws://localhost/ws/rpc/{}", start["guid"].as_str().unwrap());
            let (stream, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
            (start, stream)
        });
        Changes {
            api: self,
            before,
            stream,
        }
    }
}

impl Changes<'_> {
    /// Waits for a change whose text has `word` in it.
    pub(crate) fn wait_for(&mut self, word: &str) {
        let found = async {
            while let Some(frame) = self.stream.next().await {
                if matches!(frame.unwrap(), Message::Text(text) if text.contains(word)) {
                    return;
                }
            }
            panic!("the stream ended before `{word}`");
        };
        let found = self
            .api
            .runtime
            .block_on(async { timeout(PATIENCE, found).await });
        assert!(found.is_ok(), "`{word}` did not come");
    }
}

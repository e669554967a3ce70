//! A server that tells what it was asked: the service behind the edge, or the core.

use std::{convert::Infallible, net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What `/download/<n>` repeats `n` times: a mebibyte that is not all the same.
pub(crate) fn mebibyte() -> Bytes {
    (0..1u32 << 20)
        .map(|n| (n ^ n >> 8).to_le_bytes()[0])
        .collect()
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: impl IntoIterator<Item = Bytes>) -> String {
    let mut hash = Sha256::new();
    for bytes in bytes {
        hash.update(&bytes);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Starts one on a free port of 127.0.0.1.
pub(crate) async fn service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

/// Starts one on a Unix socket whose queue somebody else may have filled already.
pub(crate) fn core(listener: UnixListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    })
}

/// The socket the heart would hold.
pub(crate) fn unix_listener(path: &Path) -> std::os::unix::net::UnixListener {
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

async fn serve(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(io), service_fn(answer))
        .with_upgrades();
    // Clients break off as they like.
    let _ = connection.await;
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    if let Some(key) = request.headers().get("sec-websocket-key") {
        let accept = derive_accept_key(key.as_bytes());
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let io = TokioIo::new(upgrade.await.unwrap());
            let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() || socket.send(message).await.is_err() {
                    break;
                }
            }
        });
        return Ok(Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", accept)
            .body(text(""))
            .unwrap());
    }
    if let Some(count) = path.strip_prefix("/download/") {
        let count: usize = count.parse().unwrap();
        let frames = stream::iter((0..count).map(|_| Ok(Frame::data(mebibyte()))));
        return Ok(Response::new(StreamBody::new(frames).boxed_unsync()));
    }
    if path.ends_with("/slow") {
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let headers: serde_json::Map<String, serde_json::Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect();
    let method = request.method().to_string();
    let query = request.uri().query().map(str::to_owned);
    let mut hash = Sha256::new();
    let mut length = 0;
    let body = request.body_mut();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        if let Some(data) = frame.data_ref() {
            length += data.len();
            hash.update(data);
        }
    }
    let digest: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let told = json!({
        "method": method, "path": path, "query": query, "headers": headers,
        "length": length, "sha256": digest,
    });
    let mut response = Response::new(text(&told.to_string()));
    let headers = response.headers_mut();
    headers.insert("connection", "x-private".parse().unwrap());
    headers.insert("x-private", "of this connection".parse().unwrap());
    headers.insert("x-from-service", "kept".parse().unwrap());
    Ok(response)
}

fn text(text: &str) -> Body {
    Full::new(Bytes::from(text.to_owned())).boxed_unsync()
}

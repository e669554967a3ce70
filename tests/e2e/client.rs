//! A browser of our own on the neighbour's machine: HTTPS with the server's root certificate and
//! nothing else trusted, JSON-RPC with the session's cookie, WebSockets.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::lan::{self, SERVER};

/// The dashboard's name.
pub(crate) const DASHBOARD: &str = "coppice.local";
/// How long any one answer may take, also while the core is away.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there was no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nobody took the connection.
    Connect(std::io::Error),
    /// It was taken, and broke.
    Broken(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Makes one connection per request, as if every request were the first.
#[derive(Clone)]
pub(crate) struct Client {
    tls: Arc<ClientConfig>,
}

impl Client {
    pub(crate) fn trusting(root_pem: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root_pem).unwrap())
            .unwrap();
        let tls =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        Self { tls: Arc::new(tls) }
    }

    /// GET.
    pub(crate) fn get(&self, host: &str, path: &str) -> Result<Answer, Failed> {
        self.send(
            Request::get(path)
                .header(HOST, host)
                .body(Full::default())
                .unwrap(),
        )
    }

    /// Sends a request to the host that it names.
    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        let host = request.headers()[HOST].to_str().unwrap().to_owned();
        runtime().block_on(async {
            let answered = timeout(PATIENCE, async {
                let mut sender = self.connect(&host).await?;
                let response = sender.send_request(request).await.map_err(broken)?;
                let (head, body) = response.into_parts();
                let body = body.collect().await.map_err(broken)?.to_bytes();
                Ok(Answer {
                    status: head.status,
                    headers: head.headers,
                    body,
                })
            });
            answered
                .await
                .unwrap_or_else(|_| Err(Failed::Broken(format!("no answer within {PATIENCE:?}"))))
        })
    }

    /// Downloads a file, piece by piece; `each` gets the pieces and may take its time.
    pub(crate) fn download(
        &self,
        host: &str,
        path: &str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Failed> {
        runtime().block_on(async {
            let mut sender = self.connect(host).await?;
            let request = Request::get(path)
                .header(HOST, host)
                .body(Full::default())
                .unwrap();
            let mut response = sender.send_request(request).await.map_err(broken)?;
            assert_eq!(response.status(), StatusCode::OK, "GET {path}");
            while let Some(frame) = timeout(PATIENCE, response.frame()).await.map_err(broken)? {
                if let Ok(data) = frame.map_err(broken)?.into_data() {
                    each(&data);
                }
            }
            Ok(())
        })
    }

    async fn connect(&self, host: &str) -> Result<http1::SendRequest<Full<Bytes>>, Failed> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.tls(host).await?))
            .await
            .map_err(broken)?;
        // A connection that breaks is told by the request on it.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn tls(&self, host: &str) -> Result<TlsStream<TcpStream>, Failed> {
        let to = SocketAddr::from((SERVER, 443));
        let stream = lan::connect(to, Duration::from_secs(10)).map_err(Failed::Connect)?;
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, stream)
            .await
            .map_err(broken)
    }
}

fn broken(error: impl std::error::Error) -> Failed {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Failed::Broken(text)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Somebody who is signed in, or not yet.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// `session=…`, as the browser sends it back.
    pub(crate) cookie: String,
}

impl Session {
    /// Nobody in particular.
    pub(crate) fn none(client: Client) -> Self {
        Self {
            client,
            cookie: String::new(),
        }
    }

    pub(crate) fn sign_in(client: Client, password: &str) -> Self {
        let mut session = Self::none(client);
        let answer = session.post("auth.login", json!({ "password": password }));
        let cookie = answer
            .headers
            .get(SET_COOKIE)
            .unwrap_or_else(|| panic!("the login gave no cookie: {}", answer.text()));
        session.cookie = cookie
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        session
    }

    /// One JSON-RPC call, and the whole HTTP answer to it, if there is one.
    pub(crate) fn try_post(&self, method: &str, params: Value) -> Result<Answer, Failed> {
        let body =
            json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
        let request = Request::post("/rpc/v1")
            .header(HOST, DASHBOARD)
            .header(CONTENT_TYPE, "application/json")
            .header(COOKIE, &self.cookie)
            .body(Full::from(body))
            .unwrap();
        self.client.send(request)
    }

    /// The same; there has to be one.
    pub(crate) fn post(&self, method: &str, params: Value) -> Answer {
        let answer = self
            .try_post(method, params)
            .unwrap_or_else(|failed| panic!("{method}: {failed}"));
        assert_eq!(answer.status, StatusCode::OK, "{method}: {}", answer.text());
        answer
    }

    /// The result of a call; it has to succeed.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let answer: Value = serde_json::from_slice(&self.post(method, params).body).unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer:#}");
        assert_eq!(
            (&answer["jsonrpc"], &answer["id"]),
            (&json!("2.0"), &json!(7))
        );
        answer["result"].clone()
    }

    /// The error of a call; it has to be refused.
    #[track_caller]
    pub(crate) fn refused(&self, method: &str, params: Value) -> Value {
        let answer: Value = serde_json::from_slice(&self.post(method, params).body).unwrap();
        assert!(
            answer["error"].is_object(),
            "{method} should be refused: {answer:#}"
        );
        answer["error"].clone()
    }

    /// Sends a package to where a ticket leads.
    pub(crate) fn upload(&self, guid: &str, package: Vec<u8>) -> Result<Answer, Failed> {
        let request = Request::post(format!("/rest/rpc/{guid}"))
            .header(HOST, DASHBOARD)
            .header(COOKIE, &self.cookie)
            .body(Full::from(package))
            .unwrap();
        self.client.send(request)
    }

    /// Opens the stream that a call has given a ticket for.
    pub(crate) fn stream(&self, guid: &str) -> Stream {
        let runtime = runtime();
        let socket = runtime.block_on(async {
            let stream = self
                .client
                .tls(DASHBOARD)
                .await
                .unwrap_or_else(|failed| panic!("{failed}"));
            let mut request = format!("wss://{DASHBOARD}/ws/rpc/{guid}")
                .into_client_request()
                .unwrap();
            request
                .headers_mut()
                .insert(COOKIE, self.cookie.parse().unwrap());
            let (socket, _) = tokio_tungstenite::client_async(request, stream)
                .await
                .unwrap();
            socket
        });
        Stream { runtime, socket }
    }
}

/// A WebSocket to a service that says back what it hears.
pub(crate) struct Socket {
    runtime: Runtime,
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Socket {
    pub(crate) fn open(client: &Client, host: &str, path: &str) -> Result<Self, Failed> {
        let runtime = runtime();
        let socket = runtime.block_on(async {
            let stream = client.tls(host).await?;
            let url = format!("wss://{host}{path}");
            let (socket, _) = tokio_tungstenite::client_async(url, stream)
                .await
                .map_err(broken)?;
            Ok(socket)
        })?;
        Ok(Self { runtime, socket })
    }

    /// Says something, and gives what is said back.
    pub(crate) fn echo(&mut self, message: &str) -> Result<String, String> {
        let said = async {
            self.socket.send(Message::text(message)).await?;
            self.socket.next().await.transpose()
        };
        let answer = self
            .runtime
            .block_on(async { timeout(PATIENCE, said).await })
            .map_err(|_| "no answer".to_owned())?
            .map_err(|error| error.to_string())?;
        match answer {
            Some(Message::Text(text)) => Ok(text.to_string()),
            other => Err(format!("{other:?}")),
        }
    }
}

/// A WebSocket.
pub(crate) struct Stream {
    runtime: Runtime,
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

/// What comes over a WebSocket.
#[derive(Debug)]
pub(crate) enum Frame {
    Json(Value),
    /// The other side is done: code and reason.
    Closed(u16, String),
}

impl Stream {
    /// The next frame; `None` when there is none in time.
    pub(crate) fn next(&mut self, within: Duration) -> Option<Frame> {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Frame::Json(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(Some(close)))) => {
                        return Frame::Closed(close.code.into(), close.reason.to_string());
                    }
                    Some(Ok(Message::Close(None))) | None => {
                        return Frame::Closed(0, String::new());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Frame::Closed(0, error.to_string()),
                }
            }
        };
        self.runtime
            .block_on(async { timeout(within, next).await.ok() })
    }
}

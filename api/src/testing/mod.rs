//! A server in this process: the product's own document, jobs and service trees over containers that exist
//! in memory only, behind the gateway's own router. Needs root, because a service is known by its user id.

// A server without a machine, as the tests of `coppice-actors` have it; here not all of it is used.
#[path = "../../../actors/src/testing/house.rs"]
#[allow(dead_code)]
mod house;
#[path = "../../../actors/src/testing/inhabited.rs"]
#[allow(dead_code)]
mod inhabited;
#[path = "../../../actors/src/testing/line.rs"]
#[allow(dead_code)]
mod line;
#[path = "../../../actors/src/testing/passed_on.rs"]
mod passed_on;
#[path = "../../../actors/src/testing/puppet.rs"]
#[allow(dead_code)]
mod puppet;
#[path = "../../../actors/src/testing/seedling.rs"]
mod seedling;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use coppice_actors::{Coppice, boot, document::Document};
use coppice_containers::{HostLayout, Segment};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use patchdb::{Options, Store};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};
use tower::ServiceExt;

use crate::gateway::{Door, Gate, router};

/// The password of the server.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// The id of the package that [`Server::package`] gives.
pub(crate) const ID: &str = "seedling";
/// No answer and no stream of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) gate: Arc<Gate>,
    edge: Router,
    root: Router,
    _containers: Arc<inhabited::Inhabited>,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The token of the session that the answer begins.
    pub(crate) fn session(&self) -> String {
        let cookie = self.headers[header::SET_COOKIE].to_str().unwrap();
        let pair = cookie.split(';').next().unwrap();
        pair.strip_prefix("session=").unwrap().to_owned()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Users of containers come through here to the socket.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let data = folder.path().join("data");
        for name in ["base", "services", "state", "secrets", "store"] {
            fs::create_dir_all(data.join(name)).unwrap();
        }
        let layout = HostLayout {
            run: folder.path().join("run"),
            ..HostLayout::new(Segment::new("abcdef").unwrap(), &data)
        };
        let containers = inhabited::Inhabited::new();
        let store = Store::open(data.join("state"), Options::default()).unwrap();
        let host = house::host(layout, Arc::clone(&containers) as _, Document::new(store));
        house::settle(&host).await;
        let (jobs, root) = house::grow(&host).await;
        boot::tidy(&host).await;
        boot::bring_up(&jobs).await;
        let coppice = Coppice::new(jobs, root);
        let gate = Gate::new(coppice, Arc::new(|_| ()), Arc::new(|_, _| ()));
        let gate = Arc::new(gate);
        Self {
            folder,
            edge: router(Arc::clone(&gate), Door::Edge),
            root: router(Arc::clone(&gate), Door::Root),
            gate,
            _containers: containers,
        }
    }

    /// The bytes of a package whose code does what it is asked.
    pub(crate) fn package() -> Vec<u8> {
        house::package(ID, "1.0.0:0", |_| {})
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Sets the password, which ends all sessions.
    pub(crate) async fn set_password(&self) {
        let params = json!({ "password": PASSWORD });
        let body =
            json!({ "jsonrpc": "2.0", "id": 0, "method": "auth.set-password", "params": params });
        let set = self.post(Door::Root, None, body.to_string()).await.json();
        assert_eq!(set["result"], Value::Null, "{set}");
    }

    /// Begins a session; gives its token.
    pub(crate) async fn log_in(&self) -> String {
        let params = json!({ "password": PASSWORD });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "auth.login", "params": params });
        self.post(Door::Edge, None, body.to_string())
            .await
            .session()
    }

    /// Sends a request at a door.
    pub(crate) async fn send(&self, door: Door, request: Request<Body>) -> Answer {
        let router = match door {
            Door::Root => &self.root,
            Door::Edge => &self.edge,
        };
        let answered = async {
            let response = router.clone().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            Answer {
                status: head.status,
                headers: head.headers,
                body: body.collect().await.unwrap().to_bytes().to_vec(),
            }
        };
        tokio::time::timeout(PATIENCE, answered)
            .await
            .expect("an answer")
    }

    /// Posts a JSON-RPC body; with a session, as whoever has it.
    pub(crate) async fn post(
        &self,
        door: Door,
        session: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post("/rpc/v1").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = session {
            request = request.header(header::COOKIE, format!("session={token}"));
        }
        self.send(door, request.body(body.into()).unwrap()).await
    }

    /// The answer to one call of somebody who has this session.
    pub(crate) async fn call(&self, session: &str, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params });
        self.post(Door::Edge, Some(session), body.to_string()).await
    }

    /// Opens a stream over a real socket, and gives its frames until it ends or `enough` has come.
    pub(crate) async fn follow(
        &self,
        guid: &str,
        enough: usize,
    ) -> (Vec<Value>, Option<CloseFrame>) {
        let path = self.folder.path().join(format!("edge-{guid}"));
        let listener = UnixListener::bind(&path).unwrap();
        let serving = axum::serve(listener, self.edge.clone());
        let serving = tokio::spawn(serving.into_future());
        let followed = async {
            let stream = UnixStream::connect(&path).await.unwrap();
            let url = format!("ws://localhost/ws/rpc/{guid}");
            let (mut stream, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
            let mut frames = Vec::new();
            while frames.len() < enough {
                match stream.next().await {
                    Some(Ok(Message::Text(text))) => {
                        frames.push(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(close))) => return (frames, close),
                    Some(Ok(_)) => {}
                    None | Some(Err(_)) => return (frames, None),
                }
            }
            (frames, None)
        };
        let followed = tokio::time::timeout(PATIENCE, followed).await;
        serving.abort();
        followed.expect("the stream ends or says enough")
    }

    /// Installs the package that [`Self::package`] gives.
    pub(crate) async fn install(&self, session: &str) {
        let tickets = self
            .call(session, "package.sideload", json!({}))
            .await
            .json();
        let ticket = |name: &str| tickets["result"][name].as_str().unwrap().to_owned();
        let package = Request::post(format!("/rest/rpc/{}", ticket("upload")));
        let sent = package.body(Body::from(Self::package())).unwrap();
        let sent = self.send(Door::Edge, sent).await;
        assert_eq!(sent.status, StatusCode::NO_CONTENT);
        let (frames, close) = self.follow(&ticket("progress"), usize::MAX).await;
        assert_eq!(frames.last().unwrap()["overall"], true, "{close:?}");
    }
}

//! Calls a second over the API, beside a bare axum handler that gives the same bytes.
//!
//! Both are a process of their own behind a Unix socket, built alike; the same client asks them in turn, over
//! connections that stay open. Each call comes with a session's cookie at the edge's door: it is
//! looked up, authenticated, given its turn, read and written.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use axum::{Router, http::header, routing::post};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{UnixListener, UnixStream};

use crate::{
    now,
    samples::{Samples, load, ratio, tell, verdict},
    scratch::Scratch,
    server::Server,
    until::{seconds, until},
};

/// Set in the process of the bare handler: its socket. Beside it lies what it gives.
pub(crate) const BARE: &str = "COPPICE_BENCH_BARE";
/// Connections that ask at once.
const CONNECTIONS: usize = 16;
/// Calls of each in one turn.
const CALLS: usize = 250;
const TURNS: usize = 6;
/// A handler's time is at most this many times the bare one's: 60 % of its calls a second.
const MOST: f64 = 1.0 / 0.6;
const PASSWORD: &str = "correct horse battery";

/// The calls that are measured: one that costs nothing itself, and one that reads every package.
const READS: [&str; 2] = ["server.time", "package.list"];
/// How every answer begins that is no error.
const WELL: &[u8] = br#"{"jsonrpc":"2.0","result":"#;

pub(crate) fn measure(server: &Server, scratch: &Scratch) {
    println!(
        "\n{} calls in {TURNS} turns, {CONNECTIONS} connections; load {}",
        TURNS * CONNECTIONS * CALLS,
        load()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    server.cli_with_input(&["auth", "set-password"], PASSWORD);
    let edge = server.run_folder().join("edge.sock");
    let cookie = runtime.block_on(log_in(&edge));
    for method in READS {
        let call = call_of(method);
        let answer = runtime.block_on(once(&edge, &cookie, call.clone())).1;
        let bare = Bare::start(scratch, method, &answer);
        let (mut ours, mut theirs) = (Side::default(), Side::default());
        for _ in 0..TURNS {
            for (side, socket) in [(&mut ours, &edge), (&mut theirs, &bare.socket)] {
                runtime.block_on(side.turn(socket, &cookie, &call));
            }
        }
        println!("  {method}, {} bytes", answer.len());
        ours.tell("Coppice");
        theirs.tell("a bare axum handler");
        let slower = ratio(ours.turns.median(), theirs.turns.median());
        let share = format!("{:.0} %", 100.0 / slower);
        tell("share of the bare handler's calls a second", &share);
        verdict("time of a call, by the bare handler's", slower, MOST, "");
    }
}

fn call_of(method: &str) -> Bytes {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} })
        .to_string()
        .into()
}

async fn connect(socket: &Path) -> http1::SendRequest<Full<Bytes>> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends a call; gives the cookie that is set, and the answer.
async fn ask(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    cookie: &str,
    body: Bytes,
) -> (Option<String>, Bytes) {
    let request = Request::post("/rpc/v1")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::COOKIE, cookie)
        .body(Full::new(body))
        .unwrap();
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    let set = response.headers().get(header::SET_COOKIE);
    let set = set.map(|cookie| cookie.to_str().unwrap().to_owned());
    (
        set,
        response.into_body().collect().await.unwrap().to_bytes(),
    )
}

async fn once(socket: &Path, cookie: &str, body: Bytes) -> (Option<String>, Bytes) {
    ask(&mut connect(socket).await, cookie, body).await
}

async fn log_in(edge: &Path) -> String {
    let params = json!({ "password": PASSWORD });
    let login = json!({ "jsonrpc": "2.0", "id": 1, "method": "auth.login", "params": params });
    let (cookie, answer) = once(edge, "", login.to_string().into()).await;
    let cookie = cookie.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer)));
    cookie.split(';').next().unwrap().to_owned()
}

/// What one of the two has taken.
#[derive(Default)]
struct Side {
    calls: Samples,
    turns: Samples,
}

impl Side {
    async fn turn(&mut self, socket: &Path, cookie: &str, call: &Bytes) {
        let mut asking = Vec::new();
        for _ in 0..CONNECTIONS {
            let (mut sender, cookie) = (connect(socket).await, cookie.to_owned());
            let call = call.clone();
            asking.push(async move {
                let mut took = Vec::with_capacity(CALLS);
                for _ in 0..CALLS {
                    let began = now();
                    let (_, got) = ask(&mut sender, &cookie, call.clone()).await;
                    took.push(now().duration_since(began));
                    assert!(got.starts_with(WELL), "{got:?}");
                }
                took
            });
        }
        let began = now();
        let took: Vec<Vec<Duration>> = futures_util::future::join_all(asking).await;
        self.turns.push(now().duration_since(began));
        took.into_iter()
            .flatten()
            .for_each(|time| self.calls.push(time));
    }

    fn tell(&self, what: &str) {
        let calls = (CONNECTIONS * CALLS) as f64 / self.turns.median().as_secs_f64();
        let micros = |of_hundred| self.calls.percentile(of_hundred).as_micros();
        let value = format!("{calls:.0}/s, p50 {} µs, p99 {} µs", micros(50), micros(99));
        tell(what, &value);
    }
}

/// The bare handler's process.
struct Bare {
    child: Child,
    socket: PathBuf,
}

impl Bare {
    fn start(scratch: &Scratch, method: &str, answer: &[u8]) -> Self {
        let socket = scratch.path(&format!("bare-{method}.sock"));
        std::fs::write(socket.with_extension("json"), answer).unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .env(BARE, &socket)
            .spawn()
            .unwrap();
        until("the bare handler listens", seconds(20), || {
            std::os::unix::net::UnixStream::connect(&socket).ok()
        });
        Self { child, socket }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It has nothing to lose, and may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the same bytes to whoever asks, until it is killed.
pub(crate) fn serve_bare(socket: &Path) {
    let answer = Bytes::from(std::fs::read(socket.with_extension("json")).unwrap());
    let handler = move || {
        let answer = answer.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], answer) }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = UnixListener::bind(socket).unwrap();
        let router = Router::new().route("/rpc/v1", post(handler));
        axum::serve(listener, router).await.unwrap();
    });
}

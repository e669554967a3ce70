//! Connections against a peer that floods, over real sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use coppice_wire::{Decoder, Id, Message, Role, RpcError, encode};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{Semaphore, mpsc},
};

use super::{budget::Budget, *};

const MIB: usize = 1024 * 1024;
/// What the kernel keeps of a Unix socket, both ways and with its own overhead.
const SOCKET_BYTES: usize = MIB;

/// Answers when it is let; counts what it holds meanwhile.
struct Held {
    gate: Arc<Semaphore>,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    told: AtomicUsize,
}

impl Held {
    fn shut() -> Arc<Self> {
        Arc::new(Self {
            gate: Arc::new(Semaphore::new(0)),
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
        })
    }

    fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

impl Handler for Held {
    fn request(
        self: Arc<Self>,
        method: String,
        params: Value,
    ) -> BoxFuture<'static, Result<Value, RpcError>> {
        async move {
            let size = params.to_string().len();
            self.requests.fetch_add(1, Ordering::SeqCst);
            self.bytes.fetch_add(size, Ordering::SeqCst);
            let _through = self.gate.acquire().await;
            self.requests.fetch_sub(1, Ordering::SeqCst);
            self.bytes.fetch_sub(size, Ordering::SeqCst);
            Ok(match method.as_str() {
                "great" => Value::String("x".repeat(MIB)),
                _ => Value::Null,
            })
        }
        .boxed()
    }

    fn notification(&self, _: String, _: Value) {
        self.told.fetch_add(1, Ordering::SeqCst);
    }
}

/// A connection that said hello, and the container's end of it.
fn connect(budget: &Budget, role: Role, handler: &Arc<impl Handler>) -> (Peer, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let accepted = Accepted {
        share: budget.share(role),
        ..Accepted::greeted(ours, role)
    };
    let handler = Arc::clone(handler) as Arc<dyn Handler>;
    (Peer::serve(accepted, handler), theirs)
}

fn request(id: i64, method: &str, params: &Value) -> Vec<u8> {
    encode(&Message::request(id, method, params).unwrap()).unwrap()
}

/// Writes until the other side takes no more; gives how many bytes it took.
async fn flood(stream: &mut UnixStream, line: &[u8], most: usize) -> usize {
    let mut taken = 0;
    while taken < most {
        // A line is taken in pieces, and goes on where it was cut.
        let rest = &line[taken % line.len()..];
        match tokio::time::timeout(Duration::from_millis(500), stream.write(rest)).await {
            Ok(written) => taken += written.unwrap(),
            Err(_) => break,
        }
    }
    taken
}

async fn read_messages(stream: &mut (impl AsyncReadExt + Unpin), count: usize) -> Vec<Message> {
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut messages = Vec::new();
    while messages.len() < count {
        while let Some(message) = decoder.next() {
            messages.push(message.unwrap());
        }
        if messages.len() < count {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the connection ended");
            decoder.push(&buffer[..length]);
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn effects_that_need_not_wait_are_answered_in_the_order_of_their_requests() {
    const COUNT: i64 = 2_000;
    let (budget, handler) = (Budget::new(), Held::shut());
    handler.open();
    let (_peer, theirs) = connect(&budget, Role::Runtime, &handler);
    let (mut read, mut write) = tokio::io::split(theirs);
    let asking = tokio::spawn(async move {
        for id in 0..COUNT {
            write
                .write_all(&request(id, "ask", &Value::Null))
                .await
                .unwrap();
        }
        write
    });
    let answers = read_messages(&mut read, usize::try_from(COUNT).unwrap()).await;
    for (id, answer) in (0..).zip(answers) {
        let expected = Message::response(Id::Number(id), Ok(Value::Null));
        assert_eq!(answer, expected);
    }
    drop(asking.await.unwrap());
}

struct Panics;

impl Handler for Panics {
    fn request(
        self: Arc<Self>,
        _: String,
        _: Value,
    ) -> BoxFuture<'static, Result<Value, RpcError>> {
        async { panic!("an effect with a bug") }.boxed()
    }

    fn notification(&self, _: String, _: Value) {}
}

#[tokio::test]
async fn an_effect_that_panics_is_answered_and_the_connection_goes_on() {
    let (budget, handler) = (Budget::new(), Arc::new(Panics));
    let (_peer, mut theirs) = connect(&budget, Role::Runtime, &handler);
    for id in 0..2 {
        let line = request(id, "ask", &Value::Null);
        theirs.write_all(&line).await.unwrap();
        let answers = read_messages(&mut theirs, 1).await;
        assert!(
            matches!(&answers[..], [Message::Response { result: Err(_), .. }]),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn a_flood_of_great_requests_is_held_back_in_the_socket() {
    let (budget, handler) = (Budget::new(), Held::shut());
    let (_peer, mut theirs) = connect(&budget, Role::Runtime, &handler);
    let line = request(1, "ask", &json!({ "text": "x".repeat(100_000) }));
    let taken = flood(&mut theirs, &line, 200 * MIB).await;
    // Each byte of text is counted twice: read, and about to be copied into typed parameters.
    assert!(taken < 8 * MIB + SOCKET_BYTES, "took {taken} bytes");
    assert!(handler.bytes.load(Ordering::SeqCst) <= 8 * MIB);
    let (_, weight) = budget.share(Role::Runtime).asks.held();
    assert!(weight <= 16 * MIB, "holds {weight} bytes");

    // Nothing was lost: once the first are answered, the rest is read.
    handler.open();
    let before = taken / line.len();
    let answers = read_messages(&mut theirs, before).await;
    assert!(answers.iter().all(|answer| matches!(
        answer,
        Message::Response {
            result: Ok(Value::Null),
            ..
        }
    )));
}

#[tokio::test]
async fn many_connections_of_one_service_share_one_budget() {
    let (budget, handler) = (Budget::new(), Held::shut());
    let mut kept = Vec::new();
    let line = request(1, "ask", &json!({ "text": "x".repeat(1_000) }));
    for _ in 0..4 {
        let (peer, mut theirs) = connect(&budget, Role::Cli, &handler);
        flood(&mut theirs, &line, 4 * MIB).await;
        kept.push((peer, theirs));
    }
    assert_eq!(handler.requests.load(Ordering::SeqCst), 256);
    assert_eq!(budget.share(Role::Runtime).asks.held().0, 256);
}

#[tokio::test]
async fn a_flood_delays_neither_the_agent_nor_another_service() {
    let (budget, shut) = (Budget::new(), Held::shut());
    let (_peer, mut theirs) = connect(&budget, Role::Runtime, &shut);
    flood(&mut theirs, &request(1, "ask", &Value::Null), 4 * MIB).await;

    let open = Held::shut();
    open.open();
    for (budget, role) in [(&budget, Role::Agent), (&Budget::new(), Role::Runtime)] {
        let (_peer, mut theirs) = connect(budget, role, &open);
        theirs
            .write_all(&request(7, "ask", &Value::Null))
            .await
            .unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(2), read_messages(&mut theirs, 1));
        assert_eq!(answered.await.unwrap().len(), 1, "{role:?}");
    }
}

#[tokio::test]
async fn a_call_is_answered_while_every_place_for_requests_is_taken() {
    let (budget, handler) = (Budget::new(), Held::shut());
    let (peer, mut theirs) = connect(&budget, Role::Runtime, &handler);
    for id in 0..256 {
        theirs
            .write_all(&request(id, "ask", &Value::Null))
            .await
            .unwrap();
    }
    let call = peer.call("form", Value::Null, Duration::from_secs(5));
    let other = async {
        let asked = read_messages(&mut theirs, 1).await.remove(0);
        let Message::Request { id, .. } = asked else {
            panic!("{asked:?}")
        };
        let answer = encode(&Message::response(id, Ok(json!("here")))).unwrap();
        theirs.write_all(&answer).await.unwrap();
    };
    let (answer, ()) = tokio::join!(call, other);
    assert_eq!(answer.unwrap(), json!("here"));
}

#[tokio::test]
async fn messages_come_at_the_service_s_pace_and_not_faster() {
    let (budget, handler) = (Budget::new(), Held::shut());
    let (_peer, mut theirs) = connect(&budget, Role::Runtime, &handler);
    let line = encode(&Message::notification("spam", &Value::Null).unwrap()).unwrap();
    flood(&mut theirs, &line.repeat(100), MIB).await;
    let told = handler.told.load(Ordering::SeqCst);
    // The burst, and what came back in the moments since.
    assert!((2048..3500).contains(&told), "{told} were taken");
}

#[tokio::test]
async fn a_message_of_too_many_values_is_refused_under_its_id() {
    let (budget, handler) = (Budget::new(), Held::shut());
    let (_peer, mut theirs) = connect(&budget, Role::Runtime, &handler);
    let many = json!({ "list": vec![0; 500_000] });
    theirs.write_all(&request(9, "ask", &many)).await.unwrap();
    let answer = read_messages(&mut theirs, 1).await.remove(0);
    let Message::Response { id, result } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(id, Some(9.into()));
    assert!(result.unwrap_err().message.contains("send less at once"));
    assert_eq!(handler.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn answers_that_nobody_reads_become_errors_and_do_not_pile_up() {
    let (budget, handler) = (Budget::new(), Held::shut());
    handler.open();
    let (_peer, mut theirs) = connect(&budget, Role::Runtime, &handler);
    for id in 0..40 {
        let line = request(id, "great", &Value::Null);
        theirs.write_all(&line).await.unwrap();
    }
    // Long enough for all of them to be answered, had there been room.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answers = read_messages(&mut theirs, 40).await;
    let good = answers
        .iter()
        .filter(|answer| matches!(answer, Message::Response { result: Ok(_), .. }))
        .count();
    assert!((1..=9).contains(&good), "{good} of 1 MiB each were kept");
}

#[tokio::test]
async fn unfinished_lines_of_many_connections_are_not_all_kept() {
    let (budget, handler) = (Budget::new(), Held::shut());
    let mut kept = Vec::new();
    let mut taken = 0;
    for _ in 0..6 {
        let (peer, mut theirs) = connect(&budget, Role::Cli, &handler);
        taken += flood(&mut theirs, &vec![b'x'; MIB], 3 * MIB).await;
        kept.push((peer, theirs));
    }
    // Two that are allowed, and what waits in the sockets of the others.
    assert!(taken < 2 * 3 * MIB + 4 * SOCKET_BYTES, "took {taken} bytes");
    assert!(kept.iter().all(|(peer, _)| !peer.has_ended()));
}

#[tokio::test]
async fn an_error_of_any_length_is_kept_short() {
    let (budget, handler) = (Budget::new(), Held::shut());
    let (peer, mut theirs) = connect(&budget, Role::Runtime, &handler);
    let call = peer.call("init", Value::Null, Duration::from_secs(5));
    let other = async {
        let asked = read_messages(&mut theirs, 1).await.remove(0);
        let Message::Request { id, .. } = asked else {
            panic!("{asked:?}")
        };
        let mut error = RpcError::new(0, "m".repeat(MIB));
        error.data = Some(json!({ "details": "d".repeat(MIB), "info": "i".repeat(MIB) }));
        let answer = encode(&Message::response(id, Err(error))).unwrap();
        theirs.write_all(&answer).await.unwrap();
    };
    let (answer, ()) = tokio::join!(call, other);
    let Err(CallError::Refused(error)) = answer else {
        panic!("{answer:?}")
    };
    assert!(error.message.len() <= 2048);
    assert!(json!(error).to_string().len() < 12_000);
}

/// Dials `path` as `role`; gives the connection when the hello was answered well.
async fn dial(path: &std::path::Path, role: &str) -> Result<UnixStream, RpcError> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let hello = json!({
        "protocol": 1, "oldest": 1, "build": "t", "boot": "b", "role": role, "generation": 1,
    });
    stream
        .write_all(&request(0, "hello", &hello))
        .await
        .unwrap();
    match read_messages(&mut stream, 1).await.remove(0) {
        Message::Response { result: Ok(_), .. } => Ok(stream),
        Message::Response {
            result: Err(error), ..
        } => Err(error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn connections_are_limited_by_what_they_speak_as() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.sock");
    let (connections, mut accepted) = mpsc::channel(128);
    let uid = nix::unistd::getuid().as_raw();
    let _listener = ServiceListener::bind(&path, uid, connections).unwrap();
    let mut callers = Vec::new();
    for _ in 0..64 {
        callers.push(dial(&path, "cli").await.unwrap());
    }
    let refused = dial(&path, "cli").await.unwrap_err();
    assert!(
        refused.message.contains("too many connections"),
        "{refused}"
    );
    // The crowd is one of callers: the agent and the runtime have places of their own.
    dial(&path, "agent").await.unwrap();
    dial(&path, "runtime").await.unwrap();
    // A place that is given back is given again.
    drop(accepted.recv().await);
    dial(&path, "cli").await.unwrap();
}

#[tokio::test]
async fn a_first_line_of_any_length_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.sock");
    let (connections, _accepted) = mpsc::channel(1);
    let uid = nix::unistd::getuid().as_raw();
    let _listener = ServiceListener::bind(&path, uid, connections).unwrap();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let _ = stream.write_all(&vec![b'x'; 64 * 1024]).await;
    let mut buffer = [0; 16];
    assert!(matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)));
}

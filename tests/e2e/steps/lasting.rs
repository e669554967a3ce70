//! Connections that last: what they outlive, and what they do not.

use std::{sync::mpsc, thread::JoinHandle, time::Duration};

use coppice_clock::Mono;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use super::hello::NAME;
use crate::{
    client::{Client, DASHBOARD, Socket},
    packages::{ID, Package},
    processes::Process,
    until::{patiently, seconds, until},
    world::World,
};

/// The name of the service that echoes.
const ECHO: &str = "seedling-coppice.local";

/// Says back what comes over a WebSocket. It is all in the runtime, so it needs no program of its own.
const JAVASCRIPT: &str = r"
const { createServer } = require('node:http');
const { createHash } = require('node:crypto');
const nothing = async () => null;
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
function echo() {
  const server = createServer((_, answer) => answer.end('echo'));
  server.on('upgrade', (request, socket) => {
    const key = request.headers['sec-websocket-key'] + MAGIC;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
      + `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    // Short frames of a client that waits for each answer: one comes at a time, whole.
    socket.on('data', (frame) => {
      const length = frame[1] & 0x7f;
      const text = frame.subarray(6, 6 + length).map((byte, i) => byte ^ frame[2 + (i % 4)]);
      socket.write(Buffer.concat([Buffer.from([frame[0], length]), text]));
    });
    socket.on('error', () => {});
  });
  server.listen(8080);
  return server;
}
module.exports = {
  init: nothing, uninit: nothing, createBackup: nothing,
  main: async ({ effects }) => ({
    build: async () => {
      const server = echo();
      await effects.bind({
        id: 'main', internalPort: 8080, preferredExternalPort: 80, secure: null,
        addSsl: { preferredExternalPort: 443, addXForwardedHeaders: false, alpn: null, auth: null },
      });
      await effects.exportServiceInterface({
        id: 'ui', name: 'Echo', description: 'Echo', masked: false, type: 'ui',
        addressInfo: {
          username: null, hostId: 'main', internalPort: 8080, scheme: 'http', sslScheme: 'https', suffix: '',
        },
      });
      return { term: async () => { server.closeAllConnections(); server.close(); } };
    },
  }),
  actions: { get: () => undefined },
};
";

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
    if world.is_installed(ID) {
        world.server.cli(&["package", "uninstall", ID]);
    }
    let folder = world.scratch.path("lasting");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("echo.s9pk");
    let package = Package::good().javascript(JAVASCRIPT).pack(&folder);
    std::fs::write(&file, package).unwrap();
    world
        .server
        .cli(&["package", "install", file.to_str().unwrap()]);
    world.server.cli(&["service", "start", ID]);
    world.wait_status(ID, "running");
    let client = world.client();
    until("the echo is served", seconds(20), || {
        client
            .get(ECHO, "/")
            .ok()
            .filter(|answer| answer.text() == "echo")
    });
}

/// A download that goes on as fast as it is let.
pub(super) struct Download {
    let_go: mpsc::Sender<usize>,
    got: mpsc::Receiver<usize>,
    downloading: JoinHandle<Result<usize, String>>,
    allowed: usize,
}

impl Download {
    /// Of so many million bytes, of which none is taken yet.
    pub(super) fn of(client: Client, megabytes: usize) -> Self {
        let (let_go, may_go) = mpsc::channel();
        let (tell, got) = mpsc::channel();
        let downloading = std::thread::spawn(move || {
            let (mut received, mut allowed, mut rest) = (0_usize, 0_usize, Vec::new());
            let mut number = 0_u64;
            let done = client.download(NAME, &format!("/big?mb={megabytes}"), |piece| {
                rest.extend_from_slice(piece);
                let whole = rest.len() / 8 * 8;
                for bytes in rest.drain(..whole).as_slice().chunks_exact(8) {
                    assert_eq!(u64::from_be_bytes(bytes.try_into().unwrap()), number);
                    number += 1;
                }
                received += piece.len();
                while received > allowed {
                    // Nobody is there to tell, or to ask, once the test has failed.
                    let _ = tell.send(received);
                    allowed += may_go.recv().unwrap_or(usize::MAX / 2);
                }
            });
            match done {
                Ok(()) => Ok(received),
                Err(failed) => Err(format!("after {received} bytes: {failed}")),
            }
        });
        got.recv_timeout(seconds(30)).unwrap();
        Self {
            let_go,
            got,
            downloading,
            allowed: 0,
        }
    }

    /// Takes so many bytes more.
    pub(super) fn go_on(&mut self, bytes: usize) {
        self.let_go.send(bytes).unwrap();
        let got = self.got.recv_timeout(seconds(30));
        let received = got.expect("the download does not go on");
        self.allowed += bytes;
        assert!(received > self.allowed, "{received} bytes");
    }

    /// Takes the rest; how many bytes there were.
    pub(super) fn finish(self) -> usize {
        // What hangs up lets it go.
        drop(self.let_go);
        let done = self.downloading.join().unwrap();
        done.unwrap_or_else(|failed| panic!("{failed}"))
    }
}

/// How long the connections are held. `COPPICE_E2E_LASTING_SECONDS=600` is what was promised.
fn span() -> Duration {
    let told = std::env::var("COPPICE_E2E_LASTING_SECONDS").ok();
    seconds(told.map_or(6, |told| told.parse().unwrap()))
}

pub(super) fn a_websocket_and_a_download_outlive_one_core_after_the_other(world: &mut World) {
    const ROUND: Duration = Duration::from_secs(10);
    let session = world.session();
    let edge = world.server.child("edge");
    let mut socket = Socket::open(&world.client(), ECHO, "/").unwrap();
    let mut download = Download::of(world.client(), 100);
    let subscribed = session.call("db.subscribe", json!({}))["dump"].clone();
    let (began, mut rounds) = (Mono::now(), 0);
    let count = u32::try_from(span().as_secs() / 10).unwrap().max(3);
    let bytes = 90_000_000 / usize::try_from(count).unwrap();
    while rounds < count {
        rounds += 1;
        world.another_core();
        let said = format!("after core {rounds}");
        assert_eq!(socket.echo(&said).as_deref(), Ok(said.as_str()));
        download.go_on(bytes);
        if span() > ROUND * 2 {
            // Nobody speaks meanwhile: what is silent is not cut either.
            patiently(ROUND, seconds(1), || {
                (Mono::now().since(began) >= ROUND * rounds).then_some(())
            });
        }
    }
    assert_eq!(download.finish(), 100_000_000);
    assert_eq!(socket.echo("still there").as_deref(), Ok("still there"));
    assert!(edge.lives(), "the edge is not the core's business");
    // A browser goes on from where it was, over all these cores: nothing is sent to it again.
    let from = &subscribed["position"];
    let resumed = session.call("db.subscribe", json!({ "from": from }));
    assert!(
        resumed["resume"].is_object() && resumed["dump"].is_null(),
        "{resumed:#}"
    );
    println!(
        "     held for {:.0} s over {rounds} cores",
        Mono::now().since(began).as_secs_f64()
    );
}

/// Held still until dropped.
struct Stopped(Process);

impl Stopped {
    fn of(process: Process) -> Self {
        kill(Pid::from_raw(process.pid), Signal::SIGSTOP).unwrap();
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have been ended meanwhile.
        let _ = kill(Pid::from_raw(self.0.pid), Signal::SIGCONT);
    }
}

/// Shoots the edge while the core does nothing; how long it took until the next one had served a page that was asked
/// for at once.
fn without_edge_and_core(world: &World, client: &Client) -> Duration {
    let edge = world.server.child("edge");
    let mut socket = Socket::open(client, ECHO, "/").unwrap();
    assert_eq!(socket.echo("before").as_deref(), Ok("before"));
    edge.shoot();
    let shot = Mono::now();
    let waiting: Vec<_> = [NAME, DASHBOARD, ECHO]
        .into_iter()
        .map(|host| {
            let client = client.clone();
            std::thread::spawn(move || {
                let answer = client.get(host, "/");
                (answer, Mono::now())
            })
        })
        .collect();
    let mut last = shot;
    for one in waiting {
        let (answer, at) = one.join().unwrap();
        assert_eq!(answer.unwrap().status, 200);
        last = last.max(at);
    }
    assert!(
        socket.echo("after").is_err(),
        "it went through the old edge"
    );
    last.since(shot)
}

pub(super) fn an_edge_that_dies_while_there_is_no_core_is_replaced_within_300_ms(
    world: &mut World,
) {
    let client = world.client();
    let services: Vec<Process> = ["hello", ID]
        .map(|id| world.server.init(id))
        .into_iter()
        .collect();
    let core = Stopped::of(world.server.child("core"));
    // The best of a few: what else the machine does meanwhile is not the edge's time.
    let times: Vec<_> = (0..5)
        .map(|_| without_edge_and_core(world, &client))
        .collect();
    println!("     served by a new edge after {times:?}");
    assert!(
        times.iter().min().unwrap() <= &Duration::from_millis(300),
        "{times:?}"
    );
    assert!(core.0.lives());
    drop(core);
    world.server.answers();
    assert!(services.iter().all(Process::lives));
    world.server.cli(&["package", "uninstall", ID]);
}

//! Who lives in a container in memory: an agent, and the runtimes it is asked to start. They speak the real
//! protocol over the service's socket, and redial when the core comes back.

use std::{
    fs,
    io::Write,
    os::unix::net::UnixStream as StdStream,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use coppice_wire::{
    Id, Message, Role, RpcError,
    agent::{self, Killed, ProcessKind, ProcessList, ProcessStarted, Spawn, Spawned},
    runtime,
};
use serde_json::{Value, json};
use tokio::{io::DuplexStream, net::UnixStream, sync::mpsc, task::JoinHandle};
use tokio_util::either::Either;

use super::line::Line;

/// Between two tries to reach a core that is not there.
const REDIAL: Duration = Duration::from_millis(5);
/// Between two reports of a check, and from `main` to a death.
const BETWEEN_CHECKS: Duration = Duration::from_millis(50);

/// How the package inside behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manners {
    /// Its `init` never answers.
    pub(crate) init_hangs: bool,
    /// Its `init` fails with these words.
    pub(crate) init_fails: Option<String>,
    /// Its `uninit` fails with these words.
    pub(crate) uninit_fails: Option<String>,
    /// What its `init` writes into the file `kept` of its first volume.
    pub(crate) writes: Option<String>,
    /// It writes there until nothing more fits, and its `init` fails for that.
    pub(crate) fills_the_disk: bool,
    /// What its `init` asks of the core before it answers.
    pub(crate) asks: Vec<(&'static str, Value)>,
    /// Its `main` fails with these words.
    pub(crate) start_fails: Option<String>,
    /// Its container ends when its `main` is up.
    pub(crate) dies_when_up: bool,
    /// What its check says once its `main` is up, one after the other; the last for good.
    pub(crate) check_says: Vec<&'static str>,
}

/// Where a puppet is, and who it is there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) socket: PathBuf,
    pub(crate) uid: u32,
    pub(crate) boot: String,
    /// Its first volume.
    pub(crate) volumes: Option<PathBuf>,
}

/// The runtime that lives. It ends with pid 1.
struct Living {
    generation: u64,
    task: JoinHandle<()>,
}

impl Living {
    /// Ends it; nothing of it goes on when this returns.
    async fn end(mut self) {
        self.task.abort();
        // That it was aborted is no news.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Plays pid 1 until it is told to end; `ended` then ends the container. `alive` is held as long as anything in
/// the container lives.
pub(super) async fn play(
    place: Place,
    manners: Manners,
    alive: mpsc::Sender<()>,
    ended: impl Fn() + Send + Sync + 'static,
) {
    let ended: Arc<dyn Fn() + Send + Sync> = Arc::new(ended);
    let mut living: Option<Living> = None;
    loop {
        let mut line = dial(&place, Role::Agent, None).await;
        while let Some((id, method, params)) = line.heard().await {
            let answer = match method.as_str() {
                agent::LIST => json!(list(living.as_ref())),
                agent::SPAWN => {
                    let spawn: Spawn = serde_json::from_value(params).unwrap();
                    let generation = spawn.generation.unwrap_or_default();
                    let (place, manners) = (place.clone(), manners.clone());
                    let (ended, alive) = (Arc::clone(&ended), alive.clone());
                    let task = tokio::spawn(async move {
                        run(place, manners, generation, ended).await;
                        drop(alive);
                    });
                    living = Some(Living { generation, task });
                    json!(Spawned { pid: 2 })
                }
                agent::KILL_GENERATION => {
                    let which: agent::KillGeneration = serde_json::from_value(params).unwrap();
                    let hit = living.take_if(|one| one.generation == which.generation);
                    let killed = u64::from(hit.is_some());
                    if let Some(hit) = hit {
                        hit.end().await;
                    }
                    json!(Killed { killed })
                }
                agent::SHUTDOWN => {
                    line.answer(id, Ok(Value::Null)).await;
                    if let Some(living) = living.take() {
                        living.end().await;
                    }
                    ended();
                    return;
                }
                _ => Value::Null,
            };
            line.answer(id, Ok(answer)).await;
        }
    }
}

fn list(living: Option<&Living>) -> ProcessList {
    let processes = living
        .iter()
        .map(|Living { generation, .. }| ProcessStarted {
            seq: 1,
            id: format!("runtime-{generation}"),
            pid: 2,
            kind: ProcessKind::Runtime,
            generation: Some(*generation),
            leaf: format!("runtime-{generation}"),
            root: None,
            argv: vec!["node".to_owned()],
            daemon: false,
            grace_ms: None,
            at_ms: 0,
        });
    ProcessList {
        processes: processes.collect(),
        seq: 1,
    }
}

/// Plays the runtime of one generation.
async fn run(place: Place, manners: Manners, generation: u64, ended: Arc<dyn Fn() + Send + Sync>) {
    let (says, mut said) = (manners.check_says.clone(), 0);
    let mut is_up = false;
    loop {
        let mut line = dial(&place, Role::Runtime, Some(generation)).await;
        loop {
            let heard = tokio::select! {
                biased;
                heard = line.heard() => heard,
                () = tokio::time::sleep(BETWEEN_CHECKS), if is_up && !says.is_empty() => {
                    let result = says[said.min(says.len() - 1)];
                    said += 1;
                    let check = json!({
                        "id": "web", "name": "Web", "result": result, "message": "so it says",
                    });
                    ask(&mut line, "set-health", check).await;
                    continue;
                }
            };
            let Some((id, method, _)) = heard else { break };
            let words = match method.as_str() {
                runtime::INIT => {
                    for (method, params) in manners.asks.clone() {
                        ask(&mut line, method, params).await;
                    }
                    let full = migrate(&place, &manners).await;
                    if manners.init_hangs {
                        continue;
                    }
                    full.or(manners.init_fails.clone())
                }
                runtime::EXIT => manners.uninit_fails.clone(),
                runtime::START => manners.start_fails.clone(),
                _ => None,
            };
            let went_well = words.is_none();
            let answer = words.map_or(Ok(Value::Null), |words| Err(RpcError::new(0, words)));
            line.answer(id, answer).await;
            match method.as_str() {
                runtime::START if manners.dies_when_up => {
                    tokio::time::sleep(BETWEEN_CHECKS).await;
                    ended();
                    return;
                }
                runtime::START => is_up = went_well,
                runtime::STOP | runtime::EXIT => is_up = false,
                _ => {}
            }
        }
    }
}

/// What an `init` does to the data; why it failed, if the disk was full.
async fn migrate(place: &Place, manners: &Manners) -> Option<String> {
    let volume = place.volumes.as_ref()?;
    if let Some(text) = &manners.writes {
        fs::write(volume.join("kept"), text).unwrap();
    }
    if manners.fills_the_disk {
        let mut file = fs::File::create(volume.join("new format")).unwrap();
        loop {
            if let Err(error) = file.write_all(&[1; 65_536]) {
                return Some(error.to_string());
            }
            // It may be killed here.
            tokio::task::yield_now().await;
        }
    }
    None
}

/// Asks the core; what it answers is heard with all else, and not looked at.
async fn ask(line: &mut Line<Stream>, method: &str, params: Value) {
    static NUMBER: AtomicI64 = AtomicI64::new(1);
    let request = Message::Request {
        id: Id::Number(NUMBER.fetch_add(1, Ordering::Relaxed)),
        method: method.to_owned(),
        params,
    };
    line.say(&request).await;
}

/// What connects, where sockets are in memory.
pub(crate) static IN_MEMORY: OnceLock<fn(&Path, u32) -> Option<DuplexStream>> = OnceLock::new();

/// A connection over the service's real socket, or one in memory.
type Stream = Either<UnixStream, DuplexStream>;

pub(crate) async fn dial(place: &Place, role: Role, generation: Option<u64>) -> Line<Stream> {
    loop {
        let memory = IN_MEMORY.get();
        let stream = match memory.and_then(|dial| dial(&place.socket, place.uid)) {
            Some(stream) => Some(Either::Right(stream)),
            None => connect_as(place.uid, &place.socket).await.map(Either::Left),
        };
        if let Some(stream) = stream
            && let Some(line) = Line::greet(stream, &place.boot, role, generation).await
        {
            return line;
        }
        tokio::time::sleep(REDIAL).await;
    }
}

/// Connects as another user, as whom the kernel then names us to the core.
async fn connect_as(uid: u32, socket: &Path) -> Option<UnixStream> {
    let socket = socket.to_owned();
    let connecting = tokio::task::spawn_blocking(move || {
        // A thread of its own: the user is a thread's, and this one shall not be used for more.
        let thread = std::thread::spawn(move || {
            // SAFETY: plain system calls on numbers; the raw ones change this thread only.
            unsafe {
                libc::syscall(libc::SYS_setresgid, uid, uid, uid);
                libc::syscall(libc::SYS_setresuid, uid, uid, uid);
            }
            let stream = StdStream::connect(&socket).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some(stream)
        });
        thread.join().ok().flatten()
    });
    UnixStream::from_std(connecting.await.ok()??).ok()
}

//! Who lives in a container in memory: an agent, and the runtimes it is asked to start. They speak the real
//! protocol over the service's socket, and redial when the core comes back.

use std::{
    os::unix::net::UnixStream as StdStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use coppice_wire::{
    Role, RpcError,
    agent::{self, Killed, ProcessKind, ProcessList, ProcessStarted, Spawn, Spawned},
    runtime,
};
use serde_json::{Value, json};
use tokio::{io::DuplexStream, net::UnixStream};
use tokio_util::either::Either;

use super::line::Line;

/// Between two tries to reach a core that is not there.
const REDIAL: Duration = Duration::from_millis(5);

/// How the package inside behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manners {
    /// Its `init` never answers.
    pub(crate) init_hangs: bool,
    /// Its `init` fails with these words.
    pub(crate) init_fails: Option<String>,
    /// Its `uninit` fails with these words.
    pub(crate) uninit_fails: Option<String>,
}

/// Where a puppet is, and who it is there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) socket: PathBuf,
    pub(crate) uid: u32,
    pub(crate) boot: String,
}

/// The generation of the runtime that lives, and its task.
type Living = Arc<Mutex<Option<(u64, tokio::task::AbortHandle)>>>;

/// Plays pid 1 until it is told to end; `ended` then ends the container.
pub(super) async fn play(place: Place, manners: Manners, ended: impl Fn() + Send + 'static) {
    let living: Living = Arc::default();
    loop {
        let mut line = dial(&place, Role::Agent, None).await;
        while let Some((id, method, params)) = line.heard().await {
            let answer = match method.as_str() {
                agent::LIST => json!(list(&living)),
                agent::SPAWN => {
                    let spawn: Spawn = serde_json::from_value(params).unwrap();
                    let generation = spawn.generation.unwrap_or_default();
                    let (place, manners) = (place.clone(), manners.clone());
                    let task = tokio::spawn(run(place, manners, generation));
                    *living.lock().unwrap() = Some((generation, task.abort_handle()));
                    json!(Spawned { pid: 2 })
                }
                agent::KILL_GENERATION => {
                    let which: agent::KillGeneration = serde_json::from_value(params).unwrap();
                    let mut living = living.lock().unwrap();
                    let hit = living.take_if(|(generation, _)| *generation == which.generation);
                    if let Some((_, task)) = &hit {
                        task.abort();
                    }
                    json!(Killed {
                        killed: u64::from(hit.is_some())
                    })
                }
                agent::SHUTDOWN => {
                    line.answer(id, Ok(Value::Null)).await;
                    if let Some((_, task)) = living.lock().unwrap().take() {
                        task.abort();
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

fn list(living: &Living) -> ProcessList {
    let living = living.lock().unwrap();
    let processes = living.iter().map(|(generation, _)| ProcessStarted {
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
async fn run(place: Place, manners: Manners, generation: u64) {
    loop {
        let mut line = dial(&place, Role::Runtime, Some(generation)).await;
        while let Some((id, method, _)) = line.heard().await {
            let words = match method.as_str() {
                runtime::INIT if manners.init_hangs => continue,
                runtime::INIT => manners.init_fails.clone(),
                runtime::EXIT => manners.uninit_fails.clone(),
                _ => None,
            };
            let answer = words.map_or(Ok(Value::Null), |words| Err(RpcError::new(0, words)));
            line.answer(id, answer).await;
        }
    }
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

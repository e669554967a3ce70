//! The socket of one service: bind, accept, hello, credentials.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coppice_clock::Mono;
use coppice_wire::{
    Decoder, HelloReply, Id, MAX_LINE_BYTES, Message, Role, RpcError, codes, encode,
    hello::{HELLO, Hello},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use super::{
    bucket::{Bucket, Pace},
    budget::{Budget, Share},
};

/// From the connection to its hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// Connections of one service that have not said hello yet.
const MAX_STRANGERS: usize = 32;
/// Longest first line, in bytes; ours has some two hundred.
const HELLO_BYTES: usize = 8 * 1024;
/// Connections of one service that speak as its agent: the newest counts, and older ones end.
const MAX_AGENTS: usize = 4;
/// Connections of one service that speak as its runtime: one, and generations that are ending.
const MAX_RUNTIMES: usize = 8;
/// Connections of one service that ask one effect: `start-container`, in a crowd.
const MAX_CALLERS: usize = 64;
/// How long a connection waits for others of its kind to end before it is refused.
const SEAT_PATIENCE: Duration = Duration::from_secs(5);
/// How fast one service may connect; the kernel keeps a queue of those who wait.
const CONNECTING: Pace = Pace {
    burst: 256,
    per_second: 50,
};

/// The socket could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on `{path}` for the service; check that /run is writable and not full")]
pub struct ListenError {
    /// The socket.
    path: PathBuf,
    /// What the kernel said.
    #[source]
    source: io::Error,
}

/// A connection, and who the kernel says is at its other end.
pub(crate) struct Connection {
    /// What it says.
    pub(crate) read: Box<dyn AsyncRead + Send + Unpin>,
    /// What it hears; dropped, it hears that there is no more.
    pub(crate) write: Box<dyn AsyncWrite + Send + Unpin>,
    /// Who it is.
    pub(crate) caller: Caller,
}

impl Connection {
    fn over(stream: UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let caller = Caller {
            uid: credentials.uid(),
            pid: credentials.pid().filter(|pid| *pid > 0),
        };
        let (read, write) = stream.into_split();
        Ok(Self {
            read: Box::new(read),
            write: Box::new(write),
            caller,
        })
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

/// A connection that said hello.
#[derive(Debug)]
pub struct Accepted {
    /// The connection, hello answered.
    pub(super) connection: Connection,
    /// What was read beyond the hello.
    pub decoder: Decoder,
    /// What it said it is.
    pub hello: Hello,
    /// Its place among the connections of its kind; kept until the connection ends.
    pub(super) seat: OwnedSemaphorePermit,
    /// What it may cost, together with others of this service.
    pub(super) share: Arc<Share>,
}

#[cfg(test)]
impl Accepted {
    /// A connection that said hello, with a budget of its own.
    pub(crate) fn greeted(stream: UnixStream, role: Role) -> Self {
        let seats = Arc::new(Semaphore::new(1));
        Self {
            connection: Connection::over(stream).expect("the kernel knows both ends of a pair"),
            decoder: Decoder::new(),
            hello: Hello {
                protocol: coppice_wire::PROTOCOL,
                oldest: coppice_wire::PROTOCOL,
                build: String::new(),
                boot: "life".into(),
                role,
                generation: Some(1),
            },
            seat: seats.try_acquire_owned().expect("one is free"),
            share: Budget::new().share(role),
        }
    }
}

/// What the kernel says of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Uid on the host.
    pub uid: u32,
    /// Pid on the host; `None` when it is in a namespace we cannot see.
    pub pid: Option<i32>,
}

/// What the connections of one service have in common.
#[derive(Debug)]
struct Common {
    id_base: u32,
    budget: Budget,
    agents: Arc<Semaphore>,
    runtimes: Arc<Semaphore>,
    callers: Arc<Semaphore>,
}

impl Common {
    fn new(id_base: u32) -> Self {
        Self {
            id_base,
            budget: Budget::new(),
            agents: Arc::new(Semaphore::new(MAX_AGENTS)),
            runtimes: Arc::new(Semaphore::new(MAX_RUNTIMES)),
            callers: Arc::new(Semaphore::new(MAX_CALLERS)),
        }
    }

    async fn seat(&self, role: Role) -> Option<OwnedSemaphorePermit> {
        let seats = Arc::clone(match role {
            Role::Agent => &self.agents,
            Role::Runtime => &self.runtimes,
            Role::Cli => &self.callers,
        });
        let seat = tokio::time::timeout(SEAT_PATIENCE, seats.acquire_owned()).await;
        seat.ok()?.ok()
    }
}

/// Accepts connections of one service until it is dropped.
///
/// What it accepted lives on, under the budget of this listener: the successor has one of its own.
#[derive(Debug)]
pub struct ServiceListener {
    accepting: tokio::task::JoinHandle<()>,
}

impl ServiceListener {
    /// Listens at `path`, replacing what an earlier core left there, and sends every connection
    /// whose uid lies in the service's own range on `connections`.
    ///
    /// # Errors
    /// [`ListenError`] when the socket cannot be made.
    pub fn bind(
        path: &Path,
        id_base: u32,
        connections: mpsc::Sender<Accepted>,
    ) -> Result<Self, ListenError> {
        #[cfg(test)]
        if let Some(door) = crate::testing::exchange::listen(path) {
            let door = Door::Memory(door);
            return Ok(Self {
                accepting: tokio::spawn(accept_loop(door, id_base, connections)),
            });
        }
        let listen = || -> io::Result<UnixListener> {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(path)?;
            // Container root owns the socket: nobody else on the host can even connect.
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
            std::os::unix::fs::chown(path, Some(id_base), Some(id_base))?;
            Ok(listener)
        };
        let listener = listen().map_err(|source| ListenError {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            accepting: tokio::spawn(accept_loop(Door::Socket(listener), id_base, connections)),
        })
    }
}

/// Where connections come in.
enum Door {
    Socket(UnixListener),
    /// In a simulation.
    #[cfg(test)]
    Memory(mpsc::UnboundedReceiver<Connection>),
}

impl Door {
    async fn accept(&mut self) -> io::Result<Connection> {
        match self {
            Self::Socket(listener) => Connection::over(listener.accept().await?.0),
            #[cfg(test)]
            Self::Memory(dialled) => match dialled.recv().await {
                Some(connection) => Ok(connection),
                None => std::future::pending().await,
            },
        }
    }
}

impl Drop for ServiceListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_loop(mut door: Door, id_base: u32, connections: mpsc::Sender<Accepted>) {
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    let common = Arc::new(Common::new(id_base));
    let mut connecting = Bucket::full(CONNECTING, Mono::now());
    loop {
        if let Err(time) = connecting.take(1, Mono::now()) {
            tokio::time::sleep(time).await;
            continue;
        }
        let connection = match door.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                // Out of descriptors, most likely: give others time to give theirs back.
                tracing::warn!(%error, "could not accept a container's connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(stranger) = Arc::clone(&strangers).try_acquire_owned() else {
            tracing::warn!("a service has too many connections without a hello; closing another");
            continue;
        };
        let (connections, common) = (connections.clone(), Arc::clone(&common));
        tokio::spawn(async move {
            let greeted = greet(connection, &common).await;
            drop(stranger);
            match greeted {
                // The service's actor is gone: so is the reason for this connection.
                Ok(accepted) => drop(connections.send(accepted).await),
                Err(why) => tracing::warn!(%why, "refused a container's connection"),
            }
        });
    }
}

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("uid {0} is not of this service")]
    Foreign(u32),
    #[error("the first line was no hello")]
    NoHello,
    #[error("it said no hello in time")]
    Silent,
    #[error("the service has too many connections as {0:?}; it must end one first")]
    Crowded(Role),
    #[error(transparent)]
    Protocol(#[from] coppice_wire::hello::NoCommonProtocol),
    #[error("could not read or write")]
    Io(#[from] io::Error),
}

async fn greet(mut connection: Connection, common: &Common) -> Result<Accepted, Refused> {
    let caller = connection.caller;
    let id_base = common.id_base;
    if !(id_base..id_base + 0x1_0000).contains(&caller.uid) {
        return Err(Refused::Foreign(caller.uid));
    }
    let mut decoder = Decoder::with_limit(HELLO_BYTES);
    let mut buffer = [0; 4096];
    let first = tokio::time::timeout(HELLO_DEADLINE, async {
        loop {
            if let Some(first) = decoder.next() {
                return Ok(first);
            }
            match connection.read.read(&mut buffer).await? {
                0 => return Err(Refused::NoHello),
                length => decoder.push(&buffer[..length]),
            }
        }
    });
    let first = first.await.map_err(|_| Refused::Silent)??;
    decoder.set_limit(MAX_LINE_BYTES);
    let Ok(Message::Request { id, method, params }) = first else {
        return Err(Refused::NoHello);
    };
    if method != HELLO {
        return Err(Refused::NoHello);
    }
    let hello: Hello = match serde_json::from_value(params) {
        Ok(hello) => hello,
        Err(error) => {
            let refusal = RpcError::invalid_params(HELLO, &error);
            answer(&mut connection, id, Err(refusal)).await?;
            return Err(Refused::NoHello);
        }
    };
    // Only container root may speak for the container; other users have nothing to say here.
    if hello.role != Role::Cli && caller.uid != id_base {
        return Err(Refused::Foreign(caller.uid));
    }
    let protocol = match hello.agree() {
        Ok(protocol) => protocol,
        Err(error) => {
            let refusal = RpcError::new(codes::INVALID_REQUEST, error.to_string());
            answer(&mut connection, id, Err(refusal)).await?;
            return Err(error.into());
        }
    };
    let Some(seat) = common.seat(hello.role).await else {
        let refused = Refused::Crowded(hello.role);
        let refusal = RpcError::new(codes::INVALID_REQUEST, refused.to_string());
        answer(&mut connection, id, Err(refusal)).await?;
        return Err(refused);
    };
    let reply = HelloReply {
        protocol,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    };
    answer(&mut connection, id, Ok(serde_json::json!(reply))).await?;
    let share = common.budget.share(hello.role);
    Ok(Accepted {
        connection,
        decoder,
        hello,
        seat,
        share,
    })
}

async fn answer(
    connection: &mut Connection,
    id: Id,
    result: Result<serde_json::Value, RpcError>,
) -> io::Result<()> {
    let line = encode(&Message::response(id, result)).map_err(io::Error::other)?;
    // One short line into an empty socket: it waits only for a peer that plays tricks.
    let written = tokio::time::timeout(HELLO_DEADLINE, connection.write.write_all(&line)).await;
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

//! The socket of one service: bind, accept, hello, credentials.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coppice_wire::{
    Decoder, HelloReply, Id, Message, Role, RpcError, codes, encode,
    hello::{HELLO, Hello},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

/// From the connection to its hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// Connections of one service that have not said hello yet.
const MAX_STRANGERS: usize = 32;
/// Connections of one service in all; agent, runtime and a crowd of CLI calls.
const MAX_CONNECTIONS: usize = 256;

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

/// A connection that said hello.
#[derive(Debug)]
pub struct Accepted {
    /// The stream, hello answered.
    pub stream: UnixStream,
    /// What was read beyond the hello.
    pub decoder: Decoder,
    /// What it said it is.
    pub hello: Hello,
    /// What the kernel says it is.
    pub caller: Caller,
    /// Its place among the connections of this service; kept until the connection ends.
    pub slot: OwnedSemaphorePermit,
}

/// What the kernel says of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Uid on the host.
    pub uid: u32,
    /// Pid on the host; `None` when it is in a namespace we cannot see.
    pub pid: Option<i32>,
}

/// Accepts connections of one service until it is dropped.
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
            accepting: tokio::spawn(accept_loop(listener, id_base, connections)),
        })
    }
}

impl Drop for ServiceListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_loop(listener: UnixListener, id_base: u32, connections: mpsc::Sender<Accepted>) {
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: give others time to give theirs back.
                tracing::warn!(%error, "could not accept a container's connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (Ok(stranger), Ok(slot)) = (
            Arc::clone(&strangers).try_acquire_owned(),
            Arc::clone(&slots).try_acquire_owned(),
        ) else {
            tracing::warn!("a service has too many connections; refusing another");
            continue;
        };
        let connections = connections.clone();
        tokio::spawn(async move {
            let greeted = tokio::time::timeout(HELLO_DEADLINE, greet(stream, id_base, slot)).await;
            drop(stranger);
            match greeted {
                // The service's actor is gone: so is the reason for this connection.
                Ok(Ok(accepted)) => drop(connections.send(accepted).await),
                Ok(Err(why)) => tracing::warn!(%why, "refused a container's connection"),
                Err(_) => tracing::warn!("a container's connection said no hello in time"),
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
    #[error(transparent)]
    Protocol(#[from] coppice_wire::hello::NoCommonProtocol),
    #[error("could not read or write")]
    Io(#[from] io::Error),
}

async fn greet(
    mut stream: UnixStream,
    id_base: u32,
    slot: OwnedSemaphorePermit,
) -> Result<Accepted, Refused> {
    let credentials = stream.peer_cred()?;
    let caller = Caller {
        uid: credentials.uid(),
        pid: credentials.pid().filter(|pid| *pid > 0),
    };
    if !(id_base..id_base + 0x1_0000).contains(&caller.uid) {
        return Err(Refused::Foreign(caller.uid));
    }
    let mut decoder = Decoder::new();
    let mut buffer = [0; 4096];
    let first = loop {
        if let Some(first) = decoder.next() {
            break first;
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(Refused::NoHello),
            length => decoder.push(&buffer[..length]),
        }
    };
    let Ok(Message::Request { id, method, params }) = first else {
        return Err(Refused::NoHello);
    };
    if method != HELLO {
        return Err(Refused::NoHello);
    }
    let hello: Hello = match serde_json::from_value(params) {
        Ok(hello) => hello,
        Err(error) => {
            answer(
                &mut stream,
                id,
                Err(RpcError::invalid_params(HELLO, &error)),
            )
            .await?;
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
            answer(&mut stream, id, Err(refusal)).await?;
            return Err(error.into());
        }
    };
    let reply = HelloReply {
        protocol,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    };
    answer(&mut stream, id, Ok(serde_json::json!(reply))).await?;
    Ok(Accepted {
        stream,
        decoder,
        hello,
        caller,
        slot,
    })
}

async fn answer(
    stream: &mut UnixStream,
    id: Id,
    result: Result<serde_json::Value, RpcError>,
) -> io::Result<()> {
    let line = encode(&Message::response(id, result)).map_err(io::Error::other)?;
    stream.write_all(&line).await
}

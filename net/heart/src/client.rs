//! The other end: what core and edge use to speak with the heart.
//!
//! ```no_run
//! use coppice_heart::client::{Core, Event};
//!
//! let core = Core::from_env()?;
//! let (sender, mut receiver) = std::sync::mpsc::channel();
//! let link = core.heart.listen(move |event| {
//!     // A channel of tokio does as well.
//!     let _ = sender.send(event);
//! })?;
//! link.ready();
//! while let Ok(event) = receiver.recv() {
//!     match event {
//!         Event::Message(answer) => println!("{answer:?}"),
//!         Event::HeartGone => break, // end within a second
//!     }
//! }
//! # Ok::<(), coppice_heart::client::ClientError>(())
//! ```
//!
//! A small thread waits for the heart's messages and calls back; sending puts a message into a
//! queue and wakes the thread. So no caller ever waits, with or without an async runtime.

use std::{
    io,
    marker::PhantomData,
    os::{
        fd::{AsFd, FromRawFd, OwnedFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::{
    channel::Channel,
    protocol::{
        CoreToHeart, HeartToCore, HeartToEdge, Listener, MAX_FRAME, Publish, UpgradeRequest, Wire,
        broken,
    },
};

/// How long somebody who is about to end waits until the reason has been said.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What happens on the link.
#[derive(Debug)]
pub enum Event<M> {
    /// The heart says something.
    Message(M),
    /// The heart has died. Nothing more will come; end within a second.
    HeartGone,
}

/// Why a child of the heart cannot speak with it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not started by the heart.
    #[error("`{name}` is not set; this program is started by `coppice heart`, not by hand")]
    NotAChild {
        /// The variable.
        name: &'static str,
    },
    /// The variable names no descriptor.
    #[error("`{name}` names no open descriptor")]
    NoDescriptor {
        /// The variable.
        name: &'static str,
    },
    /// A value could not be written as JSON, or is longer than 16 MiB.
    #[error("could not write the routing table as JSON")]
    Table(#[source] serde_json::Error),
    /// The machine is out of something.
    #[error("could not open the link to the heart")]
    Link(#[source] io::Error),
}

/// What the core inherits.
#[derive(Debug)]
pub struct Core {
    /// Requests of the CLI, whose peer is root (non-blocking).
    pub api: UnixListener,
    /// Requests that the edge passes on (non-blocking).
    pub edge: UnixListener,
    /// The link, not listening yet.
    pub heart: Heart<HeartToCore>,
}

/// What the edge inherits.
#[derive(Debug)]
pub struct Edge {
    /// Where to connect for API requests.
    pub api_socket: PathBuf,
    /// The link, not listening yet. No thread runs before [`Heart::listen`], so privileges can be
    /// dropped for all threads in between.
    pub heart: Heart<HeartToEdge>,
}

impl Core {
    /// Takes what the heart left us. Call it once, early: it makes the descriptors private.
    ///
    /// # Errors
    /// When this process was not started by the heart.
    pub fn from_env() -> Result<Self, ClientError> {
        Ok(Self {
            api: inherited("COPPICE_API_FD")?.into(),
            edge: inherited("COPPICE_EDGE_FD")?.into(),
            heart: Heart::from_env()?,
        })
    }
}

impl Edge {
    /// Takes what the heart left us. Call it once, early: it makes the descriptors private.
    ///
    /// # Errors
    /// When this process was not started by the heart.
    pub fn from_env() -> Result<Self, ClientError> {
        let name = "COPPICE_EDGE_SOCKET";
        Ok(Self {
            api_socket: std::env::var_os(name)
                .ok_or(ClientError::NotAChild { name })?
                .into(),
            heart: Heart::from_env()?,
        })
    }
}

/// A link that does not listen yet. `M` is what will come from the heart.
#[derive(Debug)]
pub struct Heart<M> {
    control: UnixStream,
    lifeline: OwnedFd,
    messages: PhantomData<fn() -> M>,
}

/// The sending side; cheap to clone. The link stays open until the process ends.
#[derive(Debug)]
pub struct Link<M> {
    outbox: Arc<Outbox>,
    messages: PhantomData<fn() -> M>,
}

impl<M> Clone for Link<M> {
    fn clone(&self) -> Self {
        Self {
            outbox: self.outbox.clone(),
            messages: PhantomData,
        }
    }
}

#[derive(Debug)]
struct Outbox {
    frames: Mutex<Vec<Vec<u8>>>,
    wake: EventFd,
    /// Told when everything that was to be sent has been.
    empty: Condvar,
}

impl Outbox {
    fn send(&self, frame: Vec<u8>) {
        self.frames
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(frame);
        // Fails only when the counter is full, and then the thread is about to wake anyway.
        let _ = self.wake.write(1);
    }

    fn take(&self) -> Vec<Vec<u8>> {
        // Reading clears the counter; an error means that it was clear.
        let _ = self.wake.read();
        std::mem::take(&mut *self.frames.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a frame behind all others and waits until it has left, for a while.
    fn send_and_wait(&self, frame: Vec<u8>) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.push(frame);
        // As in `send`.
        let _ = self.wake.write(1);
        // Whether it left in time changes nothing for somebody who is about to end.
        drop(self.empty.wait_timeout(frames, LAST_WORDS));
    }
}

impl<M: FromHeart> Heart<M> {
    fn from_env() -> Result<Self, ClientError> {
        Ok(Self {
            control: inherited("COPPICE_CONTROL_FD")?.into(),
            lifeline: inherited("COPPICE_LIFELINE_FD")?,
            messages: PhantomData,
        })
    }

    /// Starts the thread that listens. `on_event` is called on it and must not take long; the last
    /// event is [`Event::HeartGone`].
    ///
    /// # Errors
    /// [`ClientError::Link`] when there is no thread or descriptor to be had.
    pub fn listen(
        self,
        on_event: impl FnMut(Event<M>) + Send + 'static,
    ) -> Result<Link<M>, ClientError> {
        let channel =
            Channel::new(self.control, MAX_FRAME, M::WITH_FDS).map_err(ClientError::Link)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_flags(flags).map_err(|errno| ClientError::Link(errno.into()))?;
        let outbox = Arc::new(Outbox {
            frames: Mutex::default(),
            wake,
            empty: Condvar::new(),
        });
        let link = Link {
            outbox: outbox.clone(),
            messages: PhantomData,
        };
        let lifeline = self.lifeline;
        thread::Builder::new()
            .name("heart".to_owned())
            .spawn(move || listen(channel, &lifeline, &outbox, on_event))
            .map_err(ClientError::Link)?;
        Ok(link)
    }
}

impl<M> Link<M> {
    /// Says that we work.
    pub fn ready(&self) {
        // A message without content is written without error.
        if let Ok(frame) = Wire::new("ready").frame() {
            self.outbox.send(frame);
        }
    }
}

impl Link<HeartToCore> {
    /// Hands over the whole set of listeners and the table for the edge. Answered by
    /// [`HeartToCore::Listeners`].
    ///
    /// # Errors
    /// [`ClientError::Table`] when the table is no JSON; [`ClientError::Link`] when it is longer
    /// than 16 MiB.
    pub fn publish(
        &self,
        listeners: Vec<Listener>,
        table: &impl Serialize,
    ) -> Result<(), ClientError> {
        let table = to_raw_value(table).map_err(ClientError::Table)?;
        let message = Wire::from(CoreToHeart::Publish { listeners, table });
        self.outbox
            .send(message.frame().map_err(ClientError::Link)?);
        Ok(())
    }

    /// Says that we work still.
    pub fn alive(&self) {
        self.say(CoreToHeart::Alive);
    }

    /// Says why this process is about to end, and waits until that is said.
    pub fn last_words(&self, why: String) {
        if let Ok(frame) = Wire::from(CoreToHeart::Failed { why }).frame() {
            self.outbox.send_and_wait(frame);
        }
    }

    /// Asks the heart to run another program. [`HeartToCore::Upgraded`] says how that ended, to this core or to the
    /// one after it.
    pub fn upgrade(&self, request: UpgradeRequest) {
        self.say(CoreToHeart::Upgrade(request));
    }

    /// Asks the heart to end core, edge and itself.
    pub fn stop(&self) {
        self.say(CoreToHeart::Stop);
    }

    fn say(&self, message: CoreToHeart) {
        // Short messages of plain text are written without error.
        if let Ok(frame) = Wire::from(message).frame() {
            self.outbox.send(frame);
        }
    }
}

/// A kind of message from the heart.
pub trait FromHeart: Sized + 'static {
    /// Whether descriptors come with it.
    #[doc(hidden)]
    const WITH_FDS: bool;
    /// The message, given its text and how to get at the descriptors.
    #[doc(hidden)]
    fn from_json(
        json: &[u8],
        fds: &mut dyn FnMut(usize) -> io::Result<Vec<OwnedFd>>,
    ) -> io::Result<Self>;
}

impl FromHeart for HeartToCore {
    const WITH_FDS: bool = false;

    fn from_json(
        json: &[u8],
        _: &mut dyn FnMut(usize) -> io::Result<Vec<OwnedFd>>,
    ) -> io::Result<Self> {
        let wire = Wire::parse(json)?;
        match (wire.kind.as_str(), wire.failed, wire.outcome) {
            ("listeners", Some(failed), _) => Ok(Self::Listeners { failed }),
            ("retire", ..) => Ok(Self::Retire),
            ("upgraded", _, Some(outcome)) => Ok(Self::Upgraded(outcome)),
            (kind, ..) => Err(broken(&format!("a `{kind}` from the heart"))),
        }
    }
}

impl FromHeart for HeartToEdge {
    const WITH_FDS: bool = true;

    fn from_json(
        json: &[u8],
        fds: &mut dyn FnMut(usize) -> io::Result<Vec<OwnedFd>>,
    ) -> io::Result<Self> {
        let wire = Wire::parse(json)?;
        match (wire.kind.as_str(), wire.listeners, wire.table) {
            ("publish", Some(listeners), Some(table)) => {
                let sockets = fds(listeners.len())?;
                Ok(Self::Publish(Publish {
                    listeners: listeners.into_iter().zip(sockets).collect(),
                    table,
                }))
            }
            ("retire", ..) => Ok(Self::Retire),
            (kind, ..) => Err(broken(&format!("a `{kind}` from the heart"))),
        }
    }
}

/// The thread. It ends with the heart.
fn listen<M: FromHeart>(
    mut channel: Channel,
    lifeline: &OwnedFd,
    outbox: &Outbox,
    mut on_event: impl FnMut(Event<M>),
) {
    // Whatever goes wrong on this socket, there is no heart to work with any more: ending and
    // being started again is the way out.
    while let Ok(true) = turn(&mut channel, lifeline, outbox, &mut on_event) {}
    on_event(Event::HeartGone);
}

fn turn<M: FromHeart>(
    channel: &mut Channel,
    lifeline: &OwnedFd,
    outbox: &Outbox,
    on_event: &mut impl FnMut(Event<M>),
) -> io::Result<bool> {
    let mut control = PollFlags::POLLIN;
    if channel.has_unsent() {
        control |= PollFlags::POLLOUT;
    }
    let mut fds = [
        PollFd::new(channel.as_fd(), control),
        PollFd::new(lifeline.as_fd(), PollFlags::empty()),
        PollFd::new(outbox.wake.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut fds, PollTimeout::NONE) {
        Err(Errno::EINTR) => return Ok(true),
        other => other?,
    };
    // Nothing is ever written into the lifeline: anything that happens to it is its end.
    let heart_gone = fds[1].any().unwrap_or(true);
    for frame in outbox.take() {
        channel.queue(frame, Vec::new());
    }
    channel.flush()?;
    if !channel.has_unsent() {
        outbox.empty.notify_all();
    }
    let open = channel.fill()?;
    while let Some(json) = channel.next()? {
        on_event(Event::Message(M::from_json(&json, &mut |count| {
            channel.take_fds(count)
        })?));
    }
    Ok(open && !heart_gone)
}

/// The descriptor that a variable names, made private.
fn inherited(name: &'static str) -> Result<OwnedFd, ClientError> {
    let value = std::env::var(name).map_err(|_| ClientError::NotAChild { name })?;
    let number: RawFd = value
        .parse()
        .map_err(|_| ClientError::NoDescriptor { name })?;
    if number <= 2 {
        return Err(ClientError::NoDescriptor { name });
    }
    // SAFETY: the heart opened this descriptor for us and nobody else in this process knows of it;
    // the name is read once per process (`from_env` says so). Should it not be open, the next call
    // says so, and closing the number again does nothing.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        Ok(_) => Ok(fd),
        Err(_) => {
            // Not ours to close.
            std::mem::forget(fd);
            Err(ClientError::NoDescriptor { name })
        }
    }
}

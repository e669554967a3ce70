//! What heart, core and edge tell each other.
//!
//! A frame is a big-endian length of four bytes and that much JSON; the descriptors of a message
//! ride on its first byte. The heart hands the table on without looking into it.

use std::{io, net::SocketAddr, os::fd::OwnedFd, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest message.
pub(crate) const MAX_FRAME: usize = 16 << 20;

/// A socket that the heart shall hold open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The core's name for it.
    pub id: String,
    /// What it listens for.
    pub proto: Proto,
    /// Where.
    pub addr: SocketAddr,
}

/// What a listener listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proto {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A listener that is not open, and why. The heart tries again every second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedListener {
    /// Which.
    pub id: String,
    /// Why, in words.
    pub error: String,
}

/// What the core tells the heart.
#[derive(Clone, Debug)]
pub enum CoreToHeart {
    /// It works.
    Ready,
    /// This is now the whole set of listeners, and the table for the edge.
    Publish {
        /// The listeners.
        listeners: Vec<Listener>,
        /// The table.
        table: Box<RawValue>,
    },
    /// It works still; said every few seconds.
    Alive,
    /// It is about to end, for this reason.
    Failed {
        /// The reason, in words.
        why: String,
    },
    /// Run this program from now on.
    Upgrade(UpgradeRequest),
    /// End everything of Coppice but the services.
    Stop,
}

/// A program to change to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeRequest {
    /// The core's name for this try; comes back in its outcome.
    pub attempt: String,
    /// Where the program is.
    pub program: PathBuf,
}

/// How a change of program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeOutcome {
    /// Which.
    #[serde(flatten)]
    pub request: UpgradeRequest,
    /// Why everything is as before; nothing when the new program runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What the heart tells the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartToCore {
    /// The answer to every publish, and again whenever it changes: which listeners are not open.
    Listeners {
        /// Those.
        failed: Vec<FailedListener>,
    },
    /// End what you are at, close the stores, and end: another core shall have them.
    Retire,
    /// A change of program has ended. Said again to every core until there is another.
    Upgraded(UpgradeOutcome),
}

/// What the heart tells the edge.
#[derive(Debug)]
pub enum HeartToEdge {
    /// Serve this.
    Publish(Publish),
    /// Serve nothing new; end when what is open has ended.
    Retire,
}

/// What the edge is to serve: always the whole set.
#[derive(Debug)]
pub struct Publish {
    /// The open listeners, each with its socket (non-blocking, close-on-exec).
    pub listeners: Vec<(Listener, OwnedFd)>,
    /// The table, as the core wrote it.
    pub table: Box<RawValue>,
}

/// All messages in one shape. A plain struct, because only then can the table pass through as the
/// text it is.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Wire {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listeners: Option<Vec<Listener>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<Vec<FailedListener>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upgrade: Option<UpgradeRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<UpgradeOutcome>,
}

impl Wire {
    pub(crate) fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn parse(json: &[u8]) -> io::Result<Self> {
        serde_json::from_slice(json).map_err(io::Error::from)
    }

    /// The frame: length and JSON.
    pub(crate) fn frame(&self) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, self)?;
        let length = frame.len() - 4;
        if length > MAX_FRAME {
            return Err(broken("message longer than 16 MiB"));
        }
        let length = u32::try_from(length).map_err(io::Error::other)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }
}

impl From<CoreToHeart> for Wire {
    fn from(message: CoreToHeart) -> Self {
        match message {
            CoreToHeart::Ready => Self::new("ready"),
            CoreToHeart::Alive => Self::new("alive"),
            CoreToHeart::Stop => Self::new("stop"),
            CoreToHeart::Failed { why } => Self {
                why: Some(why),
                ..Self::new("failed")
            },
            CoreToHeart::Upgrade(upgrade) => Self {
                upgrade: Some(upgrade),
                ..Self::new("upgrade")
            },
            CoreToHeart::Publish { listeners, table } => Self {
                listeners: Some(listeners),
                table: Some(table),
                ..Self::new("publish")
            },
        }
    }
}

impl TryFrom<Wire> for CoreToHeart {
    type Error = io::Error;

    fn try_from(wire: Wire) -> io::Result<Self> {
        match wire {
            Wire { kind, .. } if kind == "ready" => Ok(Self::Ready),
            Wire { kind, .. } if kind == "alive" => Ok(Self::Alive),
            Wire { kind, .. } if kind == "stop" => Ok(Self::Stop),
            Wire {
                kind,
                listeners: Some(listeners),
                table: Some(table),
                ..
            } if kind == "publish" => Ok(Self::Publish { listeners, table }),
            Wire {
                kind,
                why: Some(why),
                ..
            } if kind == "failed" => Ok(Self::Failed { why }),
            Wire {
                kind,
                upgrade: Some(upgrade),
                ..
            } if kind == "upgrade" => Ok(Self::Upgrade(upgrade)),
            Wire { kind, .. } => Err(broken(&format!("a `{kind}` from the core"))),
        }
    }
}

pub(crate) fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

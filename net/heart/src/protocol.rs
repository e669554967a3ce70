//! What heart, core and edge tell each other.
//!
//! A frame is a big-endian length of four bytes and that much JSON; the descriptors of a message
//! ride on its first byte. The heart hands the table on without looking into it.

use std::{io, net::SocketAddr};

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
    /// End everything of Coppice but the services.
    Stop,
}

/// What the heart tells the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartToCore {
    /// The answer to every publish, and again whenever it changes: which listeners are not open.
    Listeners {
        /// Those.
        failed: Vec<FailedListener>,
    },
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
            CoreToHeart::Stop => Self::new("stop"),
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
        match (wire.kind.as_str(), wire.listeners, wire.table) {
            ("ready", ..) => Ok(Self::Ready),
            ("stop", ..) => Ok(Self::Stop),
            ("publish", Some(listeners), Some(table)) => Ok(Self::Publish { listeners, table }),
            (kind, ..) => Err(broken(&format!("a `{kind}` from the core"))),
        }
    }
}

pub(crate) fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

//! The first exchange of a connection.
//!
//! The dialler's first line is a request `hello` with id 0; anything else ends the connection. The
//! host knows the service from the socket and the uid from the peer credentials: nothing in here
//! is believed about who calls, only about which dialect it speaks.

use serde::{Deserialize, Serialize};

/// The dialect this build speaks.
pub const PROTOCOL: u32 = 1;
/// The oldest dialect this build still understands.
pub const OLDEST: u32 = 1;
/// Method name of [`Hello`].
pub const HELLO: &str = "hello";

/// What dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Pid 1 of the container. One connection at a time; a newer one replaces an older.
    Agent,
    /// The Node process that runs package JavaScript. One per generation.
    Runtime,
    /// `start-container` calling one effect.
    Cli,
}

/// Who speaks, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Newest dialect the dialler speaks.
    pub protocol: u32,
    /// Oldest dialect the dialler speaks.
    pub oldest: u32,
    /// Version of the dialler, for people.
    pub build: String,
    /// Uuid of this life of the container; a new one means everything in it is new.
    pub boot: String,
    /// What dials.
    pub role: Role,
    /// The runtime's generation; `None` for the agent.
    #[serde(default)]
    pub generation: Option<u64>,
}

/// The host's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The dialect both will speak.
    pub protocol: u32,
    /// Version of the host, for people.
    pub build: String,
}

/// The two sides share no dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the container speaks protocol {theirs_oldest} to {theirs}, this Coppice {OLDEST} to \
     {PROTOCOL}; restart the service to give it the present agent"
)]
pub struct NoCommonProtocol {
    /// Newest dialect of the dialler.
    pub theirs: u32,
    /// Oldest dialect of the dialler.
    pub theirs_oldest: u32,
}

impl Hello {
    /// The newest dialect both sides know.
    ///
    /// # Errors
    /// [`NoCommonProtocol`] when the ranges do not meet.
    pub fn agree(&self) -> Result<u32, NoCommonProtocol> {
        let newest = self.protocol.min(PROTOCOL);
        if newest < self.oldest.max(OLDEST) {
            return Err(NoCommonProtocol {
                theirs: self.protocol,
                theirs_oldest: self.oldest,
            });
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(oldest: u32, protocol: u32) -> Hello {
        Hello {
            protocol,
            oldest,
            build: "t".into(),
            boot: "b".into(),
            role: Role::Agent,
            generation: None,
        }
    }

    #[test]
    fn the_newest_common_dialect_is_spoken() {
        assert_eq!(hello(1, 1).agree(), Ok(1));
        assert_eq!(hello(1, 7).agree(), Ok(1));
        assert!(hello(2, 7).agree().is_err());
        assert!(hello(0, 0).agree().is_err());
    }

    #[test]
    fn a_hello_reads_as_in_the_contract() {
        let line = r#"{"protocol":1,"oldest":1,"build":"0.1.0","boot":"u","role":"runtime","generation":3}"#;
        let read: Hello = serde_json::from_str(line).unwrap();
        assert_eq!((read.role, read.generation), (Role::Runtime, Some(3)));
    }
}

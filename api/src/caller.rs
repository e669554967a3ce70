//! Who calls, and what that allows.
//!
//! Invariant: a caller is made from the socket and the session that a request came with, never
//! from anything the request says of itself.

use serde::{Deserialize, Serialize};

/// The one account there is at first.
pub(crate) const ADMIN: &str = "admin";

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything but what is kept for root on the machine itself.
    Admin,
}

impl Role {
    /// Whether this role may do what `required` may.
    #[must_use]
    pub const fn covers(self, required: Self) -> bool {
        match (self, required) {
            (Self::Admin, Self::Admin) => true,
        }
    }

    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
        }
    }
}

/// Who calls a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Root on this machine, over the root-only socket.
    Root,
    /// Somebody who signed in.
    Session {
        /// Whose session it is.
        account: String,
        /// What the account may do.
        role: Role,
        /// Id of the session: the hash of its token.
        id: String,
    },
    /// Nobody in particular.
    Anonymous,
}

impl Caller {
    /// The name under which what it does is recorded.
    #[must_use]
    pub fn account(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Session { account, .. } => account,
            Self::Anonymous => "anonymous",
        }
    }

    /// The role under which what it does is recorded.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Session { role, .. } => role.name(),
            Self::Anonymous => "none",
        }
    }
}

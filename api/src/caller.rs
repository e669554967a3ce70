//! Who calls, and what that allows.
//!
//! Invariant: a caller is made from the socket and the credential that a request came with, never
//! from anything the request says of itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

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

/// How much of what its account may do a token or a key may do. Each holds the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// What changes nothing.
    Read,
    /// And what is done with services and packages.
    Services,
    /// And all the rest, but for what is asked of a person: passwords, sessions, tokens, keys.
    Admin,
}

impl Scope {
    /// Its name on the wire and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Services => "services",
            Self::Admin => "admin",
        }
    }
}

/// With what somebody showed who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A session: somebody typed the password.
    Session {
        /// The hash of its token.
        id: Arc<str>,
    },
    /// A bearer token.
    Token {
        /// The hash of the token.
        id: Arc<str>,
        /// What it may do.
        scope: Scope,
    },
    /// A signature of the request.
    Key {
        /// The hash of the public key.
        id: Arc<str>,
        /// What it may do.
        scope: Scope,
    },
}

impl Credential {
    /// The id it is listed under.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Session { id } | Self::Token { id, .. } | Self::Key { id, .. } => id,
        }
    }

    /// What it may do of all that its account may; `None`: everything.
    #[must_use]
    pub const fn scope(&self) -> Option<Scope> {
        match self {
            Self::Session { .. } => None,
            Self::Token { scope, .. } | Self::Key { scope, .. } => Some(*scope),
        }
    }
}

/// Who calls a method. Clones share its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Root on this machine, over the root-only socket.
    Root,
    /// Somebody with an account.
    Account {
        /// Its name.
        name: Arc<str>,
        /// What the account may do.
        role: Role,
        /// With what they showed who they are.
        with: Credential,
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
            Self::Account { name, .. } => name,
            Self::Anonymous => "anonymous",
        }
    }

    /// The role under which what it does is recorded.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Account { role, .. } => role.name(),
            Self::Anonymous => "none",
        }
    }

    /// With what it showed who it is.
    #[must_use]
    pub const fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Account { with, .. } => Some(with),
            Self::Root | Self::Anonymous => None,
        }
    }

    /// The id of its session, when it has one.
    #[must_use]
    pub const fn session(&self) -> Option<&Arc<str>> {
        match self.credential() {
            Some(Credential::Session { id }) => Some(id),
            Some(Credential::Token { .. } | Credential::Key { .. }) | None => None,
        }
    }

    /// The account whose password, tokens and keys it looks after. Root does so for the one there is.
    #[must_use]
    pub fn own(&self) -> (&str, Role) {
        match self {
            Self::Account { name, role, .. } => (name, *role),
            Self::Root | Self::Anonymous => (ADMIN, Role::Admin),
        }
    }
}

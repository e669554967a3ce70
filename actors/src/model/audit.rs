//! `/private/audit`: who asked for what. Bounded, and without any parameter that may hold a secret.

use std::net::IpAddr;

use coppice_clock::Wall;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One call that changed something, or was to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// When it ended.
    #[ts(type = "string")]
    pub at: Wall,
    /// Who asked: an account, `root`, or `anonymous`.
    pub account: String,
    /// In which role.
    pub role: String,
    /// With what they showed who they are; null for root and strangers, and in rows from before this
    /// was recorded.
    #[serde(default)]
    pub with: Option<ShownBy>,
    /// From which address; null for root on the machine itself.
    pub from: Option<IpAddr>,
    /// What was asked for: the method.
    pub method: String,
    /// Of what: ids only, for example of a service, or of a service and its action.
    pub object: Option<String>,
    /// The number of the kind of problem it ended with; null when it was done.
    pub error: Option<i32>,
}

/// With what somebody showed who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ShownBy {
    /// `session`, `token` or `key`.
    pub kind: String,
    /// The id it is listed under: a hash, which opens nothing.
    pub id: String,
    /// What it may do; null: all that its account may.
    pub scope: Option<String>,
}

/// Rows that are kept together. What strangers try has rows of its own, so that no stranger can
/// push out what people have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditTrail {
    /// Root, and people who signed in.
    People,
    /// All others.
    Strangers,
}

impl AuditTrail {
    /// Both.
    pub const ALL: [Self; 2] = [Self::People, Self::Strangers];

    /// Its name in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Strangers => "strangers",
        }
    }

    /// Rows kept; the oldest go first.
    #[must_use]
    pub const fn bound(self) -> usize {
        match self {
            Self::People => 1000,
            Self::Strangers => 100,
        }
    }
}

//! `/private/receipts`: what the server found and did about itself, for whoever looks after it. Bounded.

use coppice_clock::Wall;
use coppice_containers::Finding;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptRow {
    /// When.
    #[ts(type = "string")]
    pub at: Wall,
    /// Of what.
    #[serde(flatten)]
    pub of: ReceiptOf,
}

/// What a receipt is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum ReceiptOf {
    /// A start of the core, which takes over what runs and removes what is left over.
    Start {
        /// Coppice's version.
        version: String,
        /// What was left over. Empty: nothing was.
        #[ts(type = "Array<{ kind: string, what: string, failure: string | null }>")]
        found: Vec<Finding>,
    },
    /// The first time that a core made the firewall what it should be.
    Firewall {
        /// Rules that should not have been there.
        #[ts(type = "Array<{ kind: string, what: string, failure: string | null }>")]
        found: Vec<Finding>,
    },
    /// A change to another program.
    Upgrade {
        /// Which try.
        attempt: String,
        /// The program.
        program: String,
        /// The version that says so, which is the one that runs since.
        version: String,
        /// Why everything is as before; null when the program runs.
        problem: Option<String>,
    },
}

/// Receipts that are kept; the oldest go first.
pub const MOST_RECEIPTS: usize = 100;

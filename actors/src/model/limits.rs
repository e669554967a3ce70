//! What a service may use, where its owner has said so.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The owner's own limits for a service. What is null is Coppice's to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ChosenLimits {
    /// Memory in bytes, page cache included.
    #[ts(type = "number | null")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Share of the processor when it is scarce; 100 is usual.
    pub cpu_weight: Option<u16>,
}

//! What each service uses as a whole.

use std::collections::BTreeMap;

use serde::Serialize;
use ts_rs::TS;

use super::Coppice;
use crate::{
    model::{Cause, PackageEntry},
    service::{ServiceContext, limits},
};

/// What a service uses, its container and all that runs in it. `None`: it has no container, or nothing on this machine
/// counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ServiceUsage {
    /// Its container, while it has one.
    pub container: Option<String>,
    /// Processor time since the container was made, in microseconds.
    #[ts(type = "number | null")]
    pub cpu_us: Option<u64>,
    /// Memory in bytes, without page cache that was not used lately.
    #[ts(type = "number | null")]
    pub memory_bytes: Option<u64>,
    /// The most memory that it may use, in bytes.
    #[ts(type = "number | null")]
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    #[ts(type = "number | null")]
    pub pids: Option<u64>,
    /// How many of the restart records that are kept tell of a part that ended by itself or failed.
    #[ts(type = "number")]
    pub restarts: usize,
}

impl Coppice {
    /// What every service uses now.
    pub async fn usage(&self) -> BTreeMap<String, ServiceUsage> {
        let host = self.host();
        let mut all = BTreeMap::new();
        for (id, entry) in host.document.packages() {
            let mut usage = match host.service(&id) {
                Some(service) => measured(&service).await,
                None => ServiceUsage::default(),
            };
            usage.memory_limit_bytes = limits::effective(&entry.limits).memory_bytes;
            usage.restarts = failures(&entry);
            all.insert(id, usage);
        }
        all
    }
}

async fn measured(service: &ServiceContext) -> ServiceUsage {
    let backend = &service.host.backend;
    // Without a container nothing is used.
    let Ok(usage) = backend.usage(&service.instance, None).await else {
        return ServiceUsage::default();
    };
    ServiceUsage {
        container: Some(service.instance.to_string()),
        cpu_us: usage.cpu_us,
        memory_bytes: usage.working_set_bytes,
        pids: usage.pids,
        ..ServiceUsage::default()
    }
}

/// What its owner asked for is on record, too, and is no failure.
fn failures(entry: &PackageEntry) -> usize {
    let records = entry.restarts.values();
    records
        .filter(|record| !matches!(record.cause, Cause::Operator { .. }))
        .count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::StateInfo;

    #[test]
    fn what_an_owner_asked_for_is_not_counted_as_a_failure() {
        let mut entry = PackageEntry::bare(StateInfo::Installed {
            manifest: json!({}),
        });
        let causes = [
            json!({ "kind": "signal", "signal": 9 }),
            json!({ "kind": "operator", "by": { "who": "coppice" }, "asked": "restart" }),
            json!({ "kind": "exit", "code": 1 }),
        ];
        for (seq, cause) in (1..).zip(causes) {
            let record = json!({
                "seq": seq, "at": "2026-11-27T01:00:00.000Z", "what": "daemon main", "cause": cause,
                "action": "started again", "ranMs": null, "logs": [],
            });
            let record = serde_json::from_value(record).unwrap();
            entry.restarts.insert(seq, record);
        }
        assert_eq!(failures(&entry), 2);
    }
}

//! The living daemons of a service as they are shown, with what they use.
//!
//! Usage is looked up only for somebody: when a client follows the document ([`crate::usage`]) or
//! somebody asks for it. Invariant: what is shown is published as it changes, in order, and never
//! stored.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use coppice_clock::Wall;
use coppice_containers::Segment;
use coppice_wire::agent::{ProcessKind, ProcessStarted};

use super::super::ServiceContext;
use crate::model::{DaemonOwner, DaemonReport, DaemonUsage};

/// The daemons that are shown, by the agent's names for them.
#[derive(Debug, Default)]
pub struct Shown(Mutex<BTreeMap<String, DaemonReport>>);

impl Shown {
    pub(super) fn add(&self, service: &ServiceContext, name: &str, process: &ProcessStarted) {
        let owner = match process.kind {
            ProcessKind::Host => DaemonOwner::Host,
            ProcessKind::Runtime | ProcessKind::Leader | ProcessKind::Exec => DaemonOwner::Package,
        };
        let report = DaemonReport {
            name: name.to_owned(),
            owner,
            pid: process.pid,
            since: Wall::from_millis(process.at_ms),
            leaf: process.leaf.clone(),
            usage: DaemonUsage::default(),
        };
        self.change(service, |all| {
            all.insert(process.id.clone(), report);
        });
    }

    pub(super) fn remove(&self, service: &ServiceContext, process: &str) {
        self.change(service, |all| {
            all.remove(process);
        });
    }

    /// Whether this is the leaf of a daemon that the host keeps running.
    pub(super) fn is_hosted(&self, leaf: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values()
            .any(|one| one.owner == DaemonOwner::Host && one.leaf == leaf)
    }

    /// None is left, or none is known of.
    pub fn clear(&self, service: &ServiceContext) {
        self.change(service, BTreeMap::clear);
    }

    /// What is shown now.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, DaemonReport> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks up what each uses.
    pub async fn measure(&self, service: &ServiceContext) {
        let mut found = BTreeMap::new();
        for report in self.all().into_values() {
            let Ok(leaf) = Segment::new(report.leaf.as_str()) else {
                continue;
            };
            if found.contains_key(&report.leaf) {
                continue;
            }
            let backend = &service.host.backend;
            // A container that is gone is told of by its own actor.
            if let Ok(usage) = backend.usage(&service.instance, Some(&leaf)).await {
                found.insert(report.leaf, DaemonUsage::from(usage));
            }
        }
        self.change(service, |all| {
            for report in all.values_mut() {
                if let Some(usage) = found.get(&report.leaf) {
                    report.usage = usage.clone();
                }
            }
        });
    }

    /// Published under the lock, so that what is seen last is what was changed last.
    fn change(
        &self,
        service: &ServiceContext,
        change: impl FnOnce(&mut BTreeMap<String, DaemonReport>),
    ) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut all);
        service.host.document.publish_daemons(&service.id, &all);
    }
}

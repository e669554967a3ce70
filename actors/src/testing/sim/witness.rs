//! Looks at every step in the moment of it, and at the restart records afterwards.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    model::Model,
    recorder::{Recorder, Step},
};
use crate::{host::Host, model::RestartRecord, service::ContainerPhase};

/// What was seen of one service since it was at rest last.
#[derive(Debug, Default)]
struct Seen {
    /// Failures that must be on record.
    failures: u64,
    /// The last record then; unknown when its entry or the core is another by now.
    since: Option<u64>,
}

pub(super) struct Witness {
    model: Model,
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
}

impl Witness {
    pub(super) fn new(model: Model) -> Self {
        Self {
            model,
            seen: Arc::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many failures were seen that must be on record, since each service was at rest last.
    pub(super) fn failures(&self) -> u64 {
        self.seen().values().map(|seen| seen.failures).sum()
    }

    /// Looks at this life of the core.
    pub(super) fn begin(&self, host: &Arc<Host>, recorder: &Recorder) {
        // A record that was on its way when the core was cut is lost.
        self.seen().clear();
        let (host, model, seen) = (
            Arc::downgrade(host),
            self.model.clone(),
            Arc::clone(&self.seen),
        );
        recorder.witnessed_by(Some(Box::new(move |step| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            look(&host, &model, &mut seen, step)
        })));
    }

    /// Whether every failure of a service at rest is on record.
    pub(super) fn rested(&self, host: &Host, id: &str) -> Result<(), String> {
        let mut all = self.seen();
        let seen = all.entry(id.to_owned()).or_default();
        let records = host.document.package(id).map(|entry| entry.restarts);
        let last = records
            .as_ref()
            .map(|records| records.keys().next_back().copied().unwrap_or(0));
        if let (Some(since), Some(last)) = (seen.since, last)
            && last < since + seen.failures
        {
            return Err(format!(
                "{id} failed {} times after record {since}, and the last record is {last}",
                seen.failures
            ));
        }
        let unexplained =
            |record: &RestartRecord| record.action.is_empty() || record.what.is_empty();
        if records.iter().flat_map(BTreeMap::values).any(unexplained) {
            return Err(format!("a record of {id} does not say what was done"));
        }
        *seen = Seen {
            failures: 0,
            since: last,
        };
        Ok(())
    }
}

fn look(
    host: &Weak<Host>,
    model: &Model,
    seen: &mut BTreeMap<String, Seen>,
    step: &Step,
) -> Result<(), String> {
    let Some(host) = host.upgrade() else {
        return Ok(());
    };
    let id = step.whose.as_str();
    let entered = step.from != step.to;
    match (step.machine.as_str(), step.to.as_str()) {
        ("runtime", "Starting" | "Running") if step.input == "Desired" => {
            let entry = host.document.package(id);
            if !entry.is_some_and(|entry| entry.status_info.desired.wants_running()) {
                return Err(format!(
                    "{id} is up or started, which the document does not want"
                ));
            }
            if model.must_stay_down(id) {
                return Err(format!(
                    "{id} is started after its user was told it is stopped"
                ));
            }
        }
        ("container", "Creating") if entered && host.document.package(id).is_none() => {
            return Err(format!(
                "a container is made for {id}, which is not in the document"
            ));
        }
        ("container", "Up") if entered && step.from == "Looking" => {
            let service = host.service(id);
            if service.is_some_and(|service| service.custody.is_condemned()) {
                return Err(format!("the condemned container of {id} was adopted"));
            }
        }
        ("container", "Failed") => seen.entry(id.to_owned()).or_default().failures += 1,
        ("runtime", "Failed") => {
            let service = host.service(id);
            if service.is_some_and(|one| *one.container.borrow() == ContainerPhase::Up) {
                seen.entry(id.to_owned()).or_default().failures += 1;
            }
        }
        // Its records begin anew, or go with it.
        ("install" | "update" | "uninstall", _) => {
            if step.input == "found" && step.machine != "update" {
                model.finishes(id);
            }
            seen.insert(id.to_owned(), Seen::default());
        }
        _ => {}
    }
    Ok(())
}

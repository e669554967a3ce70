//! How a service is, in one word.

use coppice_clock::Wall;
use serde::Serialize;
use serde_json::Value;
use ts_rs::TS;

use super::Coppice;
use crate::{
    model::{DesiredStatus, HealthResult, PackageEntry, StateInfo},
    service::tasks,
};

/// How a service is, in one word with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSummary {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// Its version.
    pub version: String,
    /// One of `stopped`, `starting`, `running`, `stopping`, `restarting`, `unhealthy`, `error`,
    /// `parked`, `held`, `installing`, `updating`, `removing`, `needs-task`, `backing-up`.
    pub status: String,
    /// Why, when there is something to say.
    pub detail: Option<String>,
    /// Since when it runs.
    #[ts(type = "string | null")]
    pub started: Option<Wall>,
    /// Its own HTTPS address, when it has an interface for a browser.
    pub address: Option<String>,
}

impl Coppice {
    pub(super) fn summary(&self, id: &str, entry: &PackageEntry) -> ServiceSummary {
        let title = entry.state_info.manifest().get("title");
        let (status, detail) = describe(entry);
        let named = crate::hosts::named_binding(&entry.hosts).is_some();
        let network = &self.host().network;
        let port = match network.listening.https {
            443 => String::new(),
            port => format!(":{port}"),
        };
        ServiceSummary {
            id: id.to_owned(),
            title: title.and_then(Value::as_str).unwrap_or_default().to_owned(),
            version: entry.state_info.version().to_owned(),
            status: status.to_owned(),
            detail,
            started: entry.status_info.started,
            address: named.then(|| format!("https://{}{port}", network.service_name(id))),
        }
    }
}

/// The word for a service's state, and its reason.
fn describe(entry: &PackageEntry) -> (&'static str, Option<String>) {
    let status = &entry.status_info;
    if !matches!(entry.state_info, StateInfo::Installed { .. }) {
        return (entry.state_info.name(), None);
    }
    if let Some(parked) = &entry.parked
        && status.desired.wants_running()
    {
        return ("parked", Some(parked.reason.clone()));
    }
    if let Some(held) = &entry.held
        && status.desired.wants_running()
    {
        return ("held", Some(held.reason.clone()));
    }
    if let Some(error) = &status.error {
        return ("error", Some(error.details.clone()));
    }
    match (status.desired, status.started) {
        (DesiredStatus::Stopped, None) => match tasks::blocking(entry) {
            Some(task) => (
                "needs-task",
                Some(
                    task.reason
                        .clone()
                        .unwrap_or_else(|| task.action_id.clone()),
                ),
            ),
            None => ("stopped", None),
        },
        (DesiredStatus::Stopped, Some(_)) => ("stopping", None),
        (DesiredStatus::Restarting { .. }, _) => ("restarting", None),
        (DesiredStatus::BackingUp { .. }, _) => ("backing-up", None),
        (DesiredStatus::Running, None) => ("starting", None),
        (DesiredStatus::Running, Some(_)) => {
            let says = |results: &[HealthResult]| {
                let mut checks = status.health.values();
                checks
                    .find(|check| results.contains(&check.result))
                    .map(|check| {
                        let message = check
                            .message
                            .as_deref()
                            .map(|text| format!(": {text}"))
                            .unwrap_or_default();
                        format!("{}{message}", check.name)
                    })
            };
            if let Some(detail) = says(&[HealthResult::Failure]) {
                ("unhealthy", Some(detail))
            } else if let Some(detail) = says(&[
                HealthResult::Starting,
                HealthResult::Waiting,
                HealthResult::Loading,
            ]) {
                ("starting", Some(detail))
            } else {
                ("running", None)
            }
        }
    }
}

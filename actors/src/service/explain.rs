//! Why a service is as it is, decided from what the document says of it and of what it requires.
//!
//! Pure: the caller passes how an entry is read, so that only the entries on the way are.
//!
//! Invariant: a circle of services that wait for one another is no reason to wait. Each of them is
//! tried as if its requirement were met, or none would ever be.

use std::collections::BTreeSet;

use super::tasks;
use crate::{
    disk::Room,
    model::{
        Cause, DependencyKind, DesiredStatus, HealthResult, Link, PackageEntry, StateInfo, WaitsFor,
    },
};

/// Reads the entry of a service.
pub(crate) type Read<'a> = &'a dyn Fn(&str) -> Option<PackageEntry>;

/// What keeps something that failed from being tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// What has to come first.
    pub(crate) waits_for: WaitsFor,
    /// Why that is missing, nearest first.
    pub(crate) because: Vec<Link>,
}

/// What keeps this service from being tried again, if anything does.
///
/// A full disk does whatever is wanted; a dependency only while the service shall run. A service
/// that is being installed or removed is never kept: its job has to come to an end.
pub(crate) fn obstacle(id: &str, room: Room, read: Read<'_>) -> Option<Obstacle> {
    let entry = read(id)?;
    if !matches!(entry.state_info, StateInfo::Installed { .. }) {
        return None;
    }
    if let Room::Full { free } = room {
        return Some(Obstacle {
            waits_for: WaitsFor::Room,
            because: vec![Link::DiskFull { free }],
        });
    }
    let (id, because) = missing(id, &entry, read, &mut BTreeSet::new()).ok()??;
    Some(Obstacle {
        waits_for: WaitsFor::Dependency { id },
        because,
    })
}

/// The dependency that a service waits for and that is on its way up, whatever state the service itself is in.
pub(crate) fn coming(id: &str, read: Read<'_>) -> Option<String> {
    let entry = read(id)?;
    let (dependency, because) = missing(id, &entry, read, &mut BTreeSet::new()).ok()??;
    matches!(because.last(), Some(Link::Starting { .. })).then_some(dependency)
}

/// Why a service is not running well; nothing when it is.
pub(crate) fn standing(id: &str, read: Read<'_>) -> Vec<Link> {
    let health = read(id).map(|entry| entry.status_info.health);
    let reported = health.into_iter().flatten();
    // One that its package switched off says nothing against it.
    let on = reported.filter(|(_, report)| report.result != HealthResult::Disabled);
    let checks: Vec<String> = on.map(|(check, _)| check).collect();
    down(id, &checks, read, &mut BTreeSet::new()).unwrap_or_default()
}

/// The explanation leads back to where it began.
struct Circle;

/// The first requirement of a service that shall run which is not met, and why it is not.
fn missing(
    id: &str,
    entry: &PackageEntry,
    read: Read<'_>,
    seen: &mut BTreeSet<String>,
) -> Result<Option<(String, Vec<Link>)>, Circle> {
    if !entry.status_info.desired.wants_running() {
        return Ok(None);
    }
    if !seen.insert(id.to_owned()) {
        return Err(Circle);
    }
    let mut found = Ok(None);
    for (dependency, required) in &entry.current_dependencies {
        let DependencyKind::Running { health_checks } = &required.kind else {
            continue;
        };
        match down(dependency, health_checks, read, seen) {
            Ok(because) if because.is_empty() => {}
            Ok(because) => {
                found = Ok(Some((dependency.clone(), because)));
                break;
            }
            Err(Circle) => found = Err(Circle),
        }
    }
    seen.remove(id);
    found
}

/// Why a service does not run with these checks well, nearest first; empty when it does.
fn down(
    id: &str,
    checks: &[String],
    read: Read<'_>,
    seen: &mut BTreeSet<String>,
) -> Result<Vec<Link>, Circle> {
    let service = id.to_owned();
    let Some(entry) = read(id) else {
        return Ok(vec![Link::Missing { service }]);
    };
    match entry.state_info {
        StateInfo::Installed { .. } => {}
        // One version or the other of it will be up.
        StateInfo::Updating { .. } => return Ok(vec![Link::Starting { service }]),
        StateInfo::Installing { .. } | StateInfo::Removing { .. } => {
            return Ok(vec![Link::Missing { service }]);
        }
    }
    let status = &entry.status_info;
    if !status.desired.wants_running() && status.started.is_none() {
        return Ok(vec![at_rest(service, &entry)]);
    }
    if let Some(parked) = &entry.parked {
        let mut links = vec![Link::Parked { service }];
        links.extend(parked.because.iter().cloned());
        return Ok(links);
    }
    if let Some(held) = &entry.held {
        let mut links = vec![Link::Held { service }];
        match &held.waits_for {
            WaitsFor::Room => links.extend(held.because.iter().cloned()),
            // What it waits for may stand otherwise now.
            WaitsFor::Dependency { .. } => {
                let behind = missing(id, &entry, read, seen)?;
                links.extend(behind.into_iter().flat_map(|(_, because)| because));
            }
        }
        return Ok(links);
    }
    let Some(link) = unwell(service, &entry, checks) else {
        return Ok(Vec::new());
    };
    let mut links = vec![link];
    // What it requires itself may be why.
    let behind = missing(id, &entry, read, seen)?;
    links.extend(behind.into_iter().flat_map(|(_, because)| because));
    Ok(links)
}

/// How a service stands that is not wanted running.
fn at_rest(service: String, entry: &PackageEntry) -> Link {
    if let DesiredStatus::BackingUp { .. } = entry.status_info.desired {
        return Link::Starting { service };
    }
    match tasks::blocking(entry) {
        Some(task) => Link::NeedsTask {
            service,
            action: task.action_id.clone(),
            reason: task.reason.clone(),
        },
        None => Link::Stopped { service },
    }
}

/// What is wrong with a service that is up or on its way, if anything is.
fn unwell(service: String, entry: &PackageEntry, checks: &[String]) -> Option<Link> {
    let status = &entry.status_info;
    if status.started.is_none() {
        return Some(match &status.error {
            Some(error) => Link::Failed {
                service,
                what: "start".to_owned(),
                cause: Cause::StartFailed {
                    message: error.details.clone(),
                },
            },
            None => Link::Starting { service },
        });
    }
    let bad = |id: &&String| {
        let report = status.health.get(id.as_str());
        report.is_none_or(|report| report.result != HealthResult::Success)
    };
    let failing = checks.iter().filter(bad).find_map(|id| {
        let report = status.health.get(id)?;
        (report.result == HealthResult::Failure).then_some(report)
    });
    if let Some(report) = failing {
        return Some(Link::Unwell {
            service,
            check: report.name.clone(),
            message: report.message.clone(),
        });
    }
    checks
        .iter()
        .any(|id| bad(&id))
        .then_some(Link::Starting { service })
}

#[cfg(test)]
mod tests;

//! What is seen of a new version while it has to prove itself.

use std::collections::BTreeSet;

use super::gate::Input;
use crate::{
    model::{Cause, HealthReport, HealthResult, PackageEntry},
    problem::Problem,
    service::{RuntimePhase, ServiceContext, explain, tasks},
    words,
};

/// Its parts may die and be started again so often.
const DEATHS: usize = 3;

/// What was there when the look-out began.
#[derive(Debug)]
pub(super) struct Sight {
    /// Checks that do not count: they failed before the update, too.
    ignored: BTreeSet<String>,
    /// How often container or runtime had failed.
    failures: u64,
    /// The last restart record.
    records: u64,
}

impl Sight {
    pub(super) fn of(service: &ServiceContext, ignored: BTreeSet<String>) -> Result<Self, Problem> {
        let records = service.entry()?.restarts;
        Ok(Self {
            ignored,
            failures: service.failures.borrow().0,
            records: records.keys().next_back().copied().unwrap_or_default(),
        })
    }

    pub(super) fn look(&self, service: &ServiceContext) -> Input {
        let (failures, words) = service.failures.borrow().clone();
        if failures > self.failures {
            return Input::Lost(words);
        }
        let phase = service.phase.borrow().clone();
        match service.entry() {
            Ok(entry) => match self.seen(&entry, &phase) {
                Input::Ill(what) => {
                    blamed(&service.id, what, &|id| service.host.document.package(id))
                }
                other => other,
            },
            Err(problem) => Input::Lost(problem.details),
        }
    }

    fn seen(&self, entry: &PackageEntry, phase: &RuntimePhase) -> Input {
        if let Some(parked) = &entry.parked {
            return Input::Lost(parked.reason.clone());
        }
        let asked = |cause: &Cause| {
            matches!(
                cause,
                Cause::Operator { .. } | Cause::ConfigurationMissing { .. }
            )
        };
        let new = entry.restarts.range(self.records + 1..);
        let deaths: Vec<_> = new.filter(|(_, record)| !asked(&record.cause)).collect();
        if let (true, Some((_, last))) = (deaths.len() > DEATHS, deaths.last()) {
            return Input::Lost(format!(
                "its {} {}, and what it runs died {} times",
                last.what,
                words::happened(&last.cause),
                deaths.len()
            ));
        }
        let status = &entry.status_info;
        if !status.desired.wants_running() {
            return match tasks::blocking(entry) {
                Some(_) => Input::NeedsOwner,
                None => Input::Lost("its package stopped it".to_owned()),
            };
        }
        let counts = |of: &[HealthResult]| {
            let mut checks = status.health.iter();
            let found = checks
                .find(|(id, check)| of.contains(&check.result) && !self.ignored.contains(*id));
            found.map(|(_, check)| said(check))
        };
        if let Some(check) = counts(&[HealthResult::Failure]) {
            return Input::Ill(check);
        }
        if let Some(error) = &status.error {
            return Input::Ill(error.details.clone());
        }
        if !phase.is_up() || status.started.is_none() {
            return Input::Coming("it is not up yet".to_owned());
        }
        // One that is loading runs, and may be at it for days.
        match counts(&[HealthResult::Starting, HealthResult::Waiting]) {
            Some(check) => Input::Coming(check),
            None => Input::Well,
        }
    }
}

/// What says that it does not work, while a dependency that it needs is on its way, may mean that one.
fn blamed(id: &str, what: String, read: explain::Read<'_>) -> Input {
    match explain::coming(id, read) {
        Some(dependency) => {
            Input::Coming(format!("{what}, and its dependency {dependency} is not up"))
        }
        None => Input::Ill(what),
    }
}

fn said(check: &HealthReport) -> String {
    let message = check.message.as_deref();
    let message = message.map(|text| format!(": {text}")).unwrap_or_default();
    let result = format!("{:?}", check.result).to_lowercase();
    format!("its check {} says {result}{message}", check.name)
}

#[cfg(test)]
mod tests {
    use coppice_clock::Wall;
    use serde_json::json;

    use super::*;
    use crate::{
        model::{Asked, By, DesiredStatus, ErrorInfo, StateInfo},
        service::{Event, records},
    };

    fn up(checks: &[(&str, HealthResult)]) -> PackageEntry {
        let mut entry = PackageEntry::bare(StateInfo::Installed {
            manifest: json!({}),
        });
        entry.status_info.desired = DesiredStatus::Running;
        entry.status_info.started = Some(Wall::from_millis(0));
        for (id, result) in checks {
            let check = HealthReport {
                name: (*id).to_owned(),
                result: *result,
                message: Some("no answer".to_owned()),
            };
            entry.status_info.health.insert((*id).to_owned(), check);
        }
        entry
    }

    fn seen(entry: &PackageEntry) -> Input {
        let sight = Sight {
            ignored: BTreeSet::from(["old".to_owned()]),
            failures: 0,
            records: 0,
        };
        sight.seen(entry, &RuntimePhase::Running)
    }

    #[test]
    fn what_is_up_with_green_checks_or_none_is_well() {
        assert_eq!(seen(&up(&[])), Input::Well);
        let green = [
            ("a", HealthResult::Success),
            ("b", HealthResult::Disabled),
            ("c", HealthResult::Loading),
        ];
        assert_eq!(seen(&up(&green)), Input::Well);
    }

    #[test]
    fn a_failing_check_counts_with_its_words_unless_it_failed_before() {
        let Input::Ill(why) = seen(&up(&[("web", HealthResult::Failure)])) else {
            panic!("it counts");
        };
        assert_eq!(why, "its check web says failure: no answer");
        assert_eq!(seen(&up(&[("old", HealthResult::Failure)])), Input::Well);
    }

    #[test]
    fn what_does_not_work_while_its_dependency_comes_up_may_be_well_soon() {
        let blamed = |other: Option<PackageEntry>| {
            let mut own = up(&[]);
            let needed = json!({
                "title": null, "icon": null, "versionRange": "*", "kind": "running", "healthChecks": [],
            });
            let needed = serde_json::from_value(needed).unwrap();
            own.current_dependencies.insert("db".to_owned(), needed);
            super::blamed("web", "no answer".to_owned(), &|id| match id {
                "web" => Some(own.clone()),
                _ => other.clone(),
            })
        };
        let ill = Input::Ill("no answer".to_owned());
        assert_eq!(blamed(Some(up(&[]))), ill);
        assert_eq!(blamed(None), ill);
        let mut starting = up(&[]);
        starting.status_info.started = None;
        assert!(matches!(blamed(Some(starting)), Input::Coming(_)));
    }

    #[test]
    fn what_starts_or_waits_is_coming() {
        for result in [HealthResult::Starting, HealthResult::Waiting] {
            assert!(matches!(seen(&up(&[("a", result)])), Input::Coming(_)));
        }
        let mut entry = up(&[]);
        entry.status_info.started = None;
        assert!(matches!(seen(&entry), Input::Coming(_)));
    }

    #[test]
    fn a_start_that_failed_is_ill_with_what_it_said() {
        let mut entry = up(&[]);
        entry.status_info.error = Some(ErrorInfo {
            details: "no such table".to_owned(),
            debug: String::new(),
            info: json!(null),
        });
        assert_eq!(seen(&entry), Input::Ill("no such table".to_owned()));
    }

    #[test]
    fn what_its_package_stopped_is_lost_unless_a_critical_task_did() {
        let mut entry = up(&[]);
        entry.status_info.desired = DesiredStatus::Stopped;
        assert!(matches!(seen(&entry), Input::Lost(_)));
        let task = json!({ "active": true, "task": {
            "packageId": "a", "actionId": "config", "severity": "critical",
        } });
        let task = serde_json::from_value(task).unwrap();
        entry.tasks.insert("t".to_owned(), task);
        assert_eq!(seen(&entry), Input::NeedsOwner);
    }

    #[test]
    fn parts_that_die_again_and_again_are_lost_and_what_people_ask_is_no_death() {
        let mut entry = up(&[]);
        let asked = Cause::Operator {
            by: By::Package,
            asked: Asked::Restart,
        };
        let died = Cause::Exit { code: 3 };
        for cause in [&asked, &asked, &died, &died, &died] {
            records::note(&mut entry, Event::new("daemon web", cause.clone(), "again"));
        }
        assert_eq!(seen(&entry), Input::Well);
        records::note(&mut entry, Event::new("daemon web", died, "again"));
        let Input::Lost(why) = seen(&entry) else {
            panic!("four times is too often");
        };
        assert!(why.contains("daemon web ended with exit code 3"), "{why}");
    }
}

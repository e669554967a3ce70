use std::collections::BTreeMap;

use coppice_clock::Wall;
use serde_json::json;

use super::*;
use crate::{
    model::{CurrentDependency, ErrorInfo, HealthReport, Held, Parked, Severity, Task, TaskEntry},
    words,
};

/// Services by id, each with what it requires to run.
struct Fleet(BTreeMap<String, PackageEntry>);

impl Fleet {
    fn of(requirements: &[(&str, &[&str])]) -> Self {
        let entries = requirements.iter().map(|(id, requires)| {
            let mut entry = PackageEntry::bare(StateInfo::Installed {
                manifest: json!({ "id": id }),
            });
            entry.status_info.desired = DesiredStatus::Running;
            entry.status_info.started = Some(Wall::from_millis(1));
            for one in *requires {
                let kind = DependencyKind::Running {
                    health_checks: vec!["main".into()],
                };
                let requirement = CurrentDependency {
                    title: None,
                    icon: None,
                    version_range: "*".into(),
                    kind,
                };
                entry
                    .current_dependencies
                    .insert((*one).into(), requirement);
            }
            let mut fleet = ((*id).to_owned(), entry);
            says(&mut fleet.1, HealthResult::Success);
            fleet
        });
        Self(entries.collect())
    }

    fn with(mut self, id: &str, change: impl FnOnce(&mut PackageEntry)) -> Self {
        change(self.0.get_mut(id).unwrap());
        self
    }

    fn obstacle(&self, id: &str) -> Option<Obstacle> {
        obstacle(id, Room::Enough, &|id| self.0.get(id).cloned())
    }

    fn standing(&self, id: &str) -> String {
        words::explain(&standing(id, &|id| self.0.get(id).cloned()))
    }
}

fn says(entry: &mut PackageEntry, result: HealthResult) {
    let report = HealthReport {
        name: "Main".into(),
        result,
        message: (result == HealthResult::Failure).then(|| "no answer".into()),
    };
    entry.status_info.health.insert("main".into(), report);
}

fn fell(entry: &mut PackageEntry) {
    entry.status_info.started = None;
    entry.status_info.health.clear();
}

fn parked(entry: &mut PackageEntry) {
    fell(entry);
    entry.parked = Some(Parked {
        since: Wall::from_millis(1),
        reason: String::new(),
        because: vec![Link::Failed {
            service: "db".into(),
            what: "init".into(),
            cause: Cause::StartFailed {
                message: "no such table".into(),
            },
        }],
        next_probe: Wall::from_millis(2),
    });
}

fn held(entry: &mut PackageEntry) {
    fell(entry);
    let on = entry.current_dependencies.keys().next().unwrap().clone();
    entry.held = Some(Held {
        since: Wall::from_millis(1),
        waits_for: WaitsFor::Dependency { id: on },
        because: vec![],
        reason: String::new(),
    });
}

const CHAIN: &[(&str, &[&str])] = &[("web", &["api"]), ("api", &["db"]), ("db", &[])];

#[test]
fn nothing_keeps_a_service_whose_requirements_are_met() {
    assert_eq!(Fleet::of(CHAIN).obstacle("web"), None);
    assert_eq!(Fleet::of(CHAIN).standing("web"), "");
    let off = Fleet::of(CHAIN).with("web", |web| says(web, HealthResult::Disabled));
    assert_eq!(off.standing("web"), "");
}

#[test]
fn a_chain_of_three_is_explained_down_to_its_root() {
    let fleet = Fleet::of(CHAIN)
        .with("db", parked)
        .with("api", held)
        .with("web", held);
    assert_eq!(
        fleet.standing("web"),
        "web is held because its dependency api is held because its dependency db is parked \
         because its init failed: no such table"
    );
    let obstacle = fleet.obstacle("web").unwrap();
    assert_eq!(
        obstacle.waits_for,
        WaitsFor::Dependency { id: "api".into() }
    );
    assert_eq!(
        words::explain_further("web", &obstacle.because),
        "its dependency api is held because its dependency db is parked because its init failed: \
         no such table"
    );
}

#[test]
fn a_dependency_that_runs_and_is_not_well_is_explained_by_what_it_requires() {
    let fleet = Fleet::of(CHAIN)
        .with("db", parked)
        .with("api", |api| says(api, HealthResult::Failure))
        .with("web", held);
    assert_eq!(
        fleet.standing("web"),
        "web is held because its dependency api fails its check Main: no answer because its \
         dependency db is parked because its init failed: no such table"
    );
}

#[test]
fn every_way_to_be_down_keeps_what_requires_it() {
    type Way = (fn(&mut PackageEntry), &'static str);
    let ways: [Way; 6] = [
        (|db| fell(db), "its dependency db is not up yet"),
        (
            |db| {
                fell(db);
                db.status_info.desired = DesiredStatus::Stopped;
            },
            "its dependency db is stopped",
        ),
        (
            |db| {
                fell(db);
                db.status_info.error = Some(ErrorInfo {
                    details: "no port".into(),
                    debug: String::new(),
                    info: json!(null),
                });
            },
            "its dependency db's start did not come up: no port",
        ),
        (
            |db| says(db, HealthResult::Starting),
            "its dependency db is not up yet",
        ),
        (
            |db| db.status_info.health.clear(),
            "its dependency db is not up yet",
        ),
        (
            |db| {
                fell(db);
                db.status_info.desired = DesiredStatus::Stopped;
                let task = Task {
                    package_id: "db".into(),
                    action_id: "config".into(),
                    severity: Severity::Critical,
                    reason: Some("choose a size".into()),
                    when: None,
                    input: None,
                };
                db.tasks
                    .insert("1".into(), TaskEntry { task, active: true });
            },
            "its dependency db waits for somebody to run config: choose a size",
        ),
    ];
    for (way, words) in ways {
        let fleet = Fleet::of(CHAIN).with("db", way);
        let obstacle = fleet.obstacle("api").unwrap();
        assert_eq!(words::explain_further("api", &obstacle.because), words);
    }
    let mut fleet = Fleet::of(CHAIN);
    fleet.0.remove("db");
    let obstacle = fleet.obstacle("api").unwrap();
    assert_eq!(
        obstacle.because,
        [Link::Missing {
            service: "db".into()
        }]
    );
}

#[test]
fn a_service_that_only_has_to_exist_keeps_nobody_by_being_down() {
    let fleet = Fleet::of(CHAIN).with("db", fell).with("api", |api| {
        let required = api.current_dependencies.get_mut("db").unwrap();
        required.kind = DependencyKind::Exists;
    });
    assert_eq!(fleet.obstacle("api"), None);
}

#[test]
fn a_service_that_shall_not_run_is_kept_by_no_dependency() {
    let fleet = Fleet::of(CHAIN).with("db", fell).with("api", |api| {
        api.status_info.desired = DesiredStatus::Stopped
    });
    assert_eq!(fleet.obstacle("api"), None);
}

#[test]
fn services_that_wait_for_one_another_are_tried_all_the_same() {
    let fleet = Fleet::of(&[("a", &["b"]), ("b", &["a"])])
        .with("a", held)
        .with("b", held);
    assert_eq!(fleet.obstacle("a"), None);
    assert_eq!(fleet.obstacle("b"), None);
    let alone = Fleet::of(&[("a", &["a"])]).with("a", held);
    assert_eq!(alone.obstacle("a"), None);
}

#[test]
fn two_ways_to_the_same_service_are_no_circle() {
    let fleet = Fleet::of(&[("web", &["api", "db"]), ("api", &["db"]), ("db", &[])])
        .with("db", parked)
        .with("api", held);
    let obstacle = fleet.obstacle("web").unwrap();
    assert_eq!(
        obstacle.waits_for,
        WaitsFor::Dependency { id: "api".into() }
    );
}

#[test]
fn a_full_disk_keeps_what_is_installed_whatever_is_wanted_of_it() {
    let full = Room::Full { free: 9 << 20 };
    let fleet = Fleet::of(CHAIN).with("db", |db| db.status_info.desired = DesiredStatus::Stopped);
    let read = |id: &str| fleet.0.get(id).cloned();
    let kept = obstacle("db", full, &read).unwrap();
    assert_eq!(kept.waits_for, WaitsFor::Room);
    assert_eq!(
        words::explain_further("db", &kept.because),
        "the disk is full (9 MiB left)"
    );
    let fleet = fleet.with("db", |db| {
        db.state_info = StateInfo::Removing {
            manifest: json!({}),
        };
    });
    let read = |id: &str| fleet.0.get(id).cloned();
    assert_eq!(obstacle("db", full, &read), None);
}

#[test]
fn a_dependency_that_comes_up_is_waited_for_also_by_what_is_updated_itself() {
    let coming = |fleet: &Fleet| coming("web", &|id| fleet.0.get(id).cloned());
    let updating = |entry: &mut PackageEntry| {
        entry.state_info = StateInfo::Updating {
            manifest: json!({}),
            installing_info: crate::model::InstallingInfo {
                new_manifest: json!({}),
                progress: json!(null),
            },
        };
    };
    let whole = Fleet::of(CHAIN).with("web", updating);
    assert_eq!(coming(&whole), None);
    assert_eq!(
        coming(&whole.with("db", updating)),
        None,
        "that is api's affair, which is well"
    );
    let both = Fleet::of(CHAIN).with("web", updating).with("api", updating);
    assert_eq!(coming(&both).as_deref(), Some("api"));
    let through = Fleet::of(CHAIN).with("api", held).with("db", updating);
    assert_eq!(coming(&through).as_deref(), Some("api"));
    for down in [fell as fn(&mut PackageEntry), parked] {
        let stopped = Fleet::of(CHAIN).with("api", |api| {
            down(api);
            api.status_info.desired = DesiredStatus::Stopped;
        });
        assert_eq!(coming(&stopped), None, "nobody is bringing it up");
    }
}

//! Health checks of one service: what they say, and when they last said it.
//!
//! The package schedules its checks (the SDK calls `set-health` every second while a check is not
//! well and every 30 s while it is). **This actor schedules when a report is due**: a check that
//! falls silent ([`checks`]) is shown as such, because a green light that nobody renews is a lie.
//!
//! ```text
//!  (unknown) ──report──▶ Heard ──same report──▶ Heard (nothing published)
//!                          │ SILENCE passes                ▲ report
//!                          ▼                               │
//!                        Silent (shown as loading) ────────┘
//!  any ──main is down──▶ (unknown)
//!  Heard ──a daemon was ended by its package, then SILENCE──▶ (unknown)
//! ```
//!
//! Results are volatile: they are shown and never written to disk.

mod checks;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use coppice_clock::Mono;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;

use self::checks::{Checks, MAX_CHECKS};
use super::{Event, RuntimePhase, ServiceContext, hold, remedy::Remedies};
use crate::{
    model::{Cause, DesiredStatus, HealthReport},
    relay::relay,
};

/// One report of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The check's id.
    pub id: String,
    /// What it says.
    pub report: HealthReport,
}

/// Reports on their way: the newest of each check, so a flood costs nothing.
#[derive(Debug)]
pub struct Reports {
    waiting: Mutex<BTreeMap<String, HealthReport>>,
    raised: watch::Sender<u64>,
    cleared: watch::Sender<u64>,
    ended: watch::Sender<u64>,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            raised: watch::Sender::new(0),
            cleared: watch::Sender::new(0),
            ended: watch::Sender::new(0),
        }
    }
}

impl Reports {
    /// A check reports.
    pub fn report(&self, report: Report) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_CHECKS || waiting.contains_key(&report.id) {
            waiting.insert(report.id, report.report);
        }
        drop(waiting);
        self.raised.send_modify(|count| *count += 1);
    }

    /// What was reported so far is void: `main` goes down or round.
    pub fn clear(&self) {
        self.take();
        self.cleared.send_modify(|count| *count += 1);
    }

    /// The package has ended a daemon, and with it perhaps the checks that spoke until now.
    pub fn daemon_ended(&self) {
        self.ended.send_modify(|count| *count += 1);
    }

    fn take(&self) -> BTreeMap<String, HealthReport> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Messages of the health actor.
#[derive(Debug)]
pub enum HealthMsg {
    /// Reports are waiting.
    Reported,
    /// What was reported is void.
    Cleared,
    /// The package has ended a daemon.
    DaemonEnded,
    /// A report may be overdue, or a restart due.
    Wake {
        /// When this was to come.
        at: Mono,
    },
}

/// Shows what the checks of one service say; see the module.
#[derive(Debug)]
pub struct HealthActor;

/// What the health actor keeps.
#[derive(Debug)]
pub struct HealthState {
    service: Arc<ServiceContext>,
    checks: Checks,
    /// What is done about those that the manifest marks.
    remedies: Remedies,
    /// The one wake-up call that is on its way.
    wake: Option<Mono>,
}

impl Actor for HealthActor {
    type Msg = HealthMsg;
    type State = HealthState;
    type Arguments = Arc<ServiceContext>;

    async fn pre_start(
        &self,
        myself: ActorRef<HealthMsg>,
        service: Arc<ServiceContext>,
    ) -> Result<HealthState, ActorProcessingErr> {
        relay(service.reports.raised.subscribe(), &myself, || {
            HealthMsg::Reported
        });
        relay(service.reports.cleared.subscribe(), &myself, || {
            HealthMsg::Cleared
        });
        relay(service.reports.ended.subscribe(), &myself, || {
            HealthMsg::DaemonEnded
        });
        relay(service.phase.subscribe(), &myself, || HealthMsg::Reported);
        myself.send_message(HealthMsg::Reported)?;
        // What an earlier incarnation showed outlives it in the document. This one knows no check
        // yet, so nothing would clear what the container or the runtime took down with it.
        let phase = service.phase.borrow().clone();
        if !phase.is_up() && phase != RuntimePhase::Changing {
            service
                .host
                .document
                .publish_health(&service.id, &BTreeMap::new());
        }
        let remedies = service
            .entry()
            .map(|entry| Remedies::of(entry.state_info.manifest()))
            .unwrap_or_default();
        Ok(HealthState {
            service,
            checks: Checks::default(),
            remedies,
            wake: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<HealthMsg>,
        message: HealthMsg,
        state: &mut HealthState,
    ) -> Result<(), ActorProcessingErr> {
        let now = Mono::now();
        let news = match message {
            HealthMsg::Cleared => {
                state.remedies.clear();
                state.checks.clear()
            }
            HealthMsg::Wake { at } => {
                // One that an earlier call came before asks for no other.
                if state.wake == Some(at) {
                    state.wake = None;
                }
                state.remedy(now);
                state.checks.overdue(now)
            }
            HealthMsg::Reported => state.take_reports(now),
            HealthMsg::DaemonEnded => {
                // What was said before that end is no sign of life after it.
                let news = state.take_reports(now);
                state.checks.daemon_ended();
                news
            }
        };
        if news {
            state
                .service
                .host
                .document
                .publish_health(&state.service.id, &state.checks.shown());
        }
        let dues = [state.checks.next_due(), state.remedies.next_due()];
        // One call at the earliest is enough: it asks again.
        if let Some(due) = dues.into_iter().flatten().min()
            && state.wake.is_none_or(|at| due < at)
        {
            state.wake = Some(due);
            myself.send_after(due.since(now), move || HealthMsg::Wake { at: due });
        }
        Ok(())
    }
}

impl HealthState {
    /// Late reports of a `main` that is down are dropped, so that its cleared health stays clear.
    /// While the runtime comes back from a restart of the core, nobody knows yet: they wait.
    fn take_reports(&mut self, now: Mono) -> bool {
        let up = match *self.service.phase.borrow() {
            RuntimePhase::Booting => return false,
            RuntimePhase::Changing
            | RuntimePhase::Running
            | RuntimePhase::Asleep
            | RuntimePhase::Waking => true,
            RuntimePhase::Idle
            | RuntimePhase::Exiting
            | RuntimePhase::Exited
            | RuntimePhase::Failed(_) => false,
        };
        let waiting = self.service.reports.take();
        let mut news = false;
        if up {
            for (id, report) in waiting {
                self.remedies.heard(&id, report.result, now);
                news |= self.checks.heard(id, report, now);
            }
        }
        news
    }

    /// Restarts `main` for a check that failed for as long as its package lets it, unless something
    /// the service needs is missing: then the check fails for that, and its wait begins anew.
    fn remedy(&mut self, now: Mono) {
        if self.remedies.next_due().is_none_or(|due| due > now) {
            return;
        }
        if let Some(obstacle) = hold::obstacle(&self.service) {
            tracing::info!(
                service = self.service.id,
                ?obstacle,
                "a failed check restarts nothing for now"
            );
            self.remedies.clear();
            return;
        }
        let Some((id, since)) = self.remedies.take_due(now) else {
            return;
        };
        let Some(report) = self.checks.shown().remove(&id) else {
            return;
        };
        let cause = Cause::FailedCheck {
            check: report.name,
            message: report.message,
        };
        let event = Event::new("service", cause, "its daemons are stopped and started")
            .because(self.service.recent_death(now.since(since)));
        let service = Arc::clone(&self.service);
        tokio::spawn(async move { restart(&service, event).await });
    }
}

/// Wants `main` stopped and started, unless something else is wanted by now.
async fn restart(service: &Arc<ServiceContext>, event: Event) {
    let asked = service.update("failed-check", |entry| {
        let status = &mut entry.status_info;
        let runs = status.desired == DesiredStatus::Running && status.started.is_some();
        if runs {
            status.desired = status.desired.restart(true);
        }
        Ok(runs)
    });
    match asked.await {
        Ok(true) => {
            service.reports.clear();
            service.raise_wish();
            service.record(event).await;
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(service = service.id, %error, "a failed check was not answered");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::HealthResult;

    fn report(result: HealthResult) -> HealthReport {
        HealthReport {
            name: "Web".into(),
            result,
            message: None,
        }
    }

    #[tokio::test]
    async fn what_an_earlier_incarnation_showed_is_gone_unless_main_is_still_up() {
        let at = crate::service::testing::host();
        let service = at.installed("a").await;
        let shown = BTreeMap::from([("web".to_owned(), report(HealthResult::Success))]);
        let health = || service.entry().unwrap().status_info.health;
        for (phase, expected) in [
            (RuntimePhase::Running, shown.clone()),
            (RuntimePhase::Booting, BTreeMap::new()),
        ] {
            at.host.document.publish_health("a", &shown);
            service.phase.send_replace(phase);
            let (actor, ended) = Actor::spawn(None, HealthActor, Arc::clone(&service))
                .await
                .unwrap();
            assert_eq!(health(), expected);
            actor.stop(None);
            ended.await.unwrap();
        }
    }

    /// A service that runs, with a check that failed for a minute, and its manifest marks that.
    async fn failing(service: &Arc<ServiceContext>) -> HealthState {
        let written = service.update("test", |entry| {
            entry.status_info.desired = DesiredStatus::Running;
            entry.status_info.started = Some(coppice_clock::Wall::now());
            Ok(())
        });
        written.await.unwrap();
        let mut state = HealthState {
            service: Arc::clone(service),
            checks: Checks::default(),
            remedies: Remedies::of(&serde_json::json!({ "restartOnFailedCheck": { "web": 60 } })),
            wake: None,
        };
        let failure = report(HealthResult::Failure);
        state
            .remedies
            .heard("web", failure.result, Mono::now() - Duration::from_secs(60));
        state.checks.heard("web".into(), failure, Mono::now());
        state
    }

    #[tokio::test]
    async fn a_marked_check_that_fails_for_long_restarts_main_and_says_why() {
        let at = crate::service::testing::host();
        let service = at.installed("a").await;
        let mut state = failing(&service).await;
        state.remedy(Mono::now());
        let expected = Cause::FailedCheck {
            check: "Web".into(),
            message: None,
        };
        let restarted = async {
            loop {
                let entry = service.entry().unwrap();
                let restarting = matches!(
                    entry.status_info.desired,
                    DesiredStatus::Restarting {
                        restart_again: false
                    }
                );
                let mut records = entry.restarts.values();
                if restarting && records.any(|record| record.cause == expected) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, restarted).await.unwrap();
    }

    #[tokio::test]
    async fn a_marked_check_restarts_nothing_while_what_the_service_needs_is_missing() {
        let at = crate::service::testing::host();
        let service = at.installed("a").await;
        let mut state = failing(&service).await;
        let written = service.update("test", |entry| {
            let requirement = crate::model::CurrentDependency {
                title: None,
                icon: None,
                version_range: "*".to_owned(),
                kind: crate::model::DependencyKind::Running {
                    health_checks: Vec::new(),
                },
            };
            entry
                .current_dependencies
                .insert("db".to_owned(), requirement);
            Ok(())
        });
        written.await.unwrap();
        assert!(state.remedies.next_due().is_some());
        state.remedy(Mono::now());
        assert_eq!(state.remedies.next_due(), None, "its wait begins anew");
        let entry = service.entry().unwrap();
        assert_eq!(entry.status_info.desired, DesiredStatus::Running);
    }
}

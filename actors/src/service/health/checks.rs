//! What is known of the checks of one service, decided without I/O or clock.
//!
//! Two kinds of silence are in order. A check that *waits* says so once, and speaks when that is over. And a
//! package that ends a daemon, because its settings have it no more, says nothing of its check: one that spoke
//! before that end and not after it went with the daemon.

use std::{collections::BTreeMap, time::Duration};

use coppice_clock::Mono;

use crate::model::{HealthReport, HealthResult};

/// Three missed reports of a healthy check and a little.
const SILENCE: Duration = Duration::from_secs(95);
/// Checks of one service; more are ignored.
pub(super) const MAX_CHECKS: usize = 128;

/// What is known of the checks. Pure: the caller passes the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checks(BTreeMap<String, Check>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    report: HealthReport,
    heard: Mono,
    silent: bool,
    /// A daemon was ended since.
    orphaned: bool,
}

impl Checks {
    /// Takes a report; `true` when it is news.
    pub(super) fn heard(&mut self, id: String, report: HealthReport, now: Mono) -> bool {
        let news = self
            .0
            .get(&id)
            .is_none_or(|known| known.silent || known.report != report);
        if news && !self.0.contains_key(&id) && self.0.len() >= MAX_CHECKS {
            return false;
        }
        self.0.insert(
            id,
            Check {
                report,
                heard: now,
                silent: false,
                orphaned: false,
            },
        );
        news
    }

    /// A daemon was ended by its package: whoever is silent from now on may have gone with it.
    pub(super) fn daemon_ended(&mut self) {
        for check in self.0.values_mut().filter(|check| !check.silent) {
            check.orphaned = true;
        }
    }

    /// Marks the checks whose report is overdue, and forgets those that went with a daemon; `true` when there is
    /// a new one.
    pub(super) fn overdue(&mut self, now: Mono) -> bool {
        let is_late = |check: &Check| check.due().is_some_and(|due| due <= now);
        let before = self.0.len();
        self.0
            .retain(|_, check| !(check.orphaned && is_late(check)));
        let mut news = self.0.len() != before;
        for check in self.0.values_mut().filter(|check| is_late(check)) {
            check.silent = true;
            news = true;
        }
        news
    }

    /// Forgets everything; `true` when there was something.
    pub(super) fn clear(&mut self) -> bool {
        let news = !self.0.is_empty();
        self.0.clear();
        news
    }

    /// When the next report becomes overdue.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.0.values().filter_map(Check::due).min()
    }

    /// What is shown.
    pub(super) fn shown(&self) -> BTreeMap<String, HealthReport> {
        self.0
            .iter()
            .map(|(id, check)| (id.clone(), check.shown()))
            .collect()
    }
}

impl Check {
    /// When its next report is overdue, if one is expected.
    fn due(&self) -> Option<Mono> {
        let speaks = !self.silent && self.report.result != HealthResult::Waiting;
        speaks.then(|| self.heard + SILENCE)
    }

    fn shown(&self) -> HealthReport {
        if !self.silent {
            return self.report.clone();
        }
        HealthReport {
            name: self.report.name.clone(),
            result: HealthResult::Loading,
            message: Some(format!("No report for more than {} s", SILENCE.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_millis(1_000);

    fn report(result: HealthResult) -> HealthReport {
        HealthReport {
            name: "Web".into(),
            result,
            message: None,
        }
    }

    #[test]
    fn the_same_report_twice_is_no_news() {
        let mut checks = Checks::default();
        assert!(checks.heard("web".into(), report(HealthResult::Starting), NOW));
        assert!(!checks.heard("web".into(), report(HealthResult::Starting), NOW));
        assert!(checks.heard("web".into(), report(HealthResult::Success), NOW));
    }

    #[test]
    fn a_check_that_falls_silent_is_shown_as_such_until_it_reports_again() {
        let mut checks = Checks::default();
        checks.heard("web".into(), report(HealthResult::Success), NOW);
        assert_eq!(checks.next_due(), Some(NOW + SILENCE));
        assert!(!checks.overdue(NOW + SILENCE / 2));
        assert!(checks.overdue(NOW + SILENCE));
        assert_eq!(checks.shown()["web"].result, HealthResult::Loading);
        assert!(!checks.overdue(NOW + SILENCE * 2), "once is enough");
        assert!(checks.heard(
            "web".into(),
            report(HealthResult::Success),
            NOW + SILENCE * 2
        ));
        assert_eq!(checks.shown()["web"].result, HealthResult::Success);
    }

    #[test]
    fn a_check_that_waits_is_not_overdue() {
        let mut checks = Checks::default();
        checks.heard("web".into(), report(HealthResult::Waiting), NOW);
        assert_eq!(checks.next_due(), None);
        assert!(!checks.overdue(NOW + SILENCE));
        assert_eq!(checks.shown()["web"].result, HealthResult::Waiting);
    }

    #[test]
    fn a_check_that_is_silent_since_a_daemon_was_ended_by_its_package_went_with_it() {
        let then = NOW + SILENCE;
        let mut checks = Checks::default();
        let heard = |checks: &mut Checks, id: &str, now| {
            checks.heard(id.into(), report(HealthResult::Success), now);
        };
        heard(&mut checks, "silent before", NOW);
        checks.overdue(then);
        heard(&mut checks, "gone", then);
        heard(&mut checks, "another's", then);
        checks.daemon_ended();
        heard(&mut checks, "another's", then + SILENCE / 2);
        heard(&mut checks, "later", then + SILENCE / 2);
        assert!(!checks.overdue(then + SILENCE / 2));
        assert!(checks.overdue(then + SILENCE));
        let shown: Vec<String> = checks.shown().into_keys().collect();
        assert_eq!(shown, ["another's", "later", "silent before"]);
        checks.overdue(then + SILENCE * 2);
        assert_eq!(checks.shown()["later"].result, HealthResult::Loading);
        assert_eq!(checks.shown()["another's"].result, HealthResult::Loading);
    }

    #[test]
    fn a_flood_of_check_ids_is_bounded() {
        let mut checks = Checks::default();
        for id in 0..1000 {
            checks.heard(id.to_string(), report(HealthResult::Success), NOW);
        }
        assert_eq!(checks.shown().len(), MAX_CHECKS);
    }
}

//! When a failing health check is answered with a restart, decided without I/O or clock.
//!
//! Only checks that the manifest names under `restartOnFailedCheck` are, and only once they have
//! failed for as long as it says (`docs/decisions/0022`). Everything else stays the package's affair.
//!
//! ```text
//!  Well ──failure──▶ Failing ──as long as the manifest says──▶ restart is due
//!   ▲ any other result   │ ▲                                       │ asked for
//!   └────────────────────┘ └──failure──── Well, one restart more in a row ◀┘
//! ```
//!
//! Each restart in a row doubles the time before the next, up to [`LONGEST`], so a check that no
//! restart cures is tried for ever and ever more rarely. A check that is well for [`PROVEN`] forgets.

use std::{collections::BTreeMap, time::Duration};

use coppice_clock::Mono;
use serde_json::Value;

use crate::model::HealthResult;

/// Sooner than this nothing is restarted, whatever a manifest says: the SDK reports a failing check
/// every second, and a start takes some.
const SHORTEST: Duration = Duration::from_secs(10);
/// Between two restarts of a check that no restart cures.
const LONGEST: Duration = Duration::from_secs(3600);
/// Well for this long, a check has overcome what the restarts before were for.
const PROVEN: Duration = Duration::from_secs(600);

/// The marked checks of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remedies(BTreeMap<String, Remedy>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Remedy {
    /// How long it must fail.
    patience: Duration,
    state: State,
    /// Restarts since it was last well for long.
    row: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It does not fail, and has been well since then, where it is well.
    Well(Option<Mono>),
    /// It fails since then.
    Failing(Mono),
}

impl Remedies {
    /// What a manifest marks.
    pub(super) fn of(manifest: &Value) -> Self {
        let marked = manifest.get("restartOnFailedCheck");
        let marked = marked.and_then(Value::as_object).into_iter().flatten();
        let remedies = marked.filter_map(|(check, seconds)| {
            let patience = Duration::from_secs(seconds.as_u64()?);
            let remedy = Remedy {
                patience: patience.clamp(SHORTEST, LONGEST),
                state: State::Well(None),
                row: 0,
            };
            Some((check.clone(), remedy))
        });
        Self(remedies.collect())
    }

    /// A check reports.
    pub(super) fn heard(&mut self, check: &str, result: HealthResult, now: Mono) {
        if let Some(remedy) = self.0.get_mut(check) {
            remedy.heard(result, now);
        }
    }

    /// What was reported is void: `main` goes down or round.
    pub(super) fn clear(&mut self) {
        for remedy in self.0.values_mut() {
            remedy.state = State::Well(None);
        }
    }

    /// When the next restart is due.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.0.values().filter_map(Remedy::due).min()
    }

    /// The check for which a restart is due, and since when it fails. Asked again it gives another, or
    /// none.
    pub(super) fn take_due(&mut self, now: Mono) -> Option<(String, Mono)> {
        let due = |(_, remedy): &(&String, &mut Remedy)| remedy.due().is_some_and(|due| due <= now);
        let (check, remedy) = self.0.iter_mut().find(due)?;
        let State::Failing(since) = remedy.state else {
            return None;
        };
        remedy.row += 1;
        remedy.state = State::Well(None);
        Some((check.clone(), since))
    }
}

impl Remedy {
    fn heard(&mut self, result: HealthResult, now: Mono) {
        self.state = match (self.state, result) {
            (State::Failing(since), HealthResult::Failure) => State::Failing(since),
            (State::Well(_), HealthResult::Failure) => State::Failing(now),
            (State::Well(Some(since)), HealthResult::Success) => {
                if now.since(since) >= PROVEN {
                    self.row = 0;
                }
                State::Well(Some(since))
            }
            (State::Well(None) | State::Failing(_), HealthResult::Success) => {
                State::Well(Some(now))
            }
            (
                State::Well(_) | State::Failing(_),
                HealthResult::Disabled
                | HealthResult::Starting
                | HealthResult::Waiting
                | HealthResult::Loading,
            ) => State::Well(None),
        };
    }

    fn due(&self) -> Option<Mono> {
        match self.state {
            State::Well(_) => None,
            State::Failing(since) => {
                let doubled = self.patience.saturating_mul(1 << self.row.min(16));
                Some(since + doubled.min(LONGEST))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Mono = Mono::from_millis(1_000_000);

    fn marked() -> Remedies {
        Remedies::of(&json!({ "restartOnFailedCheck": { "web": 60 } }))
    }

    fn seconds(seconds: u64) -> Mono {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_check_that_is_not_marked_restarts_nothing() {
        let mut remedies = Remedies::of(&json!({ "id": "a" }));
        remedies.heard("web", HealthResult::Failure, NOW);
        assert_eq!(remedies.next_due(), None);
        let mut remedies = marked();
        remedies.heard("sync", HealthResult::Failure, NOW);
        assert_eq!(remedies.next_due(), None);
    }

    #[test]
    fn a_marked_check_restarts_once_it_failed_for_long_enough() {
        let mut remedies = marked();
        remedies.heard("web", HealthResult::Failure, NOW);
        remedies.heard("web", HealthResult::Failure, seconds(30));
        assert_eq!(remedies.next_due(), Some(seconds(60)));
        assert_eq!(remedies.take_due(seconds(59)), None);
        assert_eq!(
            remedies.take_due(seconds(60)),
            Some(("web".to_owned(), NOW))
        );
        assert_eq!(remedies.take_due(seconds(60)), None, "once is enough");
    }

    #[test]
    fn every_other_result_begins_the_wait_anew() {
        for other in [
            HealthResult::Success,
            HealthResult::Disabled,
            HealthResult::Starting,
            HealthResult::Waiting,
            HealthResult::Loading,
        ] {
            let mut remedies = marked();
            remedies.heard("web", HealthResult::Failure, NOW);
            remedies.heard("web", other, seconds(30));
            assert_eq!(remedies.next_due(), None, "{other:?}");
            remedies.heard("web", HealthResult::Failure, seconds(40));
            assert_eq!(remedies.next_due(), Some(seconds(100)));
        }
    }

    #[test]
    fn what_no_restart_cures_is_restarted_ever_more_rarely_and_for_ever() {
        let mut remedies = marked();
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..40 {
            remedies.heard("web", HealthResult::Failure, now);
            let due = remedies.next_due().unwrap();
            waits.push(due.since(now).as_secs());
            assert!(remedies.take_due(due).is_some());
            now = due;
        }
        assert_eq!(waits[..4], [60, 120, 240, 480]);
        assert_eq!(waits[39], LONGEST.as_secs());
    }

    #[test]
    fn a_check_that_stays_well_forgets_its_restarts() {
        let mut remedies = marked();
        remedies.heard("web", HealthResult::Failure, NOW);
        remedies.take_due(seconds(60)).unwrap();
        remedies.heard("web", HealthResult::Success, seconds(70));
        remedies.heard("web", HealthResult::Success, seconds(70 + 600));
        remedies.heard("web", HealthResult::Failure, seconds(700));
        assert_eq!(remedies.next_due(), Some(seconds(760)));
    }

    #[test]
    fn reports_of_a_main_that_went_down_are_void() {
        let mut remedies = marked();
        remedies.heard("web", HealthResult::Failure, NOW);
        remedies.clear();
        assert_eq!(remedies.next_due(), None);
    }

    #[test]
    fn a_manifest_cannot_ask_for_a_restart_every_second() {
        let mut remedies = Remedies::of(&json!({ "restartOnFailedCheck": { "web": 0, "x": "y" } }));
        remedies.heard("web", HealthResult::Failure, NOW);
        assert_eq!(remedies.next_due(), Some(NOW + SHORTEST));
    }
}

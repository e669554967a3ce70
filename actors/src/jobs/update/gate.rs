//! Whether a new version proves itself, decided without I/O or clock.
//!
//! ```text
//!            well               well for `bake`
//!  Rising ─────────▶ Baking ───────────────────▶ Passed
//!   ▲  │ ill          │ ill  ▲                     ▲ needs its owner
//!   │  ▼              ▼      │ well                │
//!   └─ Failing ◀──────┘ ─────┘                  (any)
//!  coming │ ill for `patience`, or not well in time
//!         ▼
//!       Failed ◀── lost (any)
//! ```
//!
//! Invariants: only a version that was well without a break for `bake` passes, unless it waits for its owner;
//! what was lost is not waited for; whatever comes, it is over by `rise` and `bake`.

use std::time::Duration;

use coppice_clock::Mono;

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::jobs) struct Figures {
    /// A version that was well for so long is kept.
    pub(in crate::jobs) bake: Duration,
    /// A failing check may come round within this: the SDK asks once a second.
    pub(in crate::jobs) patience: Duration,
    /// It may take as long to be well at all. A start may take ten minutes (`runtime::step`).
    pub(in crate::jobs) rise: Duration,
}

impl Figures {
    pub(in crate::jobs) const USUAL: Self = Self {
        bake: Duration::from_secs(30),
        patience: Duration::from_secs(15),
        rise: Duration::from_secs(15 * 60),
    };
}

/// Where the new version stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// On its way up.
    Rising {
        /// Until when it must be well.
        until: Mono,
    },
    /// It is up and something of it is not well.
    Failing {
        /// How long that may last.
        patience: Mono,
        /// As above.
        until: Mono,
    },
    /// Well since some time.
    Baking {
        /// Until when it must stay so.
        done: Mono,
        /// As above, should it not.
        until: Mono,
    },
    /// It is kept.
    Passed,
    /// It is not, for this reason.
    Failed(String),
}

/// What is seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It is up, and every check that counts is green.
    Well,
    /// It is on its way: what is waited for.
    Coming(String),
    /// It says of itself that it does not work.
    Ill(String),
    /// Something of it ended that must not.
    Lost(String),
    /// It waits for a person, as it may.
    NeedsOwner,
}

impl State {
    pub(super) fn begin(figures: Figures, now: Mono) -> Self {
        Self::Rising {
            until: now + figures.rise,
        }
    }

    /// What it is when this is seen of it at that time.
    pub(super) fn step(self, input: Input, figures: Figures, now: Mono) -> Self {
        let until = match self {
            Self::Passed | Self::Failed(_) => return self,
            Self::Rising { until } | Self::Failing { until, .. } | Self::Baking { until, .. } => {
                until
            }
        };
        let late = |what: &str| {
            let minutes = figures.rise.as_secs() / 60;
            Self::Failed(format!("it was not well within {minutes} minutes: {what}"))
        };
        match (self, input) {
            (_, Input::Lost(what)) => Self::Failed(what),
            (_, Input::NeedsOwner) => Self::Passed,
            (Self::Baking { done, .. }, Input::Well) if now >= done => Self::Passed,
            (baking @ Self::Baking { .. }, Input::Well) => baking,
            (_, Input::Well) => Self::Baking {
                done: now + figures.bake,
                until,
            },
            (_, Input::Coming(what) | Input::Ill(what)) if now >= until => late(&what),
            (_, Input::Coming(_)) => Self::Rising { until },
            (Self::Failing { patience, .. }, Input::Ill(what)) if now >= patience => {
                Self::Failed(what)
            }
            (failing @ Self::Failing { .. }, Input::Ill(_)) => failing,
            (_, Input::Ill(_)) => Self::Failing {
                patience: now + figures.patience,
                until,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const FIGURES: Figures = Figures::USUAL;
    const RISE: u64 = 15 * 60;

    fn after(seconds: u64) -> Mono {
        Mono::from_millis(1_000_000) + Duration::from_secs(seconds)
    }

    /// What it is after these inputs, each at its second.
    fn walked(script: &[(u64, Input)]) -> State {
        let begun = State::begin(FIGURES, after(0));
        script.iter().fold(begun, |state, (at, input)| {
            state.step(input.clone(), FIGURES, after(*at))
        })
    }

    fn ill() -> Input {
        Input::Ill("Web: no answer".into())
    }

    fn coming() -> Input {
        Input::Coming("Web: starting".into())
    }

    #[test]
    fn what_is_well_for_the_bake_time_passes_and_not_a_moment_before() {
        let script = [(5, Input::Well), (34, Input::Well)];
        assert!(matches!(walked(&script), State::Baking { .. }));
        let script = [(5, Input::Well), (35, Input::Well)];
        assert_eq!(walked(&script), State::Passed);
    }

    #[test]
    fn what_fails_in_the_bake_time_for_longer_than_a_moment_fails_with_its_words() {
        let script = [(5, Input::Well), (20, ill()), (34, ill())];
        assert!(matches!(walked(&script), State::Failing { .. }));
        let script = [(5, Input::Well), (20, ill()), (35, ill())];
        assert_eq!(walked(&script), State::Failed("Web: no answer".into()));
    }

    #[test]
    fn what_comes_round_bakes_anew() {
        let script = [
            (5, Input::Well),
            (20, ill()),
            (25, Input::Well),
            (40, Input::Well),
        ];
        assert!(matches!(walked(&script), State::Baking { .. }));
        let script = [
            (5, Input::Well),
            (20, ill()),
            (25, Input::Well),
            (55, Input::Well),
        ];
        assert_eq!(walked(&script), State::Passed);
        let script = [(5, Input::Well), (20, coming()), (40, Input::Well)];
        assert!(matches!(walked(&script), State::Baking { .. }));
    }

    #[test]
    fn what_is_lost_fails_at_once_wherever_it_stands() {
        let lost = || Input::Lost("its container ended".into());
        for before in [vec![], vec![(1, ill())], vec![(1, Input::Well)]] {
            let script = [before, vec![(2, lost())]].concat();
            assert_eq!(walked(&script), State::Failed("its container ended".into()));
        }
    }

    #[test]
    fn what_waits_for_its_owner_is_kept() {
        assert_eq!(walked(&[(1, Input::NeedsOwner)]), State::Passed);
    }

    #[test]
    fn what_never_comes_up_fails_in_time_and_says_what_it_waited_for() {
        let script = [(1, coming()), (RISE, coming())];
        let State::Failed(why) = walked(&script) else {
            panic!("it goes on for ever");
        };
        assert!(
            why.contains("15 minutes") && why.contains("Web: starting"),
            "{why}"
        );
    }

    fn any_input() -> impl Strategy<Value = Input> {
        prop_oneof![
            4 => Just(Input::Well),
            2 => Just(coming()),
            2 => Just(ill()),
            1 => Just(Input::Lost("gone".into())),
            1 => Just(Input::NeedsOwner),
        ]
    }

    proptest! {
        /// Every input in every state: only what was well for the bake time, without a break, passes by itself,
        /// nothing leaves the end, and the end comes in time.
        #[test]
        fn only_the_well_pass_and_every_gate_ends(script in vec((any_input(), 0u64..40), 0..80)) {
            let mut now = 0;
            let mut well_since = None;
            let mut state = State::begin(FIGURES, after(0));
            for (input, wait) in script {
                now += wait;
                well_since = match input {
                    Input::Well => well_since.or(Some(now)),
                    _ => None,
                };
                let asked = input == Input::NeedsOwner;
                let before = state.clone();
                state = state.step(input, FIGURES, after(now));
                let over = |state: &State| matches!(state, State::Passed | State::Failed(_));
                if over(&before) {
                    prop_assert_eq!(&state, &before);
                } else if state == State::Passed {
                    let baked = well_since.is_some_and(|since| now - since >= FIGURES.bake.as_secs());
                    prop_assert!(asked || baked);
                }
                if !over(&state) && now >= RISE {
                    prop_assert!(matches!(state, State::Baking { .. }), "it waits too long");
                }
            }
        }
    }
}

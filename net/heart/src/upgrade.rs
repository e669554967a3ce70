//! An upgrade: from a program on the disk to the core and edge that run it.
//!
//! ```text
//!           edge ready             core gone              copied             core ready
//! TryingEdge ─────────▶ RetiringCore ───────▶ BackingUp ─────────▶ TryingCore ─────────▶ done
//!   │ ended, or late      │ late: killed        │ failed, or late    │ late: killed
//!   ▼                     ▼                     ▼                    ▼           gone
//! as before             BackingUp             the old core         EndingCore ───────▶ Restoring ─▶ the old core
//!                                                                    (or ended by itself)           and its stores
//! ```
//!
//! The edge comes first because it can be tried beside the one that serves: a program that cannot be run, ends at once
//! or hangs is found out there, and nobody has noticed anything. Only then the core is asked to end. From there on
//! requests wait in the sockets that the heart holds.
//!
//! Nothing here reads a clock or touches a process; [`crate::heart`] does what the effects say.

use std::time::Duration;

use coppice_clock::Mono;

/// How long the old core may take to end what it is at. A little more than it allows itself.
const RETIRES_WITHIN: Duration = Duration::from_secs(15);
/// How long the copy of the stores may take. Requests wait meanwhile.
const COPIED_WITHIN: Duration = Duration::from_secs(60);
/// When stores that could not be put back are tried again.
const RESTORE_AGAIN: Duration = Duration::from_secs(5);
/// How long a killed core may take to be gone before it is killed again.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Where an upgrade is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// The new edge runs beside the old one.
    TryingEdge { until: Mono },
    /// The old core ends what it is at, and its stores are closed.
    RetiringCore { until: Mono },
    /// The stores are copied.
    BackingUp { until: Mono },
    /// The new core has the stores.
    TryingCore { until: Mono },
    /// It is killed, for this reason.
    EndingCore { why: String, until: Mono },
    /// It is gone; the stores are put back.
    Restoring { why: String, until: Mono },
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    EdgeReady,
    EdgeEnded(String),
    CoreReady,
    CoreEnded(String),
    Copied(Result<(), String>),
    /// Whether the stores are what they were.
    Restored(bool),
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start the new edge beside the old one.
    TryEdge,
    /// The new edge was tried in vain.
    DropEdge,
    /// The new edge serves, the old one ends what is open.
    TakeEdge,
    /// Let the old core end; when there is none, it has ended.
    RetireCore,
    KillCore,
    BackUp,
    StopCopy,
    StartNewCore,
    /// The new core has the stores for good.
    Commit,
    /// The stores are again what they were.
    Restore,
    /// Back to the program from before, for core and edge.
    GoBack,
    /// It is over.
    Settle(Result<(), String>),
}

type Next = (Option<Upgrade>, Vec<Effect>);

impl Upgrade {
    /// `ready_within`: how long a new child may take.
    pub(crate) fn begin(now: Mono, ready_within: Duration) -> (Self, Vec<Effect>) {
        let until = now + ready_within;
        (Self::TryingEdge { until }, vec![Effect::TryEdge])
    }

    pub(crate) fn until(&self) -> Mono {
        match self {
            Self::TryingEdge { until }
            | Self::RetiringCore { until }
            | Self::BackingUp { until }
            | Self::TryingCore { until }
            | Self::EndingCore { until, .. }
            | Self::Restoring { until, .. } => *until,
        }
    }

    /// Whether a core that ended is started again as at any other time.
    pub(crate) fn leaves_the_core_alone(&self) -> bool {
        matches!(self, Self::TryingEdge { .. })
    }

    pub(crate) fn step(self, input: Input, now: Mono, ready_within: Duration) -> Next {
        let late = now >= self.until();
        match (self, input) {
            (Self::TryingEdge { .. }, Input::EdgeReady) => {
                let until = now + RETIRES_WITHIN;
                let effects = vec![Effect::TakeEdge, Effect::RetireCore];
                (Some(Self::RetiringCore { until }), effects)
            }
            (Self::TryingEdge { .. }, Input::EdgeEnded(how)) => {
                let why = format!("its edge {how} before it was ready");
                (None, vec![Effect::Settle(Err(why))])
            }
            (Self::TryingEdge { .. }, Input::Tick) if late => {
                let why = format!("its edge was not ready within {}", span(ready_within));
                (None, vec![Effect::DropEdge, Effect::Settle(Err(why))])
            }

            (Self::RetiringCore { .. }, Input::CoreEnded(_)) => {
                let until = now + COPIED_WITHIN;
                (Some(Self::BackingUp { until }), vec![Effect::BackUp])
            }
            (Self::RetiringCore { .. }, Input::Tick) if late => {
                // What it was at is cut short, as by any other death.
                let until = now + ENDS_WITHIN;
                (Some(Self::RetiringCore { until }), vec![Effect::KillCore])
            }

            (Self::BackingUp { .. }, Input::Copied(Ok(()))) => {
                let until = now + ready_within;
                (Some(Self::TryingCore { until }), vec![Effect::StartNewCore])
            }
            (Self::BackingUp { .. }, Input::Copied(Err(why))) => {
                back(format!("its stores could not be copied first: {why}"))
            }
            (Self::BackingUp { .. }, Input::Tick) if late => {
                let why = format!("its stores were not copied within {}", span(COPIED_WITHIN));
                let (next, mut effects) = back(why);
                effects.insert(0, Effect::StopCopy);
                (next, effects)
            }

            (Self::TryingCore { .. }, Input::CoreReady) => {
                (None, vec![Effect::Commit, Effect::Settle(Ok(()))])
            }
            (Self::TryingCore { .. }, Input::CoreEnded(how)) => {
                restoring(format!("its core {how} before it was ready"), now)
            }
            (Self::TryingCore { .. }, Input::Tick) if late => {
                let why = format!("its core was not ready within {}", span(ready_within));
                let until = now + ENDS_WITHIN;
                (
                    Some(Self::EndingCore { why, until }),
                    vec![Effect::KillCore],
                )
            }

            (Self::EndingCore { why, .. }, Input::CoreEnded(_)) => restoring(why, now),
            (Self::EndingCore { why, .. }, Input::Tick) if late => {
                let until = now + ENDS_WITHIN;
                (
                    Some(Self::EndingCore { why, until }),
                    vec![Effect::KillCore],
                )
            }

            (Self::Restoring { why, .. }, Input::Restored(true)) => back(why),
            // Its stores must not be opened as they are.
            (Self::Restoring { why, .. }, Input::Tick) if late => restoring(why, now),

            // Not yet late, or of a child that this state does not wait for: it is started again as ever.
            (
                state @ Self::TryingEdge { .. },
                Input::Tick
                | Input::CoreReady
                | Input::CoreEnded(_)
                | Input::Copied(_)
                | Input::Restored(_),
            )
            | (
                state @ Self::RetiringCore { .. },
                Input::Tick
                | Input::EdgeReady
                | Input::EdgeEnded(_)
                | Input::CoreReady
                | Input::Copied(_)
                | Input::Restored(_),
            )
            | (
                state @ Self::BackingUp { .. },
                Input::Tick
                | Input::EdgeReady
                | Input::EdgeEnded(_)
                | Input::CoreReady
                | Input::CoreEnded(_)
                | Input::Restored(_),
            )
            | (
                state @ (Self::TryingCore { .. } | Self::EndingCore { .. }),
                Input::Tick
                | Input::EdgeReady
                | Input::EdgeEnded(_)
                | Input::Copied(_)
                | Input::Restored(_),
            )
            | (
                state @ Self::Restoring { .. },
                Input::Tick
                | Input::EdgeReady
                | Input::EdgeEnded(_)
                | Input::CoreReady
                | Input::CoreEnded(_)
                | Input::Copied(_)
                | Input::Restored(false),
            )
            // Too late: it is on its way out.
            | (state @ Self::EndingCore { .. }, Input::CoreReady) => (Some(state), Vec::new()),
        }
    }
}

fn back(why: String) -> Next {
    (None, vec![Effect::GoBack, Effect::Settle(Err(why))])
}

fn restoring(why: String, now: Mono) -> Next {
    let until = now + RESTORE_AGAIN;
    (
        Some(Upgrade::Restoring { why, until }),
        vec![Effect::Restore],
    )
}

fn span(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    /// What is done when these happen, each a second after the one before, and where that leads.
    fn after(inputs: &[Input]) -> Next {
        let (state, mut all) = Upgrade::begin(at(0), READY);
        let mut state = Some(state);
        for (second, input) in (1..).zip(inputs) {
            let (next, effects) = state.unwrap().step(input.clone(), at(second), READY);
            state = next;
            all.extend(effects);
        }
        (state, all)
    }

    fn gone() -> Input {
        Input::CoreEnded("exited with code 0".to_owned())
    }

    #[test]
    fn the_edge_is_tried_the_core_retired_the_store_copied_and_the_new_core_kept() {
        let (state, effects) = after(&[
            Input::EdgeReady,
            gone(),
            Input::Copied(Ok(())),
            Input::CoreReady,
        ]);
        assert_eq!(state, None);
        assert_eq!(
            effects,
            [
                Effect::TryEdge,
                Effect::TakeEdge,
                Effect::RetireCore,
                Effect::BackUp,
                Effect::StartNewCore,
                Effect::Commit,
                Effect::Settle(Ok(())),
            ]
        );
    }

    #[test]
    fn a_program_whose_edge_does_not_work_touches_neither_core_nor_store() {
        let (state, effects) = after(&[Input::EdgeEnded("exited with code 1".to_owned())]);
        let why = "its edge exited with code 1 before it was ready".to_owned();
        assert_eq!(
            (state, effects),
            (None, vec![Effect::TryEdge, Effect::Settle(Err(why))])
        );
        let (hanging, _) = Upgrade::begin(at(0), READY);
        let (hanging, nothing) = hanging.step(Input::Tick, at(29), READY);
        assert_eq!(nothing, []);
        let (state, effects) = hanging.unwrap().step(Input::Tick, at(30), READY);
        let why = "its edge was not ready within 30 s".to_owned();
        assert_eq!(
            (state, effects),
            (None, vec![Effect::DropEdge, Effect::Settle(Err(why))])
        );
    }

    #[test]
    fn a_core_that_ends_before_it_is_ready_is_undone_with_its_stores() {
        let (state, effects) = after(&[
            Input::EdgeReady,
            gone(),
            Input::Copied(Ok(())),
            Input::CoreEnded("was killed by SIGSEGV".to_owned()),
            Input::Restored(true),
        ]);
        assert_eq!(state, None);
        let why = "its core was killed by SIGSEGV before it was ready".to_owned();
        assert_eq!(
            effects[5..],
            [Effect::Restore, Effect::GoBack, Effect::Settle(Err(why))]
        );
    }

    #[test]
    fn a_core_that_hangs_is_killed_and_the_stores_are_put_back_once_it_is_gone() {
        let (trying, _) = after(&[Input::EdgeReady, gone(), Input::Copied(Ok(()))]);
        let (ending, effects) = trying.unwrap().step(Input::Tick, at(33), READY);
        assert_eq!(effects, [Effect::KillCore]);
        let ending = ending.unwrap();
        // Ready at the very last moment is too late: the kill is on its way.
        let (ending, effects) = ending.step(Input::CoreReady, at(33), READY);
        assert_eq!(effects, []);
        let (ending, effects) = ending.unwrap().step(Input::Tick, at(38), READY);
        assert_eq!(effects, [Effect::KillCore]);
        let (restoring, effects) = ending.unwrap().step(gone(), at(39), READY);
        assert_eq!(effects, [Effect::Restore]);
        // Stores that are not what they were are never opened.
        let restoring = restoring.unwrap();
        let (restoring, effects) = restoring.step(Input::Restored(false), at(39), READY);
        assert_eq!(effects, []);
        let (restoring, effects) = restoring.unwrap().step(Input::Tick, at(44), READY);
        assert_eq!(effects, [Effect::Restore]);
        let restoring = restoring.unwrap();
        let (state, effects) = restoring.step(Input::Restored(true), at(44), READY);
        assert_eq!(state, None);
        let why = "its core was not ready within 30 s".to_owned();
        assert_eq!(effects, [Effect::GoBack, Effect::Settle(Err(why))]);
    }

    #[test]
    fn without_a_copy_of_the_stores_the_new_core_is_never_started() {
        let (state, effects) = after(&[
            Input::EdgeReady,
            gone(),
            Input::Copied(Err("no space left".to_owned())),
        ]);
        assert_eq!(state, None);
        assert!(!effects.contains(&Effect::StartNewCore));
        assert!(
            !effects.contains(&Effect::Restore),
            "they were not touched: {effects:?}"
        );
    }

    #[test]
    fn whatever_happens_it_is_over_in_bounded_time() {
        let inputs = [
            Input::EdgeReady,
            Input::EdgeEnded("ended".to_owned()),
            Input::CoreReady,
            gone(),
            Input::Copied(Ok(())),
            Input::Copied(Err("failed".to_owned())),
            Input::Restored(true),
            Input::Restored(false),
            Input::Tick,
        ];
        // Every input in every state that is ever reached; a killed core ends some time.
        let mut seen: Vec<Upgrade> = Vec::new();
        let mut next = vec![Upgrade::begin(at(0), READY).0];
        while let Some(state) = next.pop() {
            for input in &inputs {
                for now in [Mono::from_millis(0), state.until()] {
                    let (reached, effects) = state.clone().step(input.clone(), now, READY);
                    let settles = effects
                        .iter()
                        .filter(|effect| matches!(effect, Effect::Settle(_)))
                        .count();
                    assert_eq!(
                        settles,
                        usize::from(reached.is_none()),
                        "{state:?} {input:?}"
                    );
                    if *input == Input::Tick && now == state.until() {
                        assert!(!effects.is_empty(), "{state:?} waits for ever");
                    }
                    let known = |one: &Upgrade| {
                        reached.as_ref().is_some_and(|reached| {
                            std::mem::discriminant(one) == std::mem::discriminant(reached)
                        })
                    };
                    if let Some(reached) = &reached
                        && !seen.iter().any(known)
                    {
                        seen.push(reached.clone());
                        next.push(reached.clone());
                    }
                }
            }
        }
        assert_eq!(seen.len(), 6);
    }
}

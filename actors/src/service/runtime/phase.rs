//! How far the runtime is, as others see it.

use super::{
    super::RuntimePhase,
    step::{Origin, State},
};

/// What is told of a state, to whom `before` was told last.
pub(super) fn phase_of(state: &State, before: &RuntimePhase) -> RuntimePhase {
    let was_asleep = matches!(before, RuntimePhase::Asleep | RuntimePhase::Waking);
    match state {
        State::Settling { .. }
        | State::Asleep { .. }
        | State::Waking { .. }
        | State::Launching {
            origin: Origin::Woken { .. },
            ..
        }
        | State::Initialising {
            origin: Origin::Woken { .. },
            ..
        } => RuntimePhase::Asleep,
        State::Idle { adopted: true, .. } | State::Starting { .. } if was_asleep => {
            RuntimePhase::Waking
        }
        State::Waiting
        | State::Launching { .. }
        | State::Initialising { .. }
        // Whether `main` is up is not known yet, so neither is whether its reports count.
        | State::Idle { adopted: true, .. }
        | State::Held { generation: None } => RuntimePhase::Booting,
        State::Idle { adopted: false, .. }
        | State::Held {
            generation: Some(_),
        } => RuntimePhase::Idle,
        State::Starting { .. } | State::Stopping { .. } => RuntimePhase::Changing,
        State::Exiting { .. } => RuntimePhase::Exiting,
        State::Running { .. } => RuntimePhase::Running,
        State::Exited => RuntimePhase::Exited,
        State::Failed(failure) => RuntimePhase::Failed(failure.words()),
    }
}

impl RuntimePhase {
    /// Whether the package's `init` is done, and the package can be asked; one that sleeps is woken by that.
    pub(crate) const fn is_initialised(&self) -> bool {
        matches!(
            self,
            Self::Idle | Self::Changing | Self::Running | Self::Asleep | Self::Waking
        )
    }

    /// Whether all that `main` runs is up, be Node there or not.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self, Self::Running | Self::Asleep | Self::Waking)
    }
}

#[cfg(test)]
mod tests {
    use coppice_clock::Mono;

    use super::*;
    use crate::{model::DesiredStatus, service::runtime::step::Input};

    /// The phases on the way from a restart of the core, with a Node process that outlived it.
    fn adopted(desired: DesiredStatus) -> Vec<RuntimePhase> {
        let inputs = [
            Input::AgentUp {
                live: Some(1),
                next: 2,
                asleep: None,
            },
            Input::RuntimeUp { generation: 1 },
            Input::InitDone(Ok(())),
            Input::Desired(desired),
        ];
        let mut state = State::Waiting;
        let mut phases = Vec::new();
        for input in inputs {
            state = state.step(input, Mono::from_millis(1_000)).0;
            let before = phases.last().unwrap_or(&RuntimePhase::Booting);
            phases.push(phase_of(&state, before));
        }
        phases
    }

    #[test]
    fn a_runtime_that_outlived_the_core_is_not_idle_before_it_is_known_whether_main_is_up() {
        use RuntimePhase::{Booting, Changing};
        for desired in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let phases = adopted(desired);
            assert_eq!(phases, [Booting, Booting, Booting, Changing]);
        }
    }
}

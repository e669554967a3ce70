//! What follows when a runtime, or its `main`, has failed: it is held, or it is told and tried again.

use std::time::Duration;

use coppice_clock::Mono;
use coppice_supervision::ExitReason;
use ractor::{ActorProcessingErr, ActorRef};

use super::{
    super::{
        ContainerPhase, Event,
        hold::{self, Hold},
    },
    RuntimeMsg, RuntimeShell,
    failure::Failure,
    step::{self, Input, State},
};
use crate::model::Cause;

/// A runtime that fails so soon after one of its daemons died may well fail for that.
const AFTER_A_DEATH: Duration = Duration::from_secs(10);

impl RuntimeShell {
    /// `start` answered. A failure is retried by the machine, or held.
    pub(super) fn started(&mut self, result: Result<(), String>, myself: &ActorRef<RuntimeMsg>) {
        let failed = matches!(
            self.state,
            Some(State::Idle {
                retry_at: Some(_),
                ..
            })
        );
        let Err(message) = result else {
            self.start_failed = false;
            return;
        };
        if !failed {
            return;
        }
        let cause = Cause::StartFailed { message };
        match hold::obstacle(&self.service) {
            Some(obstacle) => self.hold(Event::new("main", cause, ""), obstacle, myself),
            None if !self.start_failed => {
                let action = format!(
                    "it is started again every {} s until it comes up",
                    step::START_RETRY.as_secs()
                );
                self.service.record_later(Event::new("main", cause, action));
                self.start_failed = true;
            }
            None => {}
        }
    }

    /// What failed is held when something it needs is missing. Otherwise the actor ends with its
    /// reason, is counted, and is started again.
    pub(super) fn failed(
        &mut self,
        failure: Failure,
        myself: &ActorRef<RuntimeMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let (part, cause, words) = (failure.part(), failure.cause(), failure.words());
        self.service.note_failure(part, cause.clone(), &words);
        // While the container is going down or is gone, its actor tells the story.
        let alone = *self.service.container.borrow() == ContainerPhase::Up;
        let event = Event::new(
            part,
            cause,
            "the runtime is started again; what the old one had started was ended",
        )
        .because(self.service.recent_death(AFTER_A_DEATH))
        .after(Some(Mono::now().since(self.since)));
        if alone {
            if let Some(obstacle) = hold::obstacle(&self.service) {
                self.hold(event, obstacle, myself);
                return Ok(());
            }
            self.tell(event);
        }
        self.state = None;
        Err(ExitReason::Abnormal(coppice_supervision::Failure::text(words)).into())
    }

    /// Writes it down. The report it comes from is not acknowledged before.
    fn tell(&mut self, event: Event) {
        self.service.record_then(event, self.told.take());
    }

    /// Keeps what failed from being tried again, with a record of why.
    fn hold(&mut self, event: Event, obstacle: hold::Obstacle, myself: &ActorRef<RuntimeMsg>) {
        self.step(Input::Hold, myself);
        let (action, because) = (hold::action(&obstacle), obstacle.because.clone());
        self.tell(Event {
            action,
            because,
            ..event
        });
        self.hold = Some(Hold::begin(&self.service, obstacle, myself.clone(), || {
            RuntimeMsg::Input(Input::Release)
        }));
    }
}

//! Where an actor can be reached by its siblings, across its restarts.

use std::sync::{Mutex, PoisonError};

use ractor::ActorRef;

/// The present incarnation of one actor, if there is one.
#[derive(Debug)]
pub struct Slot<M>(Mutex<Option<ActorRef<M>>>);

impl<M> Default for Slot<M> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<M: ractor::Message> Slot<M> {
    /// Notes the present incarnation.
    pub fn set(&self, actor: ActorRef<M>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    /// Sends to the present incarnation; `false` when there is none.
    pub fn cast(&self, message: M) -> bool {
        let actor = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        actor.is_some_and(|actor| actor.cast(message).is_ok())
    }
}

//! One-time tickets: a method gives a guid, the client opens a stream or sends a body with it.
//!
//! Invariants: a ticket is taken at most once; one that is not taken in time is gone; each session
//! holds a bounded number.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, ws::WebSocket},
    response::Response,
};
use coppice_actors::Problem;
use coppice_clock::Mono;
use futures_util::future::BoxFuture;
use rand::RngCore;

use crate::caller::Caller;

/// How long a ticket waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long the progress of an upload waits to be watched.
pub(crate) const UPLOAD_PATIENCE: Duration = Duration::from_secs(600);
/// Tickets of one caller.
const PER_CALLER: usize = 64;

/// What a ticket leads to.
pub(crate) enum Continuation {
    /// A WebSocket.
    Socket(Box<dyn FnOnce(WebSocket) -> BoxFuture<'static, ()> + Send>),
    /// A request with a body.
    Request(Box<dyn FnOnce(Request<Body>) -> BoxFuture<'static, Response> + Send>),
}

struct Ticket {
    until: Mono,
    caller: Caller,
    leads_to: Continuation,
}

/// The tickets that are out.
#[derive(Clone, Default)]
pub(crate) struct Continuations(Arc<Mutex<HashMap<String, Ticket>>>);

impl Continuations {
    /// Gives out a ticket.
    ///
    /// # Errors
    /// When the caller holds too many that it never used.
    pub(crate) fn give(
        &self,
        caller: &Caller,
        leads_to: Continuation,
        patience: Duration,
    ) -> Result<String, Problem> {
        let now = Mono::now();
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, ticket| ticket.until > now);
        if tickets
            .values()
            .filter(|ticket| ticket.caller == *caller)
            .count()
            >= PER_CALLER
        {
            return Err(Problem::invalid(format!(
                "{PER_CALLER} streams were asked for and never opened; open or wait for those first"
            )));
        }
        let mut raw = [0; 20];
        rand::rng().fill_bytes(&mut raw);
        let guid = data_encoding::BASE32_NOPAD.encode(&raw);
        tickets.insert(
            guid.clone(),
            Ticket {
                until: now + patience,
                caller: caller.clone(),
                leads_to,
            },
        );
        Ok(guid)
    }

    /// Takes a ticket; `None` when it is unknown, used, or of the other kind.
    #[must_use]
    pub(crate) fn take(&self, guid: &str, socket: bool) -> Option<(Caller, Continuation)> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = tickets.get(guid)?;
        let fits = matches!(ticket.leads_to, Continuation::Socket(_)) == socket
            && ticket.until > Mono::now();
        if !fits {
            return None;
        }
        tickets
            .remove(guid)
            .map(|ticket| (ticket.caller, ticket.leads_to))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn socket() -> Continuation {
        Continuation::Socket(Box::new(|_| async {}.boxed()))
    }

    #[test]
    fn a_ticket_is_taken_once_and_only_for_its_kind() {
        let tickets = Continuations::default();
        let guid = tickets.give(&Caller::Root, socket(), PATIENCE).unwrap();
        assert_eq!(guid.len(), 32);
        assert!(tickets.take(&guid, false).is_none());
        assert!(tickets.take(&guid, true).is_some());
        assert!(tickets.take(&guid, true).is_none());
    }

    #[test]
    fn a_ticket_that_waited_too_long_is_gone() {
        let tickets = Continuations::default();
        let guid = tickets
            .give(&Caller::Root, socket(), Duration::ZERO)
            .unwrap();
        assert!(tickets.take(&guid, true).is_none());
    }

    #[test]
    fn one_caller_cannot_hoard_tickets() {
        let tickets = Continuations::default();
        for _ in 0..PER_CALLER {
            tickets.give(&Caller::Root, socket(), PATIENCE).unwrap();
        }
        assert!(tickets.give(&Caller::Root, socket(), PATIENCE).is_err());
        assert!(tickets.give(&Caller::Anonymous, socket(), PATIENCE).is_ok());
    }
}

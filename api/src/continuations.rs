//! One-time tickets: a method gives a guid, the client opens a stream or sends a body with it.
//!
//! Invariants: a ticket is taken at most once; one that is not taken in time is gone, and with it what it held; each
//! caller has a bounded number of tickets, and of streams that tickets opened.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
/// Tickets of one caller that wait.
const PER_CALLER: usize = 64;
/// Streams of one caller that are open. A dashboard has two or three; one whose other side is gone unheard counts for
/// some minutes.
const OPEN_PER_CALLER: usize = 128;

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

#[derive(Default)]
struct Given {
    waiting: HashMap<String, Ticket>,
    open: Vec<Caller>,
}

impl Given {
    fn forget_late(&mut self) {
        let now = Mono::now();
        self.waiting.retain(|_, ticket| ticket.until > now);
    }
}

/// The tickets that are out, and what is open.
#[derive(Clone, Default)]
pub(crate) struct Continuations(Arc<Mutex<Given>>);

/// What a ticket led to is open for as long as this is kept.
#[must_use]
pub(crate) struct Open {
    of: Continuations,
    caller: Caller,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut given = self.of.given();
        if let Some(index) = given.open.iter().position(|caller| *caller == self.caller) {
            given.open.swap_remove(index);
        }
    }
}

impl Continuations {
    fn given(&self) -> MutexGuard<'_, Given> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives out a ticket.
    ///
    /// # Errors
    /// When the caller holds too many that it never used, or has too many streams open.
    pub(crate) fn give(
        &self,
        caller: &Caller,
        leads_to: Continuation,
        patience: Duration,
    ) -> Result<String, Problem> {
        let mut given = self.given();
        given.forget_late();
        let mine = |other: &Caller| other == caller;
        let waiting = given.waiting.values().map(|ticket| &ticket.caller);
        if waiting.filter(|other| mine(other)).count() >= PER_CALLER {
            return Err(Problem::invalid(format!(
                "{PER_CALLER} streams were asked for and never opened; open or wait for those first"
            )));
        }
        if given.open.iter().filter(|other| mine(other)).count() >= OPEN_PER_CALLER {
            return Err(Problem::invalid(format!(
                "{OPEN_PER_CALLER} streams are open already; close some first"
            )));
        }
        let mut raw = [0; 20];
        rand::rng().fill_bytes(&mut raw);
        let guid = data_encoding::BASE32_NOPAD.encode(&raw);
        let ticket = Ticket {
            until: Mono::now() + patience,
            caller: caller.clone(),
            leads_to,
        };
        given.waiting.insert(guid.clone(), ticket);
        drop(given);
        self.clone().forget(guid.clone(), patience);
        Ok(guid)
    }

    /// Has a ticket forgotten that is not taken in time: what it leads to may be a subscription that is kept up to date.
    fn forget(self, guid: String, patience: Duration) {
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            let late = self.given().waiting.remove(&guid);
            // Not under the lock: what it led to ends in its own ways.
            drop(late);
        });
    }

    /// Takes a ticket; `None` when it is unknown, used, of the other kind, or was given to somebody who `may` not use it
    /// where it is shown. Otherwise whoever has it may: clients open streams without showing who they are.
    pub(crate) fn take(
        &self,
        guid: &str,
        socket: bool,
        may: impl FnOnce(&Caller) -> bool,
    ) -> Option<(Open, Continuation)> {
        let mut given = self.given();
        let ticket = given.waiting.get(guid)?;
        let fits = matches!(ticket.leads_to, Continuation::Socket(_)) == socket
            && ticket.until > Mono::now()
            && may(&ticket.caller);
        if !fits {
            return None;
        }
        let ticket = given.waiting.remove(guid)?;
        given.open.push(ticket.caller.clone());
        let open = Open {
            of: self.clone(),
            caller: ticket.caller,
        };
        Some((open, ticket.leads_to))
    }
}

impl Open {
    /// Who asked for it.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn socket() -> Continuation {
        Continuation::Socket(Box::new(|_| async {}.boxed()))
    }

    #[tokio::test]
    async fn a_ticket_is_taken_once_and_only_for_its_kind() {
        let tickets = Continuations::default();
        let guid = tickets.give(&Caller::Root, socket(), PATIENCE).unwrap();
        assert_eq!(guid.len(), 32);
        assert!(tickets.take(&guid, false, |_| true).is_none());
        assert!(tickets.take(&guid, true, |_| true).is_some());
        assert!(tickets.take(&guid, true, |_| true).is_none());
    }

    #[tokio::test]
    async fn a_ticket_that_is_shown_where_it_may_not_be_used_is_not_used_up() {
        let tickets = Continuations::default();
        let guid = tickets.give(&Caller::Root, socket(), PATIENCE).unwrap();
        let elsewhere = |caller: &Caller| *caller != Caller::Root;
        assert!(tickets.take(&guid, true, elsewhere).is_none());
        assert!(tickets.take(&guid, true, |_| true).is_some());
    }

    #[tokio::test]
    async fn a_ticket_that_waited_too_long_is_gone() {
        let tickets = Continuations::default();
        let guid = tickets
            .give(&Caller::Root, socket(), Duration::ZERO)
            .unwrap();
        assert!(tickets.take(&guid, true, |_| true).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_ticket_held_ends_with_its_time_though_nobody_asks() {
        let tickets = Continuations::default();
        let held = Arc::new(());
        let kept = Arc::downgrade(&held);
        let leads_to = Continuation::Socket(Box::new(move |_| {
            drop(held);
            async {}.boxed()
        }));
        tickets.give(&Caller::Root, leads_to, PATIENCE).unwrap();
        tokio::task::yield_now().await;
        assert!(kept.upgrade().is_some());
        tokio::time::sleep(PATIENCE * 2).await;
        assert!(kept.upgrade().is_none());
    }

    #[tokio::test]
    async fn one_caller_cannot_hoard_tickets() {
        let tickets = Continuations::default();
        for _ in 0..PER_CALLER {
            tickets.give(&Caller::Root, socket(), PATIENCE).unwrap();
        }
        assert!(tickets.give(&Caller::Root, socket(), PATIENCE).is_err());
        assert!(tickets.give(&Caller::Anonymous, socket(), PATIENCE).is_ok());
    }

    #[tokio::test]
    async fn one_caller_has_so_many_streams_and_no_more_until_one_ends() {
        let tickets = Continuations::default();
        let give = |caller: &Caller| tickets.give(caller, socket(), PATIENCE);
        let mut open = Vec::new();
        for _ in 0..OPEN_PER_CALLER {
            let guid = give(&Caller::Root).unwrap();
            open.push(tickets.take(&guid, true, |_| true).unwrap().0);
        }
        assert!(give(&Caller::Root).is_err());
        assert!(give(&Caller::Anonymous).is_ok());
        open.pop();
        assert!(give(&Caller::Root).is_ok());
    }
}

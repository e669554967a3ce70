//! How an update hears that its owner does not want it any more.
//!
//! Invariant: whoever was told that an update is called off will find the version before; past the decision
//! ([`Listener::decide`]) nobody is told so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{
    model::By,
    problem::{Kind, Problem},
    words,
};

/// That an update is called off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledOff {
    /// By whom.
    pub by: By,
    /// The service shall be stopped, too.
    pub stop: bool,
}

impl CalledOff {
    pub(super) fn problem(&self) -> Problem {
        let who = words::who(&self.by);
        let how = if self.stop { ", who stopped it" } else { "" };
        Problem::new(Kind::Cancelled, format!("it was called off by {who}{how}"))
    }
}

type Ear = watch::Sender<Option<CalledOff>>;

/// Every update under way, by service.
#[derive(Clone, Debug, Default)]
pub(in crate::jobs) struct Updates(Arc<Mutex<BTreeMap<String, Ear>>>);

impl Updates {
    /// Calls an update off; `false` when there is none that could be.
    pub(in crate::jobs) fn call_off(&self, service: &str, how: CalledOff) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ear) = all.get(service) else {
            return false;
        };
        // A stop is never taken back by a mere cancel.
        ear.send_if_modified(|known| {
            let news = known.as_ref().is_none_or(|known| how.stop && !known.stop);
            if news {
                *known = Some(how);
            }
            news
        });
        true
    }

    /// Listens for the update of a service, which begins.
    pub(super) fn listen(&self, service: &str) -> Listener {
        let (ear, heard) = watch::channel(None);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(service.to_owned(), ear);
        Listener {
            service: service.to_owned(),
            all: self.clone(),
            heard,
        }
    }
}

/// One update's ear; while it exists the update can be called off.
pub(super) struct Listener {
    service: String,
    all: Updates,
    heard: watch::Receiver<Option<CalledOff>>,
}

impl Listener {
    /// Does `work` unless, or until, the update is called off.
    pub(super) async fn unless<T>(
        &self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let mut heard = self.heard.clone();
        let called_off = async {
            let how = heard.wait_for(Option::is_some).await;
            let how = how.ok().and_then(|how| how.clone());
            match how {
                Some(how) => how.problem(),
                // Its sender is gone with this, and so is whoever would wait here.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            problem = called_off => Err(problem),
            done = work => done,
        }
    }

    /// For whoever looks now and then, off the async threads.
    pub(super) fn hearing(&self) -> watch::Receiver<Option<CalledOff>> {
        self.heard.clone()
    }

    /// It is decided what becomes of the update: from here on nobody calls it off.
    pub(super) fn decide(self) -> Option<CalledOff> {
        self.hang_up();
        self.heard.borrow().clone()
    }

    fn hang_up(&self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.service);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hang_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(stop: bool) -> CalledOff {
        CalledOff {
            by: By::Coppice,
            stop,
        }
    }

    #[tokio::test]
    async fn what_is_called_off_is_not_gone_on_with() {
        let updates = Updates::default();
        let listener = updates.listen("a");
        assert!(!updates.call_off("b", how(false)));
        assert!(updates.call_off("a", how(false)));
        let work = async { Ok(1) };
        let problem = listener.unless(work).await.unwrap_err();
        assert_eq!(problem.kind, Kind::Cancelled);
        assert_eq!(listener.decide(), Some(how(false)));
    }

    #[tokio::test]
    async fn a_stop_outlasts_a_cancel_that_comes_after_it() {
        let updates = Updates::default();
        let listener = updates.listen("a");
        updates.call_off("a", how(true));
        updates.call_off("a", how(false));
        assert_eq!(listener.decide(), Some(how(true)));
    }

    #[test]
    fn past_the_decision_nobody_is_told_that_it_is_called_off() {
        let updates = Updates::default();
        assert_eq!(updates.listen("a").decide(), None);
        assert!(!updates.call_off("a", how(true)));
    }
}

//! What a package waits to hear of, and how it hears.

use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};

use serde_json::json;

use super::{
    super::{
        callbacks::{Callbacks, Changed, Clear, TooManyCallbacks, Watched},
        runtime::{RuntimeMsg, step::Input},
    },
    ServiceContext, locked,
};
use crate::network::Wanted;

/// How long a runtime may leave its callbacks unread.
pub(super) const DELIVERY_PATIENCE: Duration = Duration::from_secs(10);
impl ServiceContext {
    /// Whether this generation waits for changes that nobody here would tell it of: another core was told.
    pub(in crate::service) fn has_lost_callbacks(&self, generation: u64) -> bool {
        let asleep = self.entry().ok().and_then(|entry| entry.asleep);
        asleep.is_some_and(|asleep| asleep.watches) && self.callbacks().generation() != generation
    }

    /// Whether this core has put the service's Node to sleep, or has met none of it yet.
    pub(in crate::service) fn may_sleep(&self) -> bool {
        self.door.is_shut() || self.callbacks().generation() == 0
    }

    /// Whether the package waits for any change.
    pub(in crate::service) fn watches(&self) -> bool {
        !self.callbacks().is_empty()
    }

    fn callbacks(&self) -> MutexGuard<'_, Callbacks> {
        locked(&self.callbacks)
    }

    /// Notes that callback `id` of the package's code wants to hear of `watched`, once.
    ///
    /// # Errors
    /// When it waits for too much already.
    pub fn watch(&self, watched: Watched, id: u64) -> Result<(), TooManyCallbacks> {
        let mut callbacks = self.callbacks();
        callbacks.register(watched.clone(), id)?;
        // A change that came before this is in what the caller reads next.
        self.host.watchers.add(&self.id, &watched);
        Ok(())
    }

    /// Drops registrations, whatever they watch.
    pub fn unwatch(&self, which: &Clear) {
        self.drop_callbacks(|callbacks| callbacks.clear(which));
    }

    /// Begins a generation of the runtime: what earlier ones registered is not delivered any more.
    pub fn begin_watching(&self, generation: u64) {
        self.drop_callbacks(|callbacks| callbacks.begin(generation));
    }

    /// The certificates whose renewal is watched.
    pub(crate) fn watched_certificates(&self) -> Vec<Wanted> {
        self.callbacks().certificates()
    }

    fn drop_callbacks<T>(&self, dropping: impl FnOnce(&mut Callbacks) -> T) -> T {
        let mut callbacks = self.callbacks();
        let before = callbacks.topics();
        let done = dropping(&mut callbacks);
        let after = callbacks.topics();
        self.host
            .watchers
            .remove(&self.id, before.difference(&after));
        done
    }

    /// Delivers what these changes fire, beside the caller: whoever tells of a change tells several
    /// services, and none may wait for one that does not read. Node that sleeps is woken instead.
    pub fn fire(self: &Arc<Self>, changed: &[Changed]) {
        let Some(visit) = self.door.enter() else {
            if self.callbacks().would_fire(changed) {
                self.door.miss(changed);
                self.runtime_slot.cast(RuntimeMsg::Input(Input::Rouse));
            }
            return;
        };
        let due = self.drop_callbacks(|callbacks| callbacks.fire(changed));
        let link = self.runtime.borrow().clone();
        let Some(link) = link.filter(|_| !due.is_empty()) else {
            return;
        };
        let service = Arc::clone(self);
        tokio::spawn(async move {
            let _visit = visit;
            let deliver = async {
                for id in due {
                    let params = json!({ "id": id, "args": [] });
                    link.peer
                        .notify(coppice_wire::runtime::CALLBACK, params)
                        .await;
                }
            };
            if tokio::time::timeout(DELIVERY_PATIENCE, deliver)
                .await
                .is_err()
            {
                // It redials if it lives, and then fires all its callbacks: nothing is lost.
                tracing::warn!(service = service.id, "closing a runtime that does not read");
                link.peer.close();
            }
        });
    }
}

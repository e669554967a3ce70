//! What every operation of the real backend stands on.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
};

use crate::{
    HostLayout,
    error::{Doing, StepError},
    idmap::FlatMap,
    sys::userns,
};

/// The host, as the backend uses it.
pub(crate) struct Host {
    pub(crate) layout: HostLayout,
    /// Held for reading while a container starts, so that nobody takes the cgroups' parent away
    /// between its making and its use.
    pub(crate) cgroup_parents: RwLock<()>,
    /// One user namespace per id range. Maps that a package made up are not kept: it could make up as
    /// many as it likes.
    ranges: Mutex<HashMap<u32, Arc<OwnedFd>>>,
}

impl Host {
    pub(crate) fn new(layout: HostLayout) -> Self {
        Self {
            layout,
            cgroup_parents: RwLock::default(),
            ranges: Mutex::default(),
        }
    }

    /// The user namespace that maps a container's whole range.
    pub(crate) fn range(&self, id_base: u32) -> Result<Arc<OwnedFd>, StepError> {
        // The table holds only finished entries, so a panic elsewhere has not spoilt it.
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = ranges.get(&id_base) {
            return Ok(Arc::clone(found));
        }
        let made = userns::with_map(&FlatMap::range(id_base))
            .doing(format!("make a user namespace for ids from {id_base} on"))?;
        let made = Arc::new(made);
        ranges.insert(id_base, Arc::clone(&made));
        Ok(made)
    }
}

/// Runs `work` on a thread made for it, which may change its namespaces and is never used again. Blocks.
pub(crate) fn on_own_thread<T: Send>(
    name: &str,
    work: impl FnOnce() -> Result<T, StepError> + Send,
) -> Result<T, StepError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, work)
            .doing("start a thread")?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")).doing(name))
    })
}

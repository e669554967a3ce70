//! Which package code wants to hear of which change.
//!
//! Invariants: a registration is delivered at most once and then forgotten; it dies with its
//! generation; a change that comes between the registration and the answer still fires, because
//! registering comes first.

use std::collections::{BTreeMap, BTreeSet};

/// What a registration watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// `statusInfo` of a package, its coming and going included.
    Status(String),
    /// The manifest of a package, its coming and going included.
    Manifest(String),
    /// One host of a package.
    Host {
        /// The package.
        package: String,
        /// The host.
        host: String,
    },
    /// Everything under a package's hosts.
    Hosts(String),
    /// The address of a package's container: the next container made.
    ContainerIp(String),
    /// The gateway this package goes out by.
    OutboundGateway,
    /// The server's mail settings.
    Smtp,
    /// A certificate's renewal.
    Certificate(Vec<String>),
}

/// Registrations a service may have at once. A package watches what it read: some dozens of things.
/// The rest is for packages that read in a loop and let go of what they read late.
const MAX_REGISTRATIONS: usize = 8192;

/// A service waits for as many changes as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the callback is one too many: this service waits for {MAX_REGISTRATIONS} changes already; \
     clear callbacks that are not needed any more, or restart the service"
)]
pub struct TooManyCallbacks;

/// Registrations of one service.
#[derive(Debug, Default)]
pub struct Callbacks {
    generation: u64,
    by_watched: BTreeMap<Watched, BTreeSet<u64>>,
}

impl Callbacks {
    /// Begins a generation: what earlier ones registered can no longer be delivered.
    pub fn begin(&mut self, generation: u64) {
        if generation != self.generation {
            self.generation = generation;
            self.by_watched.clear();
        }
    }

    /// Notes that callback `id` wants to hear of `watched`, once.
    ///
    /// # Errors
    /// [`TooManyCallbacks`]; nothing was noted.
    pub fn register(&mut self, watched: Watched, id: u64) -> Result<(), TooManyCallbacks> {
        let registered: usize = self.by_watched.values().map(BTreeSet::len).sum();
        if registered >= MAX_REGISTRATIONS {
            return Err(TooManyCallbacks);
        }
        self.by_watched.entry(watched).or_default().insert(id);
        Ok(())
    }

    /// Takes the callbacks that one of `changed` fires.
    pub fn fire(&mut self, changed: &[Watched]) -> Vec<u64> {
        let mut due: Vec<u64> = changed
            .iter()
            .filter_map(|watched| self.by_watched.remove(watched))
            .flatten()
            .collect();
        due.sort_unstable();
        due.dedup();
        due
    }

    /// Drops registrations, whatever they watch.
    pub fn clear(&mut self, which: &Clear) {
        for ids in self.by_watched.values_mut() {
            match which {
                Clear::Only(drop) => ids.retain(|id| !drop.contains(id)),
                Clear::Except(keep) => ids.retain(|id| keep.contains(id)),
            }
        }
        self.by_watched.retain(|_, ids| !ids.is_empty());
    }
}

/// Parameters of `clear-callbacks`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clear {
    /// Drop these.
    Only(BTreeSet<u64>),
    /// Keep these.
    Except(BTreeSet<u64>),
}

/// What a change of the document at `path` (segments below `/public/packageData`) may have changed.
#[must_use]
pub fn touched(path: &[&str]) -> Vec<Watched> {
    let Some((package, below)) = path.split_first() else {
        return Vec::new();
    };
    let package = (*package).to_owned();
    let host = |host: &str| Watched::Host {
        package: package.clone(),
        host: host.to_owned(),
    };
    match below {
        [] => vec![
            Watched::Status(package.clone()),
            Watched::Manifest(package.clone()),
            Watched::Hosts(package.clone()),
        ],
        ["statusInfo", ..] => vec![Watched::Status(package.clone())],
        ["stateInfo", ..] => vec![Watched::Manifest(package.clone())],
        ["hosts"] => vec![Watched::Hosts(package.clone())],
        ["hosts", id, ..] => vec![host(id), Watched::Hosts(package.clone())],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(package: &str) -> Watched {
        Watched::Status(package.into())
    }

    #[test]
    fn a_callback_fires_at_most_once_and_again_after_a_new_registration() {
        let mut callbacks = Callbacks::default();
        callbacks.register(status("a"), 1).unwrap();
        assert_eq!(callbacks.fire(&[status("a")]), [1]);
        assert!(callbacks.fire(&[status("a")]).is_empty());
        callbacks.register(status("a"), 2).unwrap();
        assert_eq!(callbacks.fire(&[status("a"), status("a")]), [2]);
    }

    #[test]
    fn an_unrelated_change_fires_nothing() {
        let mut callbacks = Callbacks::default();
        callbacks.register(status("a"), 1).unwrap();
        assert!(callbacks.fire(&touched(&["a", "tasks", "x"])).is_empty());
        assert!(callbacks.fire(&touched(&["b", "statusInfo"])).is_empty());
        assert_eq!(
            callbacks.fire(&touched(&["a", "statusInfo", "started"])),
            [1]
        );
    }

    #[test]
    fn a_new_generation_forgets_what_the_old_one_registered() {
        let mut callbacks = Callbacks::default();
        callbacks.begin(1);
        callbacks.register(status("a"), 1).unwrap();
        callbacks.begin(1);
        assert_eq!(callbacks.fire(&[status("a")]), [1]);
        callbacks.register(status("a"), 1).unwrap();
        callbacks.begin(2);
        assert!(callbacks.fire(&[status("a")]).is_empty());
    }

    #[test]
    fn a_service_that_registers_without_end_is_refused_until_it_clears() {
        let mut callbacks = Callbacks::default();
        for id in 0..8192 {
            callbacks.register(status(&id.to_string()), id).unwrap();
        }
        assert_eq!(callbacks.register(status("a"), 9000), Err(TooManyCallbacks));
        callbacks.clear(&Clear::Only([7].into()));
        callbacks.register(status("a"), 9000).unwrap();
        assert_eq!(callbacks.register(status("b"), 9001), Err(TooManyCallbacks));
        assert_eq!(callbacks.fire(&[status("a")]), [9000]);
        callbacks.register(status("b"), 9001).unwrap();
    }

    #[test]
    fn clearing_drops_only_the_named_or_keeps_only_the_named() {
        let mut callbacks = Callbacks::default();
        for id in 1..=3 {
            callbacks.register(status("a"), id).unwrap();
        }
        callbacks.clear(&Clear::Only([1].into()));
        callbacks.clear(&Clear::Except([3].into()));
        assert_eq!(callbacks.fire(&[status("a")]), [3]);
    }

    #[test]
    fn a_package_that_appears_or_goes_touches_all_that_is_watched_of_it() {
        let touched = touched(&["a"]);
        assert!(touched.contains(&Watched::Manifest("a".into())));
        assert!(touched.contains(&Watched::Hosts("a".into())));
    }
}

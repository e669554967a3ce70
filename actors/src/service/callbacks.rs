//! Which package code wants to hear of which change.
//!
//! Invariants: a registration is delivered at most once and then forgotten; it dies with its
//! generation; a change that comes between the registration and the answer still fires, because
//! registering comes first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::network::Wanted;

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
    /// One interface of a package, that there is.
    Interface {
        /// The package.
        package: String,
        /// The host it belongs to.
        host: String,
        /// The interface.
        id: String,
    },
    /// The gateway a package goes out by.
    OutboundGateway(String),
    /// The server's mail settings.
    Smtp,
    /// A certificate's renewal.
    Certificate(Wanted),
}

/// What registrations are looked up by, when something changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Anything about a package.
    Package(String),
    /// What belongs to the server.
    Server,
}

impl Watched {
    fn topic(&self) -> Topic {
        match self {
            Self::Status(package)
            | Self::Manifest(package)
            | Self::Host { package, .. }
            | Self::Hosts(package)
            | Self::ContainerIp(package)
            | Self::Interface { package, .. }
            | Self::OutboundGateway(package) => Topic::Package(package.clone()),
            Self::Smtp | Self::Certificate(_) => Topic::Server,
        }
    }
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

/// What a change of the document may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// Just this.
    One(Watched),
    /// Every host of this package, and which there are.
    AllHosts(String),
    /// Every interface of one host, and which there are.
    InterfacesOf {
        /// The package.
        package: String,
        /// The host.
        host: String,
    },
}

impl Changed {
    /// Whether addresses or ways to services may have changed.
    #[must_use]
    pub const fn is_of_hosts(&self) -> bool {
        matches!(self, Self::One(Watched::Hosts(_)) | Self::AllHosts(_))
    }

    fn topic(&self) -> Topic {
        match self {
            Self::One(watched) => watched.topic(),
            Self::AllHosts(package) | Self::InterfacesOf { package, .. } => {
                Topic::Package(package.clone())
            }
        }
    }

    fn concerns(&self, watched: &Watched) -> bool {
        match (self, watched) {
            (Self::One(changed), watched) => changed == watched,
            (
                Self::AllHosts(changed),
                Watched::Host { package, .. }
                | Watched::Hosts(package)
                | Watched::Interface { package, .. },
            ) => changed == package,
            (
                Self::InterfacesOf { package, host },
                Watched::Interface {
                    package: of,
                    host: on,
                    ..
                },
            ) => (package, host) == (of, on),
            (Self::AllHosts(_) | Self::InterfacesOf { .. }, _) => false,
        }
    }
}

/// Which services watch anything of a topic, so that a change need not ask all there are.
///
/// Invariant: whoever has a registration is found by its topic. The other way round it may be out of date.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    by_topic: Mutex<BTreeMap<Topic, BTreeSet<String>>>,
}

impl Watchers {
    fn by_topic(&self) -> MutexGuard<'_, BTreeMap<Topic, BTreeSet<String>>> {
        self.by_topic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `service` watches this.
    pub(crate) fn add(&self, service: &str, watched: &Watched) {
        let mut by_topic = self.by_topic();
        let watchers = by_topic.entry(watched.topic()).or_default();
        if !watchers.contains(service) {
            watchers.insert(service.to_owned());
        }
    }

    /// Forgets `service` for these.
    pub(crate) fn remove<'a>(&self, service: &str, topics: impl Iterator<Item = &'a Topic>) {
        let mut by_topic = self.by_topic();
        for topic in topics {
            if let Some(watchers) = by_topic.get_mut(topic) {
                watchers.remove(service);
                if watchers.is_empty() {
                    by_topic.remove(topic);
                }
            }
        }
    }

    /// The services that one of `changed` may concern.
    pub(crate) fn of(&self, changed: &[Changed]) -> BTreeSet<String> {
        let topics: BTreeSet<Topic> = changed.iter().map(Changed::topic).collect();
        let by_topic = self.by_topic();
        let watchers = topics.iter().filter_map(|topic| by_topic.get(topic));
        watchers.flatten().cloned().collect()
    }
}

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

    /// Everything these registrations are looked up by.
    pub(crate) fn topics(&self) -> BTreeSet<Topic> {
        self.by_watched.keys().map(Watched::topic).collect()
    }

    /// Takes the callbacks that one of `changed` fires.
    pub fn fire(&mut self, changed: &[Changed]) -> Vec<u64> {
        let mut due = Vec::new();
        self.by_watched.retain(|watched, ids| {
            let fires = changed.iter().any(|one| one.concerns(watched));
            if fires {
                due.extend(std::mem::take(ids));
            }
            !fires
        });
        due.sort_unstable();
        due.dedup();
        due
    }

    /// Whether one of `changed` would fire something.
    #[must_use]
    pub fn would_fire(&self, changed: &[Changed]) -> bool {
        let mut watched = self.by_watched.keys();
        watched.any(|watched| changed.iter().any(|one| one.concerns(watched)))
    }

    /// Whether nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_watched.is_empty()
    }

    /// Whose registrations these are.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The certificates that are watched.
    #[must_use]
    pub fn certificates(&self) -> Vec<Wanted> {
        let watched = self.by_watched.keys();
        watched
            .filter_map(|watched| match watched {
                Watched::Certificate(wanted) => Some(wanted.clone()),
                _ => None,
            })
            .collect()
    }

    /// Drops registrations, whatever they watch.
    pub fn clear(&mut self, which: &Clear) {
        for ids in self.by_watched.values_mut() {
            match which {
                Clear::Only { only } => ids.retain(|id| !only.contains(id)),
                Clear::Except { except } => ids.retain(|id| except.contains(id)),
            }
        }
        self.by_watched.retain(|_, ids| !ids.is_empty());
    }
}

/// Parameters of `clear-callbacks`; an event id may stand beside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub enum Clear {
    /// Drop these.
    Only {
        /// Their numbers.
        only: BTreeSet<u64>,
    },
    /// Keep these.
    Except {
        /// Their numbers.
        except: BTreeSet<u64>,
    },
}

/// What a change of the document at `path` (segments below `/public/packageData`) may have changed.
#[must_use]
pub fn touched(path: &[&str]) -> Vec<Changed> {
    let Some((package, below)) = path.split_first() else {
        return Vec::new();
    };
    let package = || (*package).to_owned();
    let one = Changed::One;
    match below {
        [] => vec![
            one(Watched::Status(package())),
            one(Watched::Manifest(package())),
            one(Watched::ContainerIp(package())),
            Changed::AllHosts(package()),
        ],
        ["statusInfo", ..] => vec![one(Watched::Status(package()))],
        ["stateInfo", ..] => vec![one(Watched::Manifest(package()))],
        ["outboundGateway", ..] => vec![one(Watched::OutboundGateway(package()))],
        ["hosts"] => vec![Changed::AllHosts(package())],
        ["hosts", host, below @ ..] => {
            let host = || (*host).to_owned();
            let mut changed = vec![
                one(Watched::Host {
                    package: package(),
                    host: host(),
                }),
                one(Watched::Hosts(package())),
            ];
            match below {
                ["bindings", _, "interfaces", id, ..] => changed.push(one(Watched::Interface {
                    package: package(),
                    host: host(),
                    id: (*id).to_owned(),
                })),
                [] | ["bindings"] | ["bindings", _] | ["bindings", _, "interfaces"] => {
                    changed.push(Changed::InterfacesOf {
                        package: package(),
                        host: host(),
                    });
                }
                _ => {}
            }
            changed
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(package: &str) -> Watched {
        Watched::Status(package.into())
    }

    fn interface(package: &str, host: &str, id: &str) -> Watched {
        Watched::Interface {
            package: package.into(),
            host: host.into(),
            id: id.into(),
        }
    }

    fn changed(package: &str) -> Changed {
        Changed::One(status(package))
    }

    #[test]
    fn a_callback_fires_at_most_once_and_again_after_a_new_registration() {
        let mut callbacks = Callbacks::default();
        callbacks.register(status("a"), 1).unwrap();
        assert_eq!(callbacks.fire(&[changed("a")]), [1]);
        assert!(callbacks.fire(&[changed("a")]).is_empty());
        callbacks.register(status("a"), 2).unwrap();
        assert_eq!(callbacks.fire(&[changed("a"), changed("a")]), [2]);
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
        assert_eq!(callbacks.fire(&[changed("a")]), [1]);
        callbacks.register(status("a"), 1).unwrap();
        callbacks.begin(2);
        assert!(callbacks.fire(&[changed("a")]).is_empty());
    }

    #[test]
    fn only_those_are_asked_who_watch_something_of_what_changed() {
        let watchers = Watchers::default();
        watchers.add("x", &status("a"));
        watchers.add("x", &Watched::Smtp);
        watchers.add("y", &Watched::Hosts("a".into()));
        watchers.add("z", &status("b"));
        let asked = |path: &[&str]| Vec::from_iter(watchers.of(&touched(path)));
        assert_eq!(asked(&["a", "statusInfo"]), ["x", "y"]);
        assert_eq!(asked(&["a", "hosts"]), ["x", "y"]);
        assert_eq!(asked(&["b"]), ["z"]);
        assert!(asked(&["c"]).is_empty());
        let smtp = [Changed::One(Watched::Smtp)];
        assert_eq!(Vec::from_iter(watchers.of(&smtp)), ["x"]);
        watchers.remove("x", [status("a").topic()].iter());
        watchers.remove("y", [status("a").topic()].iter());
        assert!(watchers.of(&touched(&["a"])).is_empty());
        assert_eq!(Vec::from_iter(watchers.of(&smtp)), ["x"]);
    }

    #[test]
    fn a_service_that_registers_without_end_is_refused_until_it_clears() {
        let mut callbacks = Callbacks::default();
        for id in 0..8192 {
            callbacks.register(status(&id.to_string()), id).unwrap();
        }
        assert_eq!(callbacks.register(status("a"), 9000), Err(TooManyCallbacks));
        callbacks.clear(&Clear::Only { only: [7].into() });
        callbacks.register(status("a"), 9000).unwrap();
        assert_eq!(callbacks.register(status("b"), 9001), Err(TooManyCallbacks));
        assert_eq!(callbacks.fire(&[changed("a")]), [9000]);
        callbacks.register(status("b"), 9001).unwrap();
    }

    #[test]
    fn clearing_drops_only_the_named_or_keeps_only_the_named() {
        let mut callbacks = Callbacks::default();
        for id in 1..=3 {
            callbacks.register(status("a"), id).unwrap();
        }
        let clear = |value| serde_json::from_value::<Clear>(value).unwrap();
        callbacks.clear(&clear(serde_json::json!({ "only": [1], "eventId": "e" })));
        callbacks.clear(&clear(serde_json::json!({ "except": [3] })));
        assert_eq!(callbacks.fire(&[changed("a")]), [3]);
    }

    #[test]
    fn a_package_that_appears_or_goes_touches_all_that_is_watched_of_it() {
        let host = |package: &str, host: &str| Watched::Host {
            package: package.into(),
            host: host.into(),
        };
        let watched = [
            status("a"),
            Watched::Manifest("a".into()),
            Watched::Hosts("a".into()),
            Watched::ContainerIp("a".into()),
            host("a", "main"),
            host("a", "other"),
            interface("a", "main", "ui"),
        ];
        let mut callbacks = Callbacks::default();
        for (id, one) in (0..).zip(watched) {
            callbacks.register(one, id).unwrap();
        }
        callbacks.register(host("b", "main"), 99).unwrap();
        assert_eq!(callbacks.fire(&touched(&["a"])), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_change_of_one_host_fires_for_it_and_for_all_hosts_and_a_change_of_all_for_each() {
        let host = |host: &str| Watched::Host {
            package: "a".into(),
            host: host.into(),
        };
        let mut callbacks = Callbacks::default();
        let register = |callbacks: &mut Callbacks| {
            callbacks.register(host("main"), 1).unwrap();
            callbacks.register(host("other"), 2).unwrap();
            callbacks.register(Watched::Hosts("a".into()), 3).unwrap();
        };
        register(&mut callbacks);
        let one = touched(&["a", "hosts", "main", "bindings", "80"]);
        assert_eq!(callbacks.fire(&one), [1, 3]);
        register(&mut callbacks);
        assert_eq!(callbacks.fire(&touched(&["a", "hosts"])), [1, 2, 3]);
        assert!(one.iter().any(Changed::is_of_hosts));
    }

    #[test]
    fn an_interface_is_told_of_its_own_changes_and_not_of_its_bindings_addresses() {
        let mut callbacks = Callbacks::default();
        let fires = |callbacks: &mut Callbacks, path: &[&str]| {
            callbacks.register(interface("a", "main", "ui"), 1).unwrap();
            callbacks.fire(&touched(path)) == [1]
        };
        let binding = ["a", "hosts", "main", "bindings", "80"];
        let below = |rest: &[&'static str]| [&binding[..], rest].concat();
        assert!(fires(&mut callbacks, &below(&["interfaces", "ui", "name"])));
        assert!(fires(&mut callbacks, &below(&["interfaces", "ui"])));
        assert!(fires(&mut callbacks, &below(&["interfaces"])));
        assert!(fires(&mut callbacks, &binding));
        assert!(fires(&mut callbacks, &["a", "hosts", "main"]));
        assert!(fires(&mut callbacks, &["a", "hosts"]));
        assert!(!fires(&mut callbacks, &below(&["addresses", "available"])));
        assert!(!fires(&mut callbacks, &below(&["interfaces", "api"])));
        assert!(!fires(&mut callbacks, &["a", "hosts", "other"]));
    }

    #[test]
    fn the_way_out_that_was_chosen_for_a_package_concerns_that_package_only() {
        let mut callbacks = Callbacks::default();
        let own = Watched::OutboundGateway("a".into());
        callbacks.register(own, 1).unwrap();
        assert!(
            callbacks
                .fire(&touched(&["b", "outboundGateway"]))
                .is_empty()
        );
        assert_eq!(callbacks.fire(&touched(&["a", "outboundGateway"])), [1]);
    }
}

//! What a package declares as data: the daemons that Coppice keeps running for it.
//!
//! Invariants: a list replaces the one before it whole; a daemon whose declaration changed gets a
//! new revision, one that did not keeps its own; revisions of a service are never given twice while
//! its container lives, so a process is known by the declaration it was started from.
//!
//! The list is kept with the secrets and not in the document: environments hold passwords.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use coppice_wire::agent::{ProcessStarted, daemon_leaf, is_safe_name};
use patchdb::{Secret, SecretStore};
use serde::{Deserialize, Serialize};

use super::ready::Ready;
use crate::{
    problem::{Kind, Problem},
    service::ServiceContext,
};

/// Where the lists are, by service.
const NAMESPACE: &str = "daemons";
/// Daemons of one service. Packages have up to ten.
const MOST: usize = 32;
/// Bytes of a name: with its revision it is the agent's name for the process, which has 64.
const NAME_BYTES: usize = 40;
/// Bytes of one whole list; it goes to the agent piece by piece, in messages of less.
const LIST_BYTES: usize = 64 * 1024;
/// Between SIGTERM and SIGKILL when the package does not say: what the SDK gives a daemon.
const GRACE_MS: u64 = 60_000;
/// A stop of the whole service has 150 s.
const LONGEST_GRACE_MS: u64 = 120_000;

/// A daemon as the package declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonSpec {
    /// Its name, unique in the service.
    pub id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its environment; in an image, over the image's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Directory to start in.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Milliseconds between SIGTERM and SIGKILL.
    #[serde(default = "usual_grace")]
    pub grace_ms: u64,
    /// The root it runs in; without one it runs in the container's own.
    #[serde(default)]
    pub image: Option<ImageRoot>,
    /// When it counts as ready; nobody looks without.
    #[serde(default)]
    pub ready: Option<Ready>,
}

/// A fresh root over one of the package's images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRoot {
    /// The image.
    pub id: String,
    /// Who it runs as: a user of the image, with or without a group.
    #[serde(default)]
    pub user: Option<String>,
    /// Volumes of the service that it sees.
    #[serde(default)]
    pub mounts: Vec<VolumeAt>,
}

/// A volume in a daemon's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeAt {
    /// The volume.
    pub volume: String,
    /// Path below it; all of it when absent.
    #[serde(default)]
    pub subpath: Option<String>,
    /// Path in the daemon's root.
    pub mountpoint: String,
    /// Whether the daemon only reads.
    #[serde(default)]
    pub readonly: bool,
}

/// A declared daemon and which declaration of it this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Grows with every change.
    pub revision: u64,
    /// What it is.
    pub spec: DaemonSpec,
}

/// The daemons of one service, in start order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declarations {
    /// The last revision that was given.
    revision: u64,
    /// The daemons.
    pub list: Vec<Declared>,
}

/// Why a list of daemons is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many.
    #[error("{count} daemons are too many: a service may have {MOST}")]
    Many {
        /// How many were declared.
        count: usize,
    },
    /// Too large.
    #[error(
        "the daemons' declarations take {size} bytes, and {LIST_BYTES} is the most; shorten them"
    )]
    Large {
        /// Their size.
        size: usize,
    },
    /// Not a name.
    #[error("`{id}` cannot be a daemon's name: it is 1 to {NAME_BYTES} of a-z 0-9 and `-`")]
    Name {
        /// What was given, cut short.
        id: String,
    },
    /// One name for two.
    #[error("two daemons are called `{id}`; rename one")]
    Twice {
        /// The name.
        id: String,
    },
    /// Something about one daemon.
    #[error("daemon `{id}`: {why}")]
    Daemon {
        /// Its name.
        id: String,
        /// What is wrong and what to do.
        why: String,
    },
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::invalid(refused.to_string())
    }
}

const fn usual_grace() -> u64 {
    GRACE_MS
}

impl Declared {
    /// The agent's name for the process.
    #[must_use]
    pub fn process(&self) -> String {
        format!("{}.{}", self.spec.id, self.revision)
    }

    /// The cgroup leaf of its process, and of what that starts.
    #[must_use]
    pub fn leaf(&self) -> String {
        daemon_leaf(&self.spec.id, None)
    }

    /// Between SIGTERM and SIGKILL.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        Duration::from_millis(self.spec.grace_ms)
    }

    /// A process of the host's that nothing declares any more: it can only be ended, with the patience
    /// that it was started with.
    #[must_use]
    pub fn stray(process: &ProcessStarted) -> Option<Self> {
        let (id, revision) = process.id.rsplit_once('.')?;
        let spec = DaemonSpec {
            id: id.to_owned(),
            command: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            grace_ms: process.grace_ms.unwrap_or(GRACE_MS).min(LONGEST_GRACE_MS),
            image: None,
            ready: None,
        };
        let revision = revision.parse().ok()?;
        Some(Self { revision, spec })
    }
}

impl Declarations {
    /// What follows when `specs` are declared now.
    #[must_use]
    pub fn replaced_by(&self, specs: Vec<DaemonSpec>) -> Self {
        let mut revision = self.revision;
        let mut list = Vec::new();
        for spec in specs {
            let same = self.list.iter().find(|known| known.spec == spec);
            list.push(same.cloned().unwrap_or_else(|| {
                revision += 1;
                Declared { revision, spec }
            }));
        }
        Self { revision, list }
    }

    /// What a service has declared.
    ///
    /// # Errors
    /// When the secrets cannot be read.
    pub fn load(secrets: &SecretStore, service: &str) -> Result<Self, Problem> {
        let kept = secrets
            .get(NAMESPACE, service)
            .map_err(|error| Problem::of(Kind::Database, &error))?;
        let Some(kept) = kept else {
            return Ok(Self::default());
        };
        serde_json::from_slice(kept.expose())
            .map_err(|error| Problem::of(Kind::Deserialization, &error))
    }

    /// Keeps this for a service; durable on return. Blocks on the disk.
    ///
    /// # Errors
    /// When the secrets cannot be written.
    pub fn store(&self, secrets: &SecretStore, service: &str) -> Result<(), Problem> {
        let bytes =
            serde_json::to_vec(self).map_err(|error| Problem::of(Kind::Serialization, &error))?;
        secrets
            .put(NAMESPACE, service, &Secret::new(bytes))
            .map_err(|error| Problem::of(Kind::Database, &error))
    }

    /// Forgets everything about a service that is removed. Blocks on the disk.
    ///
    /// # Errors
    /// When the secrets cannot be written.
    pub fn forget(secrets: &SecretStore, service: &str) -> Result<(), Problem> {
        let forgotten = secrets.delete(NAMESPACE, service);
        forgotten
            .map(drop)
            .map_err(|error| Problem::of(Kind::Database, &error))
    }
}

/// Whether the daemons of a service shall run at all.
pub(super) fn is_wanted(service: &ServiceContext) -> bool {
    let entry = service.entry();
    entry.is_ok_and(|entry| entry.status_info.desired.wants_running())
}

/// Whether a process of the host's is that of a daemon as it is declared now.
pub(in super::super) fn is_declared(service: &ServiceContext, process: &str) -> bool {
    let declarations = Declarations::load(&service.host.secrets, &service.id);
    declarations.is_ok_and(|all| all.list.iter().any(|one| one.process() == process))
}

/// The subcontainers that daemons run in: theirs, whatever becomes of the runtime that declared them.
///
/// # Errors
/// When the declarations cannot be read.
pub(in super::super::super) fn roots(
    service: &ServiceContext,
) -> Result<BTreeSet<String>, Problem> {
    let all = Declarations::load(&service.host.secrets, &service.id)?;
    let of_images = all.list.into_iter().filter(|one| one.spec.image.is_some());
    Ok(of_images.map(|one| one.spec.id).collect())
}

/// Whether these may be declared by a package with these images and volumes.
///
/// # Errors
/// Which daemon is wrong, and how.
pub fn check(
    specs: &[DaemonSpec],
    images: &BTreeSet<String>,
    volumes: &BTreeSet<String>,
) -> Result<(), Refused> {
    if specs.len() > MOST {
        return Err(Refused::Many { count: specs.len() });
    }
    let size = serde_json::to_vec(specs).map_or(usize::MAX, |bytes| bytes.len());
    if size > LIST_BYTES {
        return Err(Refused::Large { size });
    }
    let mut seen = BTreeSet::new();
    for spec in specs {
        let id = &spec.id;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !is_safe_name(id, NAME_BYTES) || !id.bytes().all(plain) {
            let id = id.chars().take(64).collect();
            return Err(Refused::Name { id });
        }
        if !seen.insert(id) {
            return Err(Refused::Twice { id: id.clone() });
        }
        check_one(spec, images, volumes).map_err(|why| Refused::Daemon {
            id: id.clone(),
            why,
        })?;
    }
    Ok(())
}

fn check_one(
    spec: &DaemonSpec,
    images: &BTreeSet<String>,
    volumes: &BTreeSet<String>,
) -> Result<(), String> {
    let Some(program) = spec.command.first().filter(|program| !program.is_empty()) else {
        return Err("its `command` is empty; name a program".to_owned());
    };
    if !(1..=LONGEST_GRACE_MS).contains(&spec.grace_ms) {
        return Err(format!("`graceMs` is 1 to {LONGEST_GRACE_MS}"));
    }
    if let Some(ready) = &spec.ready {
        ready.check()?;
    }
    let words = spec
        .command
        .iter()
        .chain(spec.env.values())
        .chain(&spec.cwd);
    if words.chain(spec.env.keys()).any(|word| word.contains('\0')) {
        return Err("a zero byte is in its command, environment or directory".to_owned());
    }
    if let Some(name) = spec
        .env
        .keys()
        .find(|name| name.is_empty() || name.contains('='))
    {
        return Err(format!("`{name}` cannot be the name of a variable"));
    }
    let Some(image) = &spec.image else {
        if !program.starts_with('/') {
            return Err(format!(
                "without an image, `{program}` must be an absolute path"
            ));
        }
        return Ok(());
    };
    if !images.contains(&image.id) {
        return Err(format!("the package has no image `{}`", image.id));
    }
    for mount in &image.mounts {
        if !volumes.contains(&mount.volume) {
            return Err(format!("the package has no volume `{}`", mount.volume));
        }
        let inside = mount.mountpoint.strip_prefix('/').unwrap_or_default();
        if inside.is_empty() || inside.split('/').any(|part| part == "..") {
            return Err(format!(
                "`{}` cannot be a mount point: it is an absolute path without `..`, not `/`",
                mount.mountpoint
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use coppice_wire::agent::ProcessKind;

    use super::*;

    fn spec(id: &str) -> DaemonSpec {
        serde_json::from_value(serde_json::json!({ "id": id, "command": ["/bin/sleep", "1"] }))
            .unwrap()
    }

    fn checked(specs: &[DaemonSpec]) -> Result<(), String> {
        let names = |name: &str| BTreeSet::from([name.to_owned()]);
        check(specs, &names("main"), &names("data")).map_err(|refused| refused.to_string())
    }

    fn in_image(id: &str, volume: &str, mountpoint: &str) -> DaemonSpec {
        let mount = VolumeAt {
            volume: volume.to_owned(),
            subpath: None,
            mountpoint: mountpoint.to_owned(),
            readonly: false,
        };
        DaemonSpec {
            command: vec!["postgres".to_owned()],
            image: Some(ImageRoot {
                id: id.to_owned(),
                user: None,
                mounts: vec![mount],
            }),
            ..spec("db")
        }
    }

    #[test]
    fn what_did_not_change_keeps_its_revision_and_what_did_gets_a_new_one() {
        let first = Declarations::default().replaced_by(vec![spec("a"), spec("b")]);
        let processes = |all: &Declarations| {
            let names: Vec<String> = all.list.iter().map(Declared::process).collect();
            names.join(" ")
        };
        assert_eq!(processes(&first), "a.1 b.2");
        assert_eq!(first.replaced_by(vec![spec("a"), spec("b")]), first);
        let other = DaemonSpec {
            grace_ms: 1,
            ..spec("a")
        };
        let second = first.replaced_by(vec![spec("b"), other]);
        assert_eq!(processes(&second), "b.2 a.3");
        let third = second.replaced_by(vec![]).replaced_by(vec![spec("b")]);
        assert_eq!(processes(&third), "b.4", "a number is never given twice");
    }

    #[test]
    fn a_process_tells_its_daemon_and_another_name_does_not() {
        let stray = |id: &str, grace_ms| {
            Declared::stray(&ProcessStarted {
                seq: 1,
                id: id.to_owned(),
                pid: 2,
                kind: ProcessKind::Host,
                generation: None,
                leaf: "d-web-host".to_owned(),
                root: None,
                argv: Vec::new(),
                daemon: true,
                grace_ms,
                at_ms: 0,
            })
        };
        let web = stray("web-1.7", None).unwrap();
        assert_eq!((web.spec.id.as_str(), web.revision), ("web-1", 7));
        assert_eq!(web.process(), "web-1.7");
        assert_eq!(stray("exec-1", None), None);
        assert_eq!(stray("web.x", None), None);
        let graces = [None, Some(500), Some(u64::MAX)].map(|grace_ms| {
            let web = stray("web-1.7", grace_ms).unwrap();
            web.grace().as_millis()
        });
        assert_eq!(graces, [60_000, 500, 120_000]);
    }

    #[test]
    fn good_declarations_are_taken() {
        assert_eq!(checked(&[]), Ok(()));
        assert_eq!(
            checked(&[spec("a"), in_image("main", "data", "/var/lib/db")]),
            Ok(())
        );
    }

    #[test]
    fn whoever_is_refused_is_told_which_daemon_and_why() {
        let no_command = DaemonSpec {
            command: vec![],
            ..spec("a")
        };
        let relative = DaemonSpec {
            command: vec!["sleep".into()],
            ..spec("a")
        };
        let patient = DaemonSpec {
            grace_ms: 600_000,
            ..spec("a")
        };
        let variable = DaemonSpec {
            env: BTreeMap::from([("A=B".to_owned(), String::new())]),
            ..spec("a")
        };
        let zero = DaemonSpec {
            cwd: Some("/\0".into()),
            ..spec("a")
        };
        let large = DaemonSpec {
            env: BTreeMap::from([("A".to_owned(), "x".repeat(LIST_BYTES))]),
            ..spec("a")
        };
        for (specs, words) in [
            (vec![spec("a.b")], "`a.b` cannot be a daemon's name"),
            (vec![spec("")], "cannot be a daemon's name"),
            (vec![spec("a"), spec("a")], "two daemons are called `a`"),
            (vec![no_command], "daemon `a`: its `command` is empty"),
            (vec![relative], "`sleep` must be an absolute path"),
            (vec![patient], "`graceMs` is 1 to 120000"),
            (vec![variable], "`A=B` cannot be the name"),
            (vec![zero], "a zero byte"),
            (vec![large], "and 65536 is the most"),
            (vec![in_image("other", "data", "/x")], "no image `other`"),
            (vec![in_image("main", "other", "/x")], "no volume `other`"),
            (
                vec![in_image("main", "data", "/")],
                "cannot be a mount point",
            ),
            (
                vec![in_image("main", "data", "/a/../b")],
                "cannot be a mount point",
            ),
            (
                (0..33).map(|n| spec(&n.to_string())).collect(),
                "33 daemons are too many",
            ),
        ] {
            let refused = checked(&specs).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}

//! `/private`: what never leaves the server. Secrets are not here either.

use std::collections::BTreeMap;

use coppice_clock::Wall;
use coppice_net::subnet::Subnet;
use coppice_wire::runtime::InitKind;
use patchdb::Places;
use serde::{Deserialize, Serialize};

use super::{AuditRow, DesiredStatus, HostnameInfo, PackageEntry, ReceiptRow};

/// `/private/server`: choices made once and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerPrivate {
    /// The services' network; chosen at first start and kept.
    pub subnet: Subnet,
    /// The next number of an id range that was never given; at [`Allocation::RANGES`], none is left.
    pub next_range: u32,
    /// External ports given to services, by port.
    pub ports: BTreeMap<u16, String>,
}

/// `/private`: what never leaves the server.
#[derive(Clone, Debug, Serialize, Deserialize, Places)]
pub struct Private {
    /// What the host keeps about itself.
    pub server: ServerPrivate,
    /// What the host keeps about each service, by instance id.
    pub packages: BTreeMap<String, PackagePrivate>,
    /// Sagas that are under way, by job.
    pub journal: BTreeMap<String, JobRecord>,
    /// Who did what: for each trail its rows, by their number.
    pub audit: BTreeMap<String, BTreeMap<String, AuditRow>>,
    /// What starts found left over and how upgrades ended, by number.
    pub receipts: BTreeMap<String, ReceiptRow>,
    /// The number of the newest notification, also when that one was removed.
    #[serde(default)]
    pub notified: Option<u64>,
}

/// `/private/packages/<id>`: what the host keeps about one service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackagePrivate {
    /// What was given to it at install.
    pub allocation: Allocation,
    /// Its package in the content store.
    pub archive: ArchivePointer,
    /// Number of the last generation of the Node runtime that was started.
    pub generation: u64,
    /// With which kind `init` runs next; `None` once it succeeded with it.
    #[serde(default)]
    pub pending_init: Option<InitKind>,
}

/// Identities of a service that stay for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocation {
    /// Which range of 65,536 ids is its own; below [`Self::RANGES`].
    pub range: u32,
    /// Which host number it has in the services' subnet.
    pub host_number: u32,
}

impl Allocation {
    /// How many ranges there are: up to `0x7FFF_FFFF`, beyond which ids are no longer ours.
    pub const RANGES: u32 = 0x1000;

    /// The host id of the container's root.
    #[must_use]
    pub const fn id_base(self) -> u32 {
        0x7000_0000 + self.range * 0x1_0000
    }
}

/// A package in the content store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivePointer {
    /// Lower-case hex of the root sighash.
    pub root: String,
}

/// `/private/journal/<job>`: a saga that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// What it does.
    pub kind: JobKind,
    /// The service it is about.
    pub instance: String,
    /// When it began.
    pub since: Wall,
    /// The step that was begun last; it may be half done.
    pub step: String,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Bring a new service.
    Install {
        /// Its volumes were there before, and stay if it comes to nothing.
        keep_volumes: bool,
    },
    /// Bring another version of a service that is installed.
    Update(Box<Update>),
    /// Remove a service.
    Uninstall {
        /// Keep the volumes.
        soft: bool,
        /// What was wanted of it before.
        desired: DesiredStatus,
    },
}

/// Another version of a service, and everything that a rollback needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// The installed version.
    pub from: String,
    /// The one that comes.
    pub to: String,
    /// What comes, in the content store.
    pub archive: ArchivePointer,
    /// What was there, in the content store.
    pub old_archive: ArchivePointer,
    /// What the installed package's `uninit` is told, as `service-abi.md` §3.2 has it.
    pub target: String,
    /// As the service was; `None` while the installed version still runs undisturbed.
    pub before: Option<Before>,
}

/// A service as it was before its update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// Its entry in the document.
    pub entry: PackageEntry,
    /// With which kind its `init` was to run next.
    pub pending_init: Option<InitKind>,
    /// The addresses that it had added to other services.
    pub plugged: Vec<Plugged>,
}

/// An address that a service added to another one's binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plugged {
    /// The service that has the binding.
    pub package: String,
    /// Its host.
    pub host: String,
    /// The port of the binding in the container.
    pub port: u16,
    /// The address.
    pub address: HostnameInfo,
}

impl JobKind {
    /// It in a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Install { .. } => "install",
            Self::Update(_) => "update",
            Self::Uninstall { .. } => "uninstall",
        }
    }
}

//! `/public/packageData/<id>`: one installed service.

use std::collections::BTreeMap;

use coppice_clock::Wall;
use patchdb::Places;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use super::{
    ActionMetadata, ChosenLimits, DaemonReport, Held, Host, Parked, RestartRecord, StatusInfo,
    TaskEntry,
};

/// One service, from the moment its installation begins until it is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, Places)]
#[serde(rename_all = "camelCase")]
pub struct PackageEntry {
    /// Installing, installed, removing.
    pub state_info: StateInfo,
    /// Wanted and observed state.
    pub status_info: StatusInfo,
    /// The package's icon as a `data:` URL.
    pub icon: String,
    /// Where it was installed from; `None` when from a file.
    pub registry: Option<String>,
    /// Public key of the package's signer, lower-case hex.
    pub developer_key: String,
    /// What it depends on now, by package id.
    pub current_dependencies: BTreeMap<String, CurrentDependency>,
    /// Its actions, by action id.
    pub actions: BTreeMap<String, ActionMetadata>,
    /// Its tasks, by replay id.
    pub tasks: BTreeMap<String, TaskEntry>,
    /// Its hosts, by host id.
    pub hosts: BTreeMap<String, Host>,
    /// The gateway it goes out by, where the user chose one.
    pub outbound_gateway: Option<String>,
    /// What it adds to other services.
    #[serde(default)]
    pub plugin: Plugins,
    /// The newest restart records, by their number; at most 50.
    #[ts(as = "BTreeMap<String, RestartRecord>")]
    pub restarts: BTreeMap<u64, RestartRecord>,
    /// Set while the service failed too often and waits.
    pub parked: Option<Parked>,
    /// Set while the service failed and what it needs is missing.
    #[serde(default)]
    pub held: Option<Held>,
    /// Set while its JavaScript sleeps and everything it runs goes on without.
    #[serde(default)]
    pub asleep: Option<Asleep>,
    /// Its living daemons, by the agent's name for the process; shown, never stored.
    #[serde(default)]
    pub daemons: BTreeMap<String, DaemonReport>,
    /// What its owner allows it to use.
    #[serde(default)]
    pub limits: ChosenLimits,
}

impl PackageEntry {
    /// A service of which nothing more is known than where it stands: stopped, with nothing declared.
    #[must_use]
    pub fn bare(state_info: StateInfo) -> Self {
        Self {
            state_info,
            status_info: StatusInfo::stopped(),
            icon: String::new(),
            registry: None,
            developer_key: String::new(),
            current_dependencies: BTreeMap::new(),
            actions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            hosts: BTreeMap::new(),
            outbound_gateway: None,
            plugin: Plugins::default(),
            restarts: BTreeMap::new(),
            parked: None,
            held: None,
            asleep: None,
            daemons: BTreeMap::new(),
            limits: ChosenLimits::default(),
        }
    }

    /// Notes that nothing of what it ran is up any more, so that nothing of it sleeps either.
    pub fn went_down(&mut self) {
        self.status_info.started = None;
        self.asleep = None;
    }
}

/// A service whose Node process ended for having nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Asleep {
    /// Since when.
    #[ts(type = "string")]
    pub since: Wall,
    /// Which generation of the runtime fell asleep.
    #[ts(type = "number")]
    pub generation: u64,
    /// In which life of the container.
    pub container: String,
    /// Whether it waits to be told of changes.
    pub watches: bool,
}

/// What a package adds to other services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Plugins {
    /// That it gives their interfaces more addresses.
    pub url: Option<UrlPlugin>,
}

/// That a package gives other services' interfaces more addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct UrlPlugin {
    /// The action of its that adds one; offered in every table of addresses.
    pub table_action: String,
}

/// Where a package stands in its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(
    tag = "state",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum StateInfo {
    /// Not there before; on its way.
    Installing {
        /// What comes, and how far it is.
        installing_info: InstallingInfo,
    },
    /// There.
    Installed {
        /// The package's manifest.
        #[ts(type = "unknown")]
        manifest: Value,
    },
    /// There, and another version is on its way.
    Updating {
        /// The manifest of the version that is there.
        #[ts(type = "unknown")]
        manifest: Value,
        /// What comes, and how far it is.
        installing_info: InstallingInfo,
    },
    /// On its way out.
    Removing {
        /// The package's manifest.
        #[ts(type = "unknown")]
        manifest: Value,
    },
}

impl StateInfo {
    /// The manifest that counts now.
    #[must_use]
    pub const fn manifest(&self) -> &Value {
        match self {
            Self::Installing { installing_info } => &installing_info.new_manifest,
            Self::Installed { manifest }
            | Self::Updating { manifest, .. }
            | Self::Removing { manifest } => manifest,
        }
    }

    /// The version in that manifest; empty when it names none.
    #[must_use]
    pub fn version(&self) -> &str {
        let version = self.manifest().get("version").and_then(Value::as_str);
        version.unwrap_or_default()
    }

    /// The word of the wire for this state.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Installing { .. } => "installing",
            Self::Installed { .. } => "installed",
            Self::Updating { .. } => "updating",
            Self::Removing { .. } => "removing",
        }
    }
}

/// What is being installed, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct InstallingInfo {
    /// The manifest of what comes.
    #[ts(type = "unknown")]
    pub new_manifest: Value,
    /// `{overall, phases: [{name, progress}]}`.
    #[ts(type = "unknown")]
    pub progress: Value,
}

/// One dependency that the package declared by `set-dependencies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CurrentDependency {
    /// Its name, when the package brought it.
    pub title: Option<String>,
    /// Its icon as a `data:` URL, when the package brought it.
    pub icon: Option<String>,
    /// The versions that will do.
    pub version_range: String,
    /// What is required of it.
    #[serde(flatten)]
    pub kind: DependencyKind,
}

/// What is required of a dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum DependencyKind {
    /// That it is installed.
    Exists,
    /// That it runs and these checks succeed.
    Running {
        /// Ids of the dependency's health checks.
        health_checks: Vec<String>,
    },
}

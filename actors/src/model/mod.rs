//! The document: what `/public` and `/private` hold, as types.
//!
//! Shapes under `packageData` are StartOS's, field for field, so that its clients read ours; what
//! StartOS lacks (restart records, parking, addresses of our own) stands in fields it ignores.
//! Absent here on purpose: every secret. Secrets live in the secret store, never in the document.
//!
//! The TypeScript twins are generated from these types (`make gen`); nobody writes them by hand.

mod action;
mod audit;
mod daemon;
mod head;
mod host;
mod limits;
mod notification;
mod package;
mod private;
mod receipt;
mod restart;
mod server;
mod status;
mod task;

pub use action::{Access, ActionMetadata, AllowedStatuses, Visibility};
pub use audit::{AuditRow, AuditTrail, ShownBy};
pub use daemon::{DaemonOwner, DaemonReport, DaemonUsage};
pub use head::PackageHead;
pub use host::{
    AddSsl, AddressInfo, Addresses, Alpn, BindInfo, BindNet, BindOptions, Host, HostnameInfo,
    HostnameMetadata, InterfaceType, PortForward, RangeBindInfo, RangeInterface, Secure,
    ServiceInterface,
};
pub use limits::ChosenLimits;
pub use notification::{Notification, NotificationLevel};
pub use package::PackageEntryPlaces;
pub use package::{
    Asleep, CurrentDependency, DependencyKind, InstallingInfo, PackageEntry, Plugins, StateInfo,
    UrlPlugin,
};
pub use private::{
    Allocation, ArchivePointer, Before, JobKind, JobRecord, PackagePrivate, Plugged, Private,
    PrivatePlaces, ServerPrivate, Update,
};
pub use receipt::{MOST_RECEIPTS, ReceiptOf, ReceiptRow};
pub use restart::{Asked, By, Cause, Held, Link, Parked, RestartRecord, WaitsFor};
pub use server::{ServerInfo, ServerInfoPlaces, ServerStatus};
pub use status::{
    DesiredStatus, ErrorInfo, HealthReport, HealthResult, NextStop, StatusInfo, StatusInfoPlaces,
};
pub use task::{Severity, Task, TaskCondition, TaskEntry, TaskInput, TaskWhen};

use std::collections::BTreeMap;

use patchdb::Places;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The whole document: what its places are named from.
#[derive(Clone, Debug, Serialize, Deserialize, Places)]
pub struct Root {
    /// What a signed-in client may see.
    pub public: Public,
    /// What nobody but the server sees.
    pub private: Private,
}

/// `/public`: everything a signed-in client may see.
#[derive(Clone, Debug, Serialize, Deserialize, TS, Places)]
#[serde(rename_all = "camelCase")]
pub struct Public {
    /// About this server.
    pub server_info: ServerInfo,
    /// Every service, by instance id.
    pub package_data: BTreeMap<String, PackageEntry>,
    /// What packages and the server tell people, by number; the newest have the largest.
    #[serde(default)]
    pub notifications: BTreeMap<String, Notification>,
    /// Free-form state that belongs to the web UI.
    #[ts(type = "unknown")]
    pub ui: serde_json::Value,
}

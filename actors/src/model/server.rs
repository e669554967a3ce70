//! `/public/serverInfo`: about this server.

use coppice_clock::Wall;
use patchdb::Places;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// About this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, Places)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Random id of this server.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The first label of its `.local` name.
    pub hostname: String,
    /// Coppice's own version.
    pub version: String,
    /// The StartOS version packages see.
    pub package_version_compat: String,
    /// SHA-256 of the root certificate, as lower-case hex pairs joined by colons.
    pub ca_fingerprint: String,
    /// The port that HTTPS is served on.
    pub https_port: u16,
    /// The port that plain HTTP is served on.
    pub http_port: u16,
    /// The address of the server on the services' bridge.
    pub bridge_address: String,
    /// The language of the server, for example `en_US`.
    pub language: String,
    /// What the server itself is doing.
    pub status_info: ServerStatus,
    /// When the core that writes this came up; a client may show uptime from it.
    #[ts(type = "string")]
    pub started_at: Wall,
    /// Things that need somebody's attention, one sentence each, for example a port in use.
    pub notices: Vec<String>,
}

/// What the server itself is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// Going down for good.
    pub shutting_down: bool,
    /// Going down to come back.
    pub restarting: bool,
}

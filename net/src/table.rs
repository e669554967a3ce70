//! The routing table: everything the edge knows of the world, as one value.
//!
//! Invariant: the core builds it, the heart keeps the last one, the edge obeys it. It names no
//! service, no package and no path on disk, so an edge that was taken over learns nothing beyond
//! names, addresses and leaf keys. A table is always whole: there are no patches, so an edge that
//! starts from the last one is in the same state as an edge that saw them all.
//!
//! On the wire it is JSON in camel case. New fields need a `serde` default: for the length of an
//! upgrade an edge reads a table that the previous release wrote.

mod check;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use check::{TableError, is_host_name};

/// What the edge serves, as a whole.
///
/// Publish only a table that passed [`RoutingTable::check`]; an edge keeps its previous table when
/// it is handed one that does not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingTable {
    /// Grows with every table the core publishes; only for logs, the edge obeys any order.
    pub generation: u64,
    /// The server's own name without `.local`, such as `willow`.
    pub hostname: String,
    /// Every name of the dashboard, the preferred one first; used in pages as the way home.
    pub dashboard_names: Vec<String>,
    /// What each handed-over socket is for.
    pub listeners: Vec<ListenerRole>,
    /// The certificates the edge may show, each with its key.
    pub certificates: Vec<Certificate>,
    /// Which name leads where.
    pub routes: Vec<Route>,
    /// What our name server answers.
    pub dns: Dns,
    /// The names announced on the local network, each ending in `.local`.
    pub mdns: Vec<Record>,
    /// The root certificate that users are asked to trust, PEM. Never its key.
    pub ca_pem: String,
}

/// The purpose of one listening socket.
///
/// The socket itself arrives beside the table, under the same id. An id stands for one address:
/// the edge keeps a socket whose id it has, so a changed address needs a new id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerRole {
    /// The id under which the heart hands the socket over.
    pub id: String,
    /// What to speak on it.
    pub role: Role,
}

/// What the edge speaks on a listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Role {
    /// Plain HTTP: the page that offers the certificate, or the way to HTTPS. TCP.
    Http,
    /// HTTPS by name: routes without a `listener`. TCP.
    Https,
    /// Our name server; one listener for UDP and one for TCP.
    Dns,
    /// A TLS port of its own. A route that names this listener and matches the client's name goes
    /// first; everything else, also clients that send no name, goes to `port_route`. TCP.
    Tls {
        /// Where a connection to this port goes, whatever name it asked for.
        port_route: Target,
    },
}

/// A certificate with the names it is shown for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Host names, and addresses as text for clients that connect by address and send no name.
    pub names: Vec<String>,
    /// The certificate and its issuers, leaf first, PEM.
    pub chain_pem: String,
    /// The key of the leaf, PKCS#8 PEM.
    pub key_pem: KeyPem,
}

/// A private key in PEM; never printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyPem(String);

impl KeyPem {
    /// Wraps the text of a PKCS#8 PEM key.
    #[must_use]
    pub fn new(pem: String) -> Self {
        Self(pem)
    }

    /// The text, for those who sign with it or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPem(..)")
    }
}

/// One or more names and where they lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Matched against the TLS server name and the `Host` header; lower case, or an address as text.
    pub names: Vec<String>,
    /// The id of a [`Role::Tls`] listener this route is for; `None` is every HTTPS listener.
    #[serde(default)]
    pub listener: Option<String>,
    /// Where it leads.
    pub target: Target,
}

/// Where a request or a connection goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Target {
    /// The web interface, and behind it the core's API.
    Dashboard,
    /// A service.
    Proxy {
        /// Where the service listens, in plain text.
        addr: SocketAddr,
        /// What the edge understands of the traffic.
        mode: ProxyMode,
    },
}

/// How much of a proxied connection the edge understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ProxyMode {
    /// Requests and WebSockets, routed one by one.
    Http {
        /// Whether the service is told `X-Forwarded-For` and `X-Forwarded-Proto`. What a client
        /// sends under those names is dropped either way.
        forwarded_headers: bool,
    },
    /// Bytes, as they come out of TLS.
    Raw,
}

/// What our name server answers, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    /// Names with their addresses; answered to everyone.
    pub records: Vec<Record>,
    /// Zones that are ours: a name below one that has no record does not exist.
    pub zones: Vec<String>,
    /// The servers that know the rest of the world.
    pub upstreams: Vec<SocketAddr>,
    /// Who may ask about the rest of the world; everyone else is refused.
    pub clients: Vec<IpNet>,
}

/// A name and its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Fully qualified, lower case, without the final dot.
    pub name: String,
    /// Any mix of v4 and v6; at least one.
    pub addresses: Vec<IpAddr>,
}

//! A routing table, compiled for asking.
//!
//! Invariant: a `Live` never changes; a new table makes a new one, and whoever holds the old one
//! finishes with it.

use std::{collections::HashMap, net::IpAddr};

use crate::table::{Role, Route, RoutingTable, TableError, Target};

use super::{
    certificates::{CertificateError, Certificates},
    trust::{Trust, TrustError},
};

/// Why a table cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LiveError {
    #[error("the routing table contradicts itself")]
    Table(#[from] TableError),
    #[error("a certificate of the routing table is of no use")]
    Certificate(#[from] CertificateError),
    #[error("the root certificate of the routing table is of no use")]
    Trust(#[from] TrustError),
}

/// What the edge obeys right now.
pub(super) struct Live {
    https: HashMap<String, Target>,
    ports: HashMap<String, Port>,
    roles: HashMap<String, Role>,
    home: String,
    pub(super) certificates: Certificates,
    pub(super) trust: Trust,
}

/// Names and the rest on a TLS port of its own.
struct Port {
    names: HashMap<String, Target>,
    rest: Target,
}

impl Live {
    /// Before the first table: nothing is known and nothing is listened on.
    pub(super) fn nothing() -> Self {
        Self {
            https: HashMap::new(),
            ports: HashMap::new(),
            roles: HashMap::new(),
            home: String::new(),
            certificates: Certificates::default(),
            trust: Trust::default(),
        }
    }

    /// Compiles `table`; what did not change is taken from `previous`.
    pub(super) fn compile(table: &RoutingTable, previous: &Self) -> Result<Self, LiveError> {
        table.check()?;
        let of = |listener: Option<&str>| names(&table.routes, listener);
        let ports = table
            .listeners
            .iter()
            .filter_map(|listener| match &listener.role {
                Role::Tls { port_route } => Some((
                    listener.id.clone(),
                    Port {
                        names: of(Some(&listener.id)),
                        rest: port_route.clone(),
                    },
                )),
                Role::Http | Role::Https | Role::Dns => None,
            })
            .collect();
        let home = match table.dashboard_names.first() {
            Some(name) => name.clone(),
            None => format!("{}.local", table.hostname),
        };
        Ok(Self {
            https: of(None),
            ports,
            roles: table
                .listeners
                .iter()
                .map(|listener| (listener.id.clone(), listener.role.clone()))
                .collect(),
            home,
            certificates: Certificates::compile(
                &table.certificates,
                &table.dashboard_names,
                &previous.certificates,
            )?,
            trust: Trust::new(&table.hostname, &table.ca_pem)?,
        })
    }

    /// What the socket with this id is for; `None` when the table has forgotten it.
    pub(super) fn role(&self, listener: &str) -> Option<&Role> {
        self.roles.get(listener)
    }

    /// Where `name` leads on this listener.
    pub(super) fn target(&self, listener: &str, name: &str) -> Option<&Target> {
        match self.ports.get(listener) {
            Some(port) => Some(port.names.get(name).unwrap_or(&port.rest)),
            None => self.https.get(name),
        }
    }

    /// Whether a browser that asks for `name` in plain text can be sent to HTTPS under that name.
    pub(super) fn has_https(&self, name: &str) -> bool {
        self.https.contains_key(name)
    }

    /// Whether somebody who asks in plain text for `name` is asking for us: by a name, or by the
    /// address they found us at.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        self.has_https(name) || name == self.home || name.parse::<IpAddr>().is_ok()
    }

    /// The dashboard's preferred name.
    pub(super) fn home(&self) -> &str {
        &self.home
    }
}

fn names(routes: &[Route], listener: Option<&str>) -> HashMap<String, Target> {
    routes
        .iter()
        .filter(|route| route.listener.as_deref() == listener)
        .flat_map(|route| {
            route
                .names
                .iter()
                .map(|name| (name.clone(), route.target.clone()))
        })
        .collect()
}

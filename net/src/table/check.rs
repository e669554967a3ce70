//! What a routing table must fulfil before anyone obeys it.
//!
//! Invariant: a table that passes can be served; every name in it has one meaning per listener.

use std::{collections::HashSet, net::IpAddr};

use super::{Role, RoutingTable};

/// Why a routing table is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A name that cannot stand in a certificate or a `Host` header.
    #[error("`{name}` in {place} is not a host name; use lower-case letters, digits, `-` and dots")]
    Name {
        /// The name as given.
        name: String,
        /// Which part of the table holds it.
        place: &'static str,
    },
    /// Two listeners with one id.
    #[error("the listener id `{id}` is used twice; each socket needs an id of its own")]
    ListenerTwice {
        /// The id.
        id: String,
    },
    /// A route for a listener that is not there, or that does not route by name.
    #[error(
        "the route of `{name}` is for the listener `{id}`, which is not a TLS listener of this table"
    )]
    NoSuchListener {
        /// The first name of the route.
        name: String,
        /// The listener asked for.
        id: String,
    },
    /// One name with two targets.
    #[error("`{name}` has two routes on the same listener; remove one")]
    RouteTwice {
        /// The name.
        name: String,
    },
    /// A route that no client could reach without a warning.
    #[error("no certificate covers `{name}`; issue one before routing it")]
    NoCertificate {
        /// The name.
        name: String,
    },
    /// A record without an address.
    #[error("`{name}` in {place} has no address")]
    NoAddress {
        /// The name.
        name: String,
        /// Which part of the table holds it.
        place: &'static str,
    },
    /// A name that multicast DNS cannot carry.
    #[error("`{name}` cannot be announced on the local network: it does not end in `.local`")]
    NotLocal {
        /// The name.
        name: String,
    },
    /// The root certificate is missing.
    #[error("the table carries no root certificate in PEM")]
    NoRoot,
}

/// Whether `name` is a fully qualified host name as we write them: lower case, no final dot,
/// labels of 1 to 63 of `a-z 0-9 -` that neither start nor end with `-`, at most 253 in all.
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

fn is_name_or_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || is_host_name(name)
}

impl RoutingTable {
    /// Checks that the table can be served.
    ///
    /// # Errors
    /// The first thing found wrong, naming it. Whether certificates and keys fit is not looked at
    /// here: that takes parsing them, which is the edge's job.
    pub fn check(&self) -> Result<(), TableError> {
        if !self.ca_pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(TableError::NoRoot);
        }
        self.check_names()?;
        self.check_routes()?;
        self.check_records()
    }

    fn check_names(&self) -> Result<(), TableError> {
        let bad = |name: &String, place| TableError::Name {
            name: name.clone(),
            place,
        };
        if !is_host_name(&self.hostname) {
            return Err(bad(&self.hostname, "hostname"));
        }
        let named = [
            ("dashboardNames", self.dashboard_names.iter().collect()),
            (
                "certificates",
                self.certificates.iter().flat_map(|c| &c.names).collect(),
            ),
            (
                "routes",
                self.routes
                    .iter()
                    .flat_map(|r| &r.names)
                    .collect::<Vec<_>>(),
            ),
        ];
        for (place, names) in named {
            if let Some(name) = names.into_iter().find(|name| !is_name_or_address(name)) {
                return Err(bad(name, place));
            }
        }
        Ok(())
    }

    fn check_routes(&self) -> Result<(), TableError> {
        let mut ids = HashSet::new();
        for listener in &self.listeners {
            if !ids.insert(listener.id.as_str()) {
                return Err(TableError::ListenerTwice {
                    id: listener.id.clone(),
                });
            }
        }
        let tls: HashSet<&str> = self
            .listeners
            .iter()
            .filter(|l| matches!(l.role, Role::Tls { .. }))
            .map(|l| l.id.as_str())
            .collect();
        let certified: HashSet<&str> = self
            .certificates
            .iter()
            .flat_map(|c| c.names.iter().map(String::as_str))
            .collect();
        let mut seen = HashSet::new();
        for route in &self.routes {
            if let Some(id) = route.listener.as_deref().filter(|id| !tls.contains(id)) {
                return Err(TableError::NoSuchListener {
                    name: route.names.first().cloned().unwrap_or_default(),
                    id: id.to_owned(),
                });
            }
            for name in &route.names {
                if !seen.insert((route.listener.as_deref(), name.as_str())) {
                    return Err(TableError::RouteTwice { name: name.clone() });
                }
                if !certified.contains(name.as_str()) {
                    return Err(TableError::NoCertificate { name: name.clone() });
                }
            }
        }
        Ok(())
    }

    fn check_records(&self) -> Result<(), TableError> {
        if let Some(zone) = self.dns.zones.iter().find(|zone| !is_host_name(zone)) {
            return Err(TableError::Name {
                name: zone.clone(),
                place: "dns.zones",
            });
        }
        for (place, records) in [("dns.records", &self.dns.records), ("mdns", &self.mdns)] {
            for record in records {
                let name = record.name.clone();
                if !is_host_name(&name) {
                    return Err(TableError::Name { name, place });
                }
                if record.addresses.is_empty() {
                    return Err(TableError::NoAddress { name, place });
                }
            }
        }
        match self.mdns.iter().find(|r| !r.name.ends_with(".local")) {
            Some(record) => Err(TableError::NotLocal {
                name: record.name.clone(),
            }),
            None => Ok(()),
        }
    }
}

//! Effects about certificates: §5.13.
//!
//! Invariant: a key is given for names of the caller's own only; a certificate, which is no secret,
//! for names that lead to something on this server.

use std::net::IpAddr;

use coppice_clock::Wall;
use coppice_net::ca::KeyKind;
use serde::Deserialize;

use super::{Answer, Refusal, Request, json, limits};
use crate::{
    model::PackageEntry,
    network::Wanted,
    problem::Problem,
    service::{ServiceContext, Watched},
};

#[derive(Deserialize)]
struct Asked {
    hostnames: Vec<String>,
    #[serde(default)]
    algorithm: Option<Algorithm>,
    #[serde(default)]
    callback: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    Ecdsa,
    Ed25519,
}

impl Asked {
    fn check(&self) -> Result<(), Refusal> {
        limits::hostnames(&self.hostnames)?;
        if self.hostnames.is_empty() {
            return Err(Problem::invalid(
                "a certificate needs at least one name or address; give some in `hostnames`",
            )
            .into());
        }
        Ok(())
    }

    fn wanted(&self) -> Wanted {
        let kind = match self.algorithm {
            None | Some(Algorithm::Ecdsa) => KeyKind::Ecdsa,
            Some(Algorithm::Ed25519) => KeyKind::Ed25519,
        };
        Wanted::of(&self.hostnames, kind)
    }
}

pub(super) fn certificate(request: Request<'_>) -> Answer {
    let asked: Asked = request.params()?;
    asked.check()?;
    let service = request.service;
    let foreign = asked
        .hostnames
        .iter()
        .find(|name| !is_served(service, name));
    if let Some(name) = foreign {
        return Err(Problem::not_found(format!(
            "`{name}` leads to nothing on this server, so there is no certificate for it"
        ))
        .into());
    }
    let wanted = asked.wanted();
    request.watch(Watched::Certificate(wanted.clone()), asked.callback)?;
    let issued = service
        .host
        .leaves
        .asked(&service.id, &wanted, Wall::now())?;
    json(&issued.chain)
}

pub(super) fn key(request: Request<'_>) -> Answer {
    let asked: Asked = request.params()?;
    asked.check()?;
    let service = request.service;
    let entry = service.entry()?;
    let foreign = asked
        .hostnames
        .iter()
        .find(|name| !is_own(service, &entry, name));
    if let Some(name) = foreign {
        return Err(Problem::not_found(format!(
            "`{name}` is not a name of `{}`, so it has no key for it; bind a port that has this address first",
            service.id
        ))
        .into());
    }
    let issued = service
        .host
        .leaves
        .asked(&service.id, &asked.wanted(), Wall::now())?;
    json(&issued.key_pem.expose())
}

/// Whether `name` is the caller's: its name for other packages, its container, or where its bindings
/// can be reached.
fn is_own(service: &ServiceContext, entry: &PackageEntry, name: &str) -> bool {
    let host = &service.host;
    let own_address = host
        .document
        .allocation(&service.id)
        .map(|given| IpAddr::V4(host.network.container_address(given)));
    package_named(name) == Some(service.id.as_str())
        || own_address.is_some_and(|own| name.parse() == Ok(own))
        || is_address_of(entry, name)
}

/// Whether `name` leads to this server or to something on it.
fn is_served(service: &ServiceContext, name: &str) -> bool {
    let host = &service.host;
    if let Some(package) = package_named(name)
        && host.document.package(package).is_some()
    {
        return true;
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        let subnet = host.network.subnet;
        let inside = match address {
            IpAddr::V4(v4) => subnet.v4().contains(&v4),
            IpAddr::V6(v6) => subnet.v6().contains(&v6),
        };
        if inside || address.is_loopback() || host.network.lan_addresses().contains(&address) {
            return true;
        }
    }
    let packages = host.document.packages();
    packages.values().any(|entry| is_address_of(entry, name))
}

/// The package that is called so inside: `<id>.startos` or `<id>.embassy`.
fn package_named(name: &str) -> Option<&str> {
    name.strip_suffix(".startos")
        .or_else(|| name.strip_suffix(".embassy"))
}

fn is_address_of(entry: &PackageEntry, name: &str) -> bool {
    entry.hosts.values().any(|host| {
        let bindings = host.bindings.values().map(|bound| &bound.addresses);
        let ranges = host.binding_ranges.values().map(|range| &range.addresses);
        bindings
            .chain(ranges)
            .flat_map(|addresses| &addresses.available)
            .any(|address| address.hostname.eq_ignore_ascii_case(name))
    })
}

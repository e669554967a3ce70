//! Effects about interfaces: §5.11.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Answer, DONE, Request, json, limits};
use crate::{
    model::{PackageEntry, ServiceInterface},
    problem::Problem,
    service::Watched,
};

pub(super) async fn export(request: Request<'_>) -> Answer {
    let interface: ServiceInterface = request.params()?;
    let around = request
        .service
        .host
        .network
        .surroundings(&request.service.id);
    request
        .service
        .update("export-service-interface", move |entry| {
            store(entry, interface)?;
            crate::hosts::refresh_addresses(&mut entry.hosts, &around);
            Ok(())
        })
        .await?;
    DONE
}

/// Inserts or replaces an interface of a binding.
pub(super) fn store(entry: &mut PackageEntry, interface: ServiceInterface) -> Result<(), Problem> {
    limits::name("interface id", &interface.id)?;
    let info = &interface.address_info;
    limits::name("host id", &info.host_id)?;
    let (host, port) = (info.host_id.clone(), info.internal_port);
    let bindings = entry.hosts.values().flat_map(|one| one.bindings.values());
    let bound = entry
        .hosts
        .get(&host)
        .and_then(|one| one.bindings.get(&port));
    let replaced = bound.and_then(|bound| bound.interfaces.get(&interface.id));
    let stored = bindings.flat_map(|bound| bound.interfaces.values());
    let others = stored.filter(|one| !replaced.is_some_and(|old| std::ptr::eq(old, *one)));
    limits::INTERFACES.check(&interface.id, &interface, others)?;
    let bound = entry
        .hosts
        .get_mut(&host)
        .and_then(|host| host.bindings.get_mut(&port));
    let Some(bound) = bound else {
        return Err(Problem::not_found(format!(
            "interface `{}` names port {port} of host `{host}`, which is not bound; bind it first",
            interface.id
        )));
    };
    bound.interfaces.insert(interface.id.clone(), interface);
    Ok(())
}

#[derive(Deserialize)]
struct Except {
    except: Vec<String>,
}

pub(super) async fn clear(request: Request<'_>) -> Answer {
    let Except { except } = request.params()?;
    limits::list("interfaces", &except)?;
    let around = request
        .service
        .host
        .network
        .surroundings(&request.service.id);
    request
        .service
        .update("clear-service-interfaces", move |entry| {
            for host in entry.hosts.values_mut() {
                for bound in host.bindings.values_mut() {
                    bound.interfaces.retain(|id, _| except.contains(id));
                }
                for range in host.binding_ranges.values_mut() {
                    if range
                        .interface
                        .as_ref()
                        .is_some_and(|one| !except.contains(&one.id))
                    {
                        range.interface = None;
                    }
                }
            }
            crate::hosts::refresh_addresses(&mut entry.hosts, &around);
            Ok(())
        })
        .await?;
    DONE
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Get {
    package_id: Option<String>,
    service_interface_id: String,
    callback: Option<u64>,
}

pub(super) fn get(request: Request<'_>) -> Answer {
    let Get {
        package_id,
        service_interface_id,
        callback,
    } = request.params()?;
    let package = package_id.unwrap_or_else(|| request.service.id.clone());
    limits::name("package id", &package)?;
    let document = &request.service.host.document;
    let host_of = |id: &str| {
        Some(
            all(&document.package(&package)?)
                .remove(id)?
                .address_info
                .host_id,
        )
    };
    // One that is not there yet may come under any host.
    let watched = match host_of(&service_interface_id) {
        Some(host) => Watched::Interface {
            package: package.clone(),
            host,
            id: service_interface_id.clone(),
        },
        None => Watched::Hosts(package.clone()),
    };
    request.watch(watched, callback)?;
    let entry = document.package(&package);
    json(&entry.and_then(|entry| all(&entry).remove(&service_interface_id)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    package_id: Option<String>,
    callback: Option<u64>,
}

pub(super) fn list(request: Request<'_>) -> Answer {
    let List {
        package_id,
        callback,
    } = request.params()?;
    let package = package_id.unwrap_or_else(|| request.service.id.clone());
    limits::name("package id", &package)?;
    request.watch(Watched::Hosts(package.clone()), callback)?;
    let entry = request.service.host.document.package(&package);
    json(&entry.map(|entry| all(&entry)).unwrap_or_default())
}

/// Every interface of a package, by id; those of ranges excluded.
fn all(entry: &PackageEntry) -> BTreeMap<String, ServiceInterface> {
    let bindings = entry.hosts.values().flat_map(|host| host.bindings.values());
    bindings
        .flat_map(|bound| bound.interfaces.clone())
        .collect()
}

//! Effects about ports and addresses: §5.10.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, DONE, Request, json as as_json, limits, ports::change_ports};
use crate::{
    hosts,
    model::{BindOptions, PackageEntry},
    problem::{Kind, Problem},
    service::Watched,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bind {
    id: String,
    internal_port: u16,
    #[serde(flatten)]
    options: BindOptions,
}

pub(super) async fn bind(request: Request<'_>) -> Answer {
    let Bind {
        id,
        internal_port,
        options,
    } = request.params()?;
    let owner = request.service.id.clone();
    change_ports(request.service, "bind", move |entry, pool| {
        admit(entry, &id, internal_port, &options)?;
        let host = entry.hosts.entry(id).or_default();
        hosts::bind(host, &owner, internal_port, options, pool)
            .map_err(|error| Problem::of(Kind::LanPortConflict, &error))
    })
    .await?;
    DONE
}

/// Whether a service may bind this port, or bind it anew with these options.
pub(super) fn admit(
    entry: &PackageEntry,
    host: &str,
    port: u16,
    options: &BindOptions,
) -> Result<(), limits::OverLimit> {
    limits::name("host id", host)?;
    let hosts = entry.hosts.keys().filter(|id| *id != host);
    limits::host(host, hosts.count())?;
    let others = || {
        let all = entry.hosts.iter();
        all.flat_map(|(id, one)| one.bindings.iter().map(move |(at, bound)| (id, *at, bound)))
            .filter(|(id, at, _)| (id.as_str(), *at) != (host, port))
            .map(|(_, _, bound)| &bound.options)
    };
    let name = format!("{port} of {host}");
    limits::BINDINGS.check(&name, options, others())?;
    if options.add_ssl.is_some() {
        let tls = others().filter(|options| options.add_ssl.is_some());
        limits::tls_binding(&name, tls.count())?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct ClearBindings {
    except: Vec<Kept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    id: String,
    internal_port: u16,
}

pub(super) async fn clear_bindings(request: Request<'_>) -> Answer {
    let ClearBindings { except } = request.params()?;
    limits::list("bindings", &except)?;
    let around = request
        .service
        .host
        .network
        .surroundings(&request.service.id);
    request
        .service
        .update("clear-bindings", move |entry| {
            let kept = |id: &str, port: u16| {
                except
                    .iter()
                    .any(|one| one.id == id && one.internal_port == port)
            };
            for (id, host) in &mut entry.hosts {
                for (port, bound) in &mut host.bindings {
                    bound.enabled &= kept(id, *port);
                }
                for (port, range) in &mut host.binding_ranges {
                    range.enabled &= kept(id, *port);
                }
            }
            hosts::refresh_addresses(&mut entry.hosts, &around);
            Ok(())
        })
        .await?;
    DONE
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortForward {
    package_id: Option<String>,
    host_id: String,
    internal_port: u16,
}

pub(super) fn port_forward(request: Request<'_>) -> Answer {
    let PortForward {
        package_id,
        host_id,
        internal_port,
    } = request.params()?;
    let package = package_id.unwrap_or_else(|| request.service.id.clone());
    let entry = request.service.host.document.package(&package);
    let net = entry
        .as_ref()
        .and_then(|entry| entry.hosts.get(&host_id))
        .and_then(|host| host.bindings.get(&internal_port))
        .map(|bound| bound.net);
    match net {
        Some(net) => as_json(&net),
        None => Err(Problem::not_found(format!(
            "port {internal_port} of host `{host_id}` of `{package}` is not bound"
        ))
        .into()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostInfo {
    host_id: String,
    package_id: Option<String>,
    callback: Option<u64>,
}

pub(super) fn host_info(request: Request<'_>) -> Answer {
    let HostInfo {
        host_id,
        package_id,
        callback,
    } = request.params()?;
    let package = package_id.unwrap_or_else(|| request.service.id.clone());
    let watched = Watched::Host {
        package: package.clone(),
        host: host_id.clone(),
    };
    limits::name("host id", &host_id)?;
    limits::name("package id", &package)?;
    request.watch(watched, callback)?;
    let entry = request.service.host.document.package(&package);
    as_json(&entry.and_then(|mut entry| entry.hosts.remove(&host_id)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerIp {
    package_id: Option<String>,
    callback: Option<u64>,
}

pub(super) fn container_ip(request: Request<'_>) -> Answer {
    let ContainerIp {
        package_id,
        callback,
    } = request.params()?;
    let own = request.service.id.clone();
    let package = package_id.unwrap_or_else(|| own.clone());
    limits::name("package id", &package)?;
    if package != own {
        request.watch(Watched::ContainerIp(package.clone()), callback)?;
    }
    let address = request
        .service
        .host
        .document
        .allocation(&package)
        .map(|given| request.service.host.network.container_address(given));
    Ok(json!(address.map(|address| address.to_string())))
}

pub(super) fn os_ip(request: Request<'_>) -> Answer {
    Ok(Value::String(
        request.service.host.network.bridge_address().to_string(),
    ))
}

#[derive(Deserialize)]
struct OutboundGateway {
    #[serde(default)]
    callback: Option<u64>,
}

/// The one its owner chose for it, else the one the machine itself uses.
pub(super) fn outbound_gateway(request: Request<'_>) -> Answer {
    let OutboundGateway { callback } = request.params()?;
    let service = request.service;
    request.watch(Watched::OutboundGateway(service.id.clone()), callback)?;
    let chosen = service.entry()?.outbound_gateway;
    match chosen.or_else(|| service.host.network.outbound()) {
        Some(gateway) => Ok(Value::String(gateway)),
        None => Err(Problem::new(
            Kind::Network,
            "this machine has no way out: there is no default route; connect it to a network",
        )
        .into()),
    }
}

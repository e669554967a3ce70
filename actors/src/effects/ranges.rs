//! Effects about ranges of ports: §5.10 `bind-range`, §5.11 `export-range-service-interface`.

use serde::Deserialize;

use super::{Answer, DONE, Request, limits, ports::change_ports};
use crate::{
    hosts,
    model::{PackageEntry, RangeInterface},
    problem::{Kind, Problem},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BindRange {
    id: String,
    internal_start_port: u16,
    external_start_port: u16,
    number_of_ports: u16,
}

pub(super) async fn bind(request: Request<'_>) -> Answer {
    let asked: BindRange = request.params()?;
    let owner = request.service.id.clone();
    let range = hosts::Range {
        internal_start: asked.internal_start_port,
        external_start: asked.external_start_port,
        count: asked.number_of_ports,
    };
    change_ports(request.service, "bind-range", move |entry, pool| {
        admit(entry, &asked.id, range.internal_start)?;
        let bound = entry.hosts.entry(asked.id).or_default();
        hosts::bind_range(bound, &owner, range, pool)
            .map_err(|refused| Problem::of(Kind::InvalidRequest, &refused))
    })
    .await?;
    DONE
}

/// Whether a service may have a range there.
pub(super) fn admit(entry: &PackageEntry, host: &str, start: u16) -> Result<(), limits::OverLimit> {
    limits::name("host id", host)?;
    let hosts = entry.hosts.keys().filter(|id| *id != host);
    limits::host(host, hosts.count())?;
    limits::RANGES.check(
        &format!("{start} of {host}"),
        &(),
        others(entry, host, start),
    )
}

/// The interfaces of a service's other ranges; a range without one counts as well.
fn others<'a>(
    entry: &'a PackageEntry,
    host: &'a str,
    start: u16,
) -> impl Iterator<Item = &'a Option<RangeInterface>> {
    let all = entry.hosts.iter();
    all.flat_map(|(id, one)| {
        one.binding_ranges
            .iter()
            .map(move |(at, range)| (id, *at, range))
    })
    .filter(move |(id, at, _)| (id.as_str(), *at) != (host, start))
    .map(|(_, _, range)| &range.interface)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    host_id: String,
    internal_start_port: u16,
    #[serde(flatten)]
    interface: RangeInterface,
}

pub(super) async fn export_interface(request: Request<'_>) -> Answer {
    let Export {
        host_id,
        internal_start_port: start,
        interface,
    } = request.params()?;
    limits::name("host id", &host_id)?;
    limits::name("interface id", &interface.id)?;
    request
        .service
        .update("export-range-service-interface", move |entry| {
            limits::RANGES.check(&interface.id, &interface, others(entry, &host_id, start))?;
            let range = entry
                .hosts
                .get_mut(&host_id)
                .and_then(|host| host.binding_ranges.get_mut(&start));
            let Some(range) = range else {
                return Err(Problem::not_found(format!(
                    "interface `{}` names the range from {start} on of host `{host_id}`, which is not \
                     bound; bind it first",
                    interface.id
                )));
            };
            range.interface = Some(interface);
            Ok(())
        })
        .await?;
    DONE
}

//! Addresses that one package adds to the bindings of others: `service-abi.md` §5.12.

use crate::{
    document::Transaction,
    model::{Host, HostnameInfo, HostnameMetadata},
    problem::Problem,
};

/// Whether this address was added by `plugin`.
#[must_use]
pub fn is_of(address: &HostnameInfo, plugin: &str) -> bool {
    matches!(&address.metadata, HostnameMetadata::Plugin { package_id, .. } if package_id == plugin)
}

/// Removes the addresses that `plugin` added anywhere, but those that `keeps` says stay; told the
/// package, the host, the binding and the address.
///
/// # Errors
/// When an entry has another shape, which only a damaged store can bring about.
pub fn clear(
    transaction: &mut Transaction<'_>,
    plugin: &str,
    keeps: impl Fn(&str, &str, u16, &HostnameInfo) -> bool,
) -> Result<(), Problem> {
    for id in transaction.keys(&["public", "packageData"]) {
        let mut entry = transaction.package(&id)?;
        let mut changed = false;
        for (host, one) in &mut entry.hosts {
            changed |= clear_host(one, plugin, |port, address| keeps(&id, host, port, address));
        }
        if changed {
            transaction.put_package(&id, &entry)?;
        }
    }
    Ok(())
}

fn clear_host(host: &mut Host, plugin: &str, keeps: impl Fn(u16, &HostnameInfo) -> bool) -> bool {
    let mut changed = false;
    for (port, bound) in &mut host.bindings {
        let available = &mut bound.addresses.available;
        let before = available.len();
        available.retain(|address| !is_of(address, plugin) || keeps(*port, address));
        changed |= available.len() != before;
    }
    changed
}

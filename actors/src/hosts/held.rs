//! Whose ports are whose while a service is updated.
//!
//! Invariant: until an update is decided, no port of the service goes to another: the version before may come
//! back, and has its ports then. The new version itself may use for something else what it gave back.

use std::collections::BTreeMap;

use super::PortPool;
use crate::model::{Host, PackageEntry, ServerPrivate, StateInfo};

/// Has `work` give ports to the service `owner`, and take some from it, on the server of that name.
///
/// # Errors
/// What `work` refuses; entry and ports are to be thrown away then.
pub fn with_ports<E>(
    entry: &mut PackageEntry,
    server: &mut ServerPrivate,
    names: (String, &str),
    work: impl FnOnce(&mut PackageEntry, &mut PortPool) -> Result<(), E>,
) -> Result<(), E> {
    let (name, owner) = names;
    let mut pool = PortPool {
        taken: std::mem::take(&mut server.ports),
        server: name,
    };
    let mut held = Vec::new();
    if let StateInfo::Updating { .. } = entry.state_info {
        let own = pool.taken.iter().filter(|(_, holder)| *holder == owner);
        held = own.map(|(port, _)| *port).collect();
        free_unused(&mut pool.taken, owner, &entry.hosts);
    }
    work(entry, &mut pool)?;
    for port in held {
        pool.taken.entry(port).or_insert_with(|| owner.to_owned());
    }
    server.ports = pool.taken;
    Ok(())
}

/// Gives back every port of a service that none of its bindings has.
pub fn free_unused(taken: &mut BTreeMap<u16, String>, owner: &str, hosts: &BTreeMap<String, Host>) {
    let is_used = |port: u16| {
        hosts.values().any(|host| {
            let bound = host.bindings.values().any(|bound| {
                [bound.net.assigned_port, bound.net.assigned_ssl_port].contains(&Some(port))
            });
            bound
                || host.binding_ranges.values().any(|range| {
                    let first = range.external_start_port;
                    (first..first.saturating_add(range.number_of_ports)).contains(&port)
                })
        })
    };
    taken.retain(|port, holder| holder != owner || is_used(*port));
}

#[cfg(test)]
mod tests {
    use coppice_net::subnet::Subnet;
    use serde_json::{Value, json};

    use super::{
        super::{Range, bind_range_where},
        *,
    };
    use crate::model::InstallingInfo;

    fn updating() -> PackageEntry {
        PackageEntry::bare(StateInfo::Updating {
            manifest: json!({}),
            installing_info: InstallingInfo {
                new_manifest: json!({}),
                progress: Value::Null,
            },
        })
    }

    fn server() -> ServerPrivate {
        ServerPrivate {
            subnet: Subnet::choose("abcdef", &[]).unwrap(),
            next_range: 0,
            ports: BTreeMap::new(),
        }
    }

    /// Binds two ports for the first port in the container, as the service of that name.
    fn bind(entry: &mut PackageEntry, server: &mut ServerPrivate, start: (u16, u16), owner: &str) {
        let range = Range {
            internal_start: start.0,
            external_start: start.1,
            count: 2,
        };
        let names = ("abcdef".to_owned(), owner);
        with_ports(entry, server, names, |entry, pool| {
            let host = entry.hosts.entry("main".to_owned()).or_default();
            bind_range_where(host, owner, range, pool, &mut |_, _| None)
        })
        .unwrap();
    }

    #[test]
    fn what_a_new_version_gives_back_stays_the_services_until_the_update_is_decided() {
        let (mut entry, mut server) = (updating(), server());
        bind(&mut entry, &mut server, (1, 50_000), "coturn");
        // Asked for again, as every new version does.
        bind(&mut entry, &mut server, (1, 50_000), "coturn");
        bind(&mut entry, &mut server, (1, 51_000), "coturn");
        let held: Vec<u16> = server.ports.keys().copied().collect();
        assert_eq!(held, [50_000, 50_001, 51_000, 51_001]);
        // The service itself may have it for another port of its own.
        bind(&mut entry, &mut server, (7, 50_000), "coturn");
        free_unused(&mut server.ports, "coturn", &entry.hosts);
        assert_eq!(server.ports.len(), 4);
        bind(&mut entry, &mut server, (7, 52_000), "coturn");
        free_unused(&mut server.ports, "coturn", &entry.hosts);
        let held: Vec<u16> = server.ports.keys().copied().collect();
        assert_eq!(held, [51_000, 51_001, 52_000, 52_001]);
    }
}

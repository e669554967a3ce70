//! Addresses that one package adds to the bindings of others: `service-abi.md` §5.12.

use std::collections::BTreeMap;

use crate::{
    document::Transaction,
    model::{Host, HostnameInfo, HostnameMetadata, Plugged},
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

/// The addresses that `plugin` added to other services.
///
/// # Errors
/// As [`clear`].
pub fn of(transaction: &Transaction<'_>, plugin: &str) -> Result<Vec<Plugged>, Problem> {
    let mut found = Vec::new();
    for package in transaction.keys(&["public", "packageData"]) {
        if package == plugin {
            continue;
        }
        for (host, one) in transaction.package(&package)?.hosts {
            for (port, bound) in one.bindings {
                let own = bound.addresses.available.into_iter();
                found.extend(own.filter(|one| is_of(one, plugin)).map(|address| Plugged {
                    package: package.clone(),
                    host: host.clone(),
                    port,
                    address,
                }));
            }
        }
    }
    Ok(found)
}

/// Makes the addresses that `plugin` added to other services these, as far as the bindings are there.
///
/// # Errors
/// As [`clear`].
pub fn put_back(
    transaction: &mut Transaction<'_>,
    plugin: &str,
    all: &[Plugged],
) -> Result<(), Problem> {
    for package in transaction.keys(&["public", "packageData"]) {
        if package == plugin {
            continue;
        }
        let mut entry = transaction.package(&package)?;
        for host in entry.hosts.values_mut() {
            clear_host(host, plugin, |_, _| false);
        }
        for one in all.iter().filter(|one| one.package == package) {
            let host = entry.hosts.get_mut(&one.host);
            if let Some(bound) = host.and_then(|host| host.bindings.get_mut(&one.port)) {
                bound.addresses.available.push(one.address.clone());
            }
        }
        // What is as it was is not written.
        transaction.put_package(&package, &entry)?;
    }
    Ok(())
}

/// Has the addresses that others added to a service's bindings in `now` be in `before`, too: they are not the
/// service's to give back.
pub fn carry(now: &BTreeMap<String, Host>, service: &str, before: &mut BTreeMap<String, Host>) {
    let is_anothers = |address: &HostnameInfo| match &address.metadata {
        HostnameMetadata::Plugin { package_id, .. } => package_id != service,
        _ => false,
    };
    for (id, host) in before {
        for (port, bound) in &mut host.bindings {
            let now = now.get(id).and_then(|host| host.bindings.get(port));
            let Some(now) = now else { continue };
            let available = &mut bound.addresses.available;
            available.retain(|address| !is_anothers(address));
            let others = now.addresses.available.iter();
            available.extend(others.filter(|one| is_anothers(one)).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use patchdb::{Options, Store};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        document::Document,
        model::{Addresses, BindInfo, PackageEntry, StateInfo},
    };

    fn address(name: &str, plugin: Option<&str>) -> HostnameInfo {
        let metadata = match plugin {
            None => HostnameMetadata::Ipv4 {
                gateway: "eth0".into(),
            },
            Some(plugin) => HostnameMetadata::Plugin {
                package_id: plugin.into(),
                remove_action: None,
                overflow_actions: Vec::new(),
                info: Value::Null,
            },
        };
        HostnameInfo {
            ssl: false,
            public: true,
            hostname: name.into(),
            port: Some(80),
            metadata,
        }
    }

    /// A host whose one binding has these addresses.
    fn host(available: Vec<HostnameInfo>) -> BTreeMap<String, Host> {
        let mut bound: BindInfo = serde_json::from_value(json!({
            "enabled": true,
            "options": { "preferredExternalPort": 80, "addSsl": null, "secure": null },
            "net": { "assignedPort": 20080, "assignedSslPort": null },
            "addresses": Addresses::default(),
            "interfaces": {},
        }))
        .unwrap();
        bound.addresses.available = available;
        let host = Host {
            bindings: BTreeMap::from([(80, bound)]),
            ..Host::default()
        };
        BTreeMap::from([("main".to_owned(), host)])
    }

    fn names(hosts: &BTreeMap<String, Host>) -> Vec<&str> {
        let available = &hosts["main"].bindings[&80].addresses.available;
        available.iter().map(|one| one.hostname.as_str()).collect()
    }

    #[tokio::test]
    async fn what_a_plugin_had_added_to_others_is_put_back_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document::new(Store::open(folder.path(), Options::default()).unwrap());
        let bare = PackageEntry::bare(StateInfo::Installed {
            manifest: Value::Null,
        });
        let web = move |added: &'static [&'static str]| {
            let own = [address("own", None), address("vpn", Some("vpn"))];
            let added = added.iter().map(|name| address(name, Some("tor")));
            PackageEntry {
                hosts: host(own.into_iter().chain(added).collect()),
                ..bare.clone()
            }
        };
        let put = |entry: PackageEntry| {
            document.transact("test", "put", move |transaction| {
                transaction.put_package("web", &entry)
            })
        };
        put(web(&["old"])).await.unwrap();
        let read = |transaction: &mut Transaction<'_>| of(transaction, "tor");
        let before = document.transact("test", "read", read).await.unwrap();
        for now in [&["old", "new"][..], &["new"], &[], &["old"]] {
            put(web(now)).await.unwrap();
            let before = before.clone();
            let done = document.transact("test", "back", move |transaction| {
                put_back(transaction, "tor", &before)
            });
            done.await.unwrap();
            let hosts = document.package("web").unwrap().hosts;
            assert_eq!(names(&hosts), ["own", "vpn", "old"]);
        }
    }

    #[test]
    fn what_others_added_meanwhile_stays() {
        let mut before = host(vec![
            address("own", None),
            address("self", Some("web")),
            address("gone", Some("tor")),
        ]);
        let now = host(vec![
            address("else", None),
            address("of failed", Some("web")),
            address("new", Some("tor")),
        ]);
        carry(&now, "web", &mut before);
        assert_eq!(names(&before), ["own", "self", "new"]);
    }
}

//! The kernel settings a network of containers needs.
//!
//! Invariant: nothing is written that already has the wanted value, so a system with a read-only
//! `/proc/sys` that was set up by its owner works. Nothing is ever turned off again: another
//! program may rely on it by then.

use std::{fs, io, path::PathBuf};

/// A kernel setting could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not set `{key}` to {value}; set it in /etc/sysctl.d and try again")]
pub struct SysctlError {
    key: String,
    value: &'static str,
    #[source]
    source: io::Error,
}

/// What must hold before the bridge carries anything: no container is its router.
pub(super) fn prepare(bridge: &str) -> Result<(), SysctlError> {
    if has_ipv6() {
        set(&format!("net/ipv6/conf/{bridge}/accept_ra"), "0")?;
    }
    Ok(())
}

/// Turns on forwarding between the bridge and the rest of the machine's networks, and makes the
/// host answer on the bridge for the containers' addresses.
pub(super) fn forward(bridge: &str) -> Result<(), SysctlError> {
    // Both directions of a connection are forwarded, so the interface towards the world must
    // forward as well, and which one that is may change. What may pass is the firewall's matter.
    set("net/ipv4/ip_forward", "1")?;
    // Containers may not exchange frames (see `firewall`); the host answers their ARP requests for
    // each other and so becomes the way between them, where the rules are.
    set(&format!("net/ipv4/conf/{bridge}/proxy_arp_pvlan"), "1")?;
    // Without this such an answer waits for up to 0.8 s, in case a better one exists.
    set(&format!("net/ipv4/neigh/{bridge}/proxy_delay"), "0")?;
    if has_ipv6() {
        if read("net/ipv6/conf/all/forwarding").is_some_and(|value| value == "0") {
            keep_router_advertisements()?;
        }
        set("net/ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}

/// A forwarding host ignores router advertisements unless told otherwise (`accept_ra` 2), and
/// would lose its own IPv6 address and route some minutes after we turned forwarding on.
fn keep_router_advertisements() -> Result<(), SysctlError> {
    let Ok(interfaces) = fs::read_dir("/proc/sys/net/ipv6/conf") else {
        return Ok(());
    };
    for interface in interfaces.flatten() {
        let name = interface.file_name().to_string_lossy().into_owned();
        // `all` is ignored by the kernel. `default` would reach interfaces that come later, among
        // them other programs' bridges, whose containers could then route the host.
        if ["all", "default", "lo"].contains(&name.as_str()) {
            continue;
        }
        let value = |key: &str| read(&format!("net/ipv6/conf/{name}/{key}"));
        if value("accept_ra").as_deref() == Some("1") && value("forwarding").as_deref() == Some("0")
        {
            set(&format!("net/ipv6/conf/{name}/accept_ra"), "2")?;
        }
    }
    Ok(())
}

fn has_ipv6() -> bool {
    path("net/ipv6").is_dir()
}

fn path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(key)
}

fn read(key: &str) -> Option<String> {
    Some(fs::read_to_string(path(key)).ok()?.trim().to_owned())
}

fn set(key: &str, value: &'static str) -> Result<(), SysctlError> {
    if read(key).is_some_and(|now| now == value) {
        return Ok(());
    }
    fs::write(path(key), value).map_err(|source| SysctlError {
        key: key.replace('/', "."),
        value,
        source,
    })
}

//! The text of liblxc's configuration for one container.
//!
//! We write the whole of it: nothing comes from the machine's own LXC defaults.
//! The root is put together before liblxc sees it, so there are few mounts here.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    ContainerSpec, HostLayout, ID_RANGE,
    cgroup::{Hierarchies, Version},
    lxc::{apparmor, record::Record, root::GrantedDevice, seccomp},
};

/// Device nodes every container has, as the devices controller writes them.
const HARMLESS_DEVICES: [&str; 9] = [
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// What this host has, as far as the text depends on it.
pub(crate) struct Host<'a> {
    pub(crate) hierarchies: &'a Hierarchies,
    pub(crate) apparmor: bool,
    pub(crate) seccomp: bool,
}

impl<'a> Host<'a> {
    pub(crate) fn look(hierarchies: &'a Hierarchies) -> Self {
        Self {
            hierarchies,
            apparmor: apparmor::is_on(),
            seccomp: Path::new(seccomp::LIST).exists(),
        }
    }
}

/// Refuses what would break out of a line of the text, or what liblxc would split.
pub(crate) fn check(spec: &ContainerSpec) -> Result<(), String> {
    let control = |text: &str| text.chars().any(char::is_control);
    let splits = |text: &str| {
        text.chars()
            .any(|c| c.is_whitespace() || "\"'\\".contains(c))
    };
    let host_letters = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    if spec.init.argv.is_empty() {
        return Err("its init has no program".to_owned());
    }
    if let Some(word) = spec
        .init
        .argv
        .iter()
        .find(|word| word.is_empty() || control(word) || splits(word))
    {
        return Err(format!(
            "its init's argument {word:?} has spaces, quotes or control characters"
        ));
    }
    if let Some((key, _)) = spec.init.env.iter().find(|(key, value)| {
        key.is_empty() || control(key) || key.contains('=') || splits(key) || control(value)
    }) {
        return Err(format!(
            "its init's variable {key:?} has control characters"
        ));
    }
    if !spec.hostname.chars().all(host_letters)
        || spec.hostname.is_empty()
        || spec.hostname.len() > 64
    {
        return Err(format!("{:?} is no host name", spec.hostname));
    }
    if let Some(network) = &spec.network
        && (control(&network.bridge) || splits(&network.bridge) || network.bridge.is_empty())
    {
        return Err(format!("{:?} is no bridge", network.bridge));
    }
    if spec
        .id_base
        .checked_add(ID_RANGE)
        .is_none_or(|end| end == u32::MAX)
        || spec.id_base < ID_RANGE
    {
        return Err(format!(
            "ids from {} on are the host's own or no ids",
            spec.id_base
        ));
    }
    Ok(())
}

/// The configuration of a container.
pub(crate) fn text(
    layout: &HostLayout,
    record: &Record,
    host: &Host<'_>,
    devices: &[GrantedDevice],
) -> String {
    let spec = &record.spec;
    let stage = layout.stage();
    let dir = layout.container_dir(&spec.instance);
    let mut lines = Lines::default();

    lines.set("lxc.uts.name", &spec.hostname);
    lines.set(
        "lxc.rootfs.path",
        format!("dir:{}", stage.join("root").display()),
    );
    lines.set("lxc.rootfs.mount", stage.join("lxc").display());
    lines.set("lxc.idmap", format!("u 0 {} {ID_RANGE}", spec.id_base));
    lines.set("lxc.idmap", format!("g 0 {} {ID_RANGE}", spec.id_base));
    lines.set("lxc.init.cmd", spec.init.argv.join(" "));
    lines.set("lxc.environment", "container=lxc");
    lines.set("lxc.environment", format!("COPPICE_BOOT={}", record.boot));
    for (key, value) in &spec.init.env {
        lines.set("lxc.environment", format!("{key}={value}"));
    }
    lines.set("lxc.signal.halt", "SIGTERM");
    lines.set("lxc.log.file", dir.join("lxc.log").display());
    lines.set("lxc.log.level", "INFO");
    lines.set("lxc.console.path", "none");
    lines.set("lxc.tty.max", 0);
    lines.set("lxc.pty.max", 1024);

    security(&mut lines, host, &seccomp_file(&dir));
    cgroups(&mut lines, layout, spec, host);
    mounts(&mut lines, devices);
    controller_of_devices(&mut lines, devices, host);
    network(&mut lines, layout, spec);
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{key} = {value}");
    }
}

/// Where the list of [`seccomp`] is written, beside the configuration.
pub(crate) fn seccomp_file(dir: &Path) -> PathBuf {
    dir.join("seccomp")
}

fn security(lines: &mut Lines, host: &Host<'_>, seccomp: &Path) {
    // All capabilities, which reach no further than the container's own user namespace.
    lines.set("lxc.cap.drop", "");
    if host.seccomp {
        lines.set("lxc.seccomp.profile", seccomp.display());
        lines.set("lxc.seccomp.allow_nesting", 1);
    }
    if host.apparmor {
        lines.set("lxc.apparmor.profile", "generated");
        lines.set("lxc.apparmor.allow_nesting", 1);
    }
}

fn cgroups(lines: &mut Lines, layout: &HostLayout, spec: &ContainerSpec, host: &Host<'_>) {
    lines.set("lxc.cgroup.dir.container", layout.cgroup(&spec.instance));
    lines.set("lxc.cgroup.dir.container.inner", "ns");
    lines.set(
        "lxc.cgroup.dir.monitor",
        layout.monitor_cgroup(&spec.instance),
    );
    lines.set(
        "lxc.cgroup.dir.monitor.pivot",
        layout.ended_monitors_cgroup(),
    );
    let parent = layout.cgroup_parent();
    for (key, value) in spec.limits.to_lxc_config(host.hierarchies, &parent) {
        lines.set(&key, value);
    }
}

fn mounts(lines: &mut Lines, devices: &[GrantedDevice]) {
    // A fresh proc or sysfs inside (every subcontainer mounts one) needs an unobstructed one to exist,
    // so nothing is laid over either; what they guard is guarded by the user namespace.
    lines.set("lxc.mount.auto", "proc:rw sys:rw");
    lines.set("lxc.autodev", 1);
    lines.set(
        "lxc.mount.entry",
        "tmpfs run tmpfs rw,nosuid,nodev,mode=755 0 0",
    );
    lines.set(
        "lxc.mount.entry",
        "tmpfs dev/shm tmpfs rw,nosuid,nodev,create=dir,mode=1777 0 0",
    );
    lines.set(
        "lxc.mount.entry",
        "mqueue dev/mqueue mqueue rw,relatime,create=dir,optional 0 0",
    );
    for device in devices {
        lines.set(
            "lxc.mount.entry",
            format!(
                "{} {} none bind,create=file 0 0",
                device.node.display(),
                device.inside.display()
            ),
        );
    }
}

/// The controller is a second wall: inside a user namespace no node can be made in the first place.
fn controller_of_devices(lines: &mut Lines, devices: &[GrantedDevice], host: &Host<'_>) {
    // v2 has no such controller, liblxc writes a program for it instead.
    let prefix = match host.hierarchies.controller("devices", "") {
        Some((Version::V1, _)) => "lxc.cgroup.devices",
        _ => "lxc.cgroup2.devices",
    };
    lines.set(&format!("{prefix}.deny"), "a");
    for rule in HARMLESS_DEVICES {
        lines.set(&format!("{prefix}.allow"), rule);
    }
    for device in devices {
        let rule = format!("{} {}:{} rwm", device.letter, device.major, device.minor);
        lines.set(&format!("{prefix}.allow"), rule);
    }
}

fn network(lines: &mut Lines, layout: &HostLayout, spec: &ContainerSpec) {
    let Some(network) = &spec.network else {
        lines.set("lxc.net.0.type", "empty");
        return;
    };
    let mac: Vec<String> = network
        .mac
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    lines.set("lxc.net.0.type", "veth");
    lines.set("lxc.net.0.name", "eth0");
    lines.set("lxc.net.0.veth.pair", layout.veth(&spec.instance));
    lines.set("lxc.net.0.link", &network.bridge);
    lines.set("lxc.net.0.flags", "up");
    lines.set("lxc.net.0.hwaddr", mac.join(":"));
    if let Some(ip) = &network.ipv4 {
        lines.set(
            "lxc.net.0.ipv4.address",
            format!("{}/{}", ip.address, ip.prefix),
        );
        lines.set("lxc.net.0.ipv4.gateway", ip.gateway);
    }
    if let Some(ip) = &network.ipv6 {
        lines.set(
            "lxc.net.0.ipv6.address",
            format!("{}/{}", ip.address, ip.prefix),
        );
        lines.set("lxc.net.0.ipv6.gateway", ip.gateway);
    }
}

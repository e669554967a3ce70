//! Finding and removing what a crash left behind. Everything here blocks.
//!
//! What may stay is decided first: known instances whose pid 1 runs. Then everything on the host that
//! carries our short id, in the order in which one thing could make another, is either theirs or goes.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
};

use coppice_remove_tree::remove_tree;

use crate::{
    Inspection, Leftover, Receipt, Running, Segment,
    cgroup::{self, Hierarchies},
    error::StepError,
    layout::ENDED,
    lxc::{host::Host, images, lifecycle, links, record::Record, subcontainer},
    sys::{loop_device, mountinfo, pidfd::PidFd},
};

/// Removes everything that belongs to no known running container.
pub(crate) fn reconcile(host: &Host, known: &[Segment]) -> Receipt {
    let mut receipt = Receipt::default();
    let hierarchies = match Hierarchies::detect() {
        Ok(hierarchies) => hierarchies,
        Err(error) => {
            receipt.note(Leftover::Cgroup, "all", Err(chain(&error)));
            return receipt;
        }
    };
    let kept = kept(host, known, &mut receipt);
    processes(host, &hierarchies, &mut receipt);
    containers(host, &kept, &mut receipt);
    mounts(host, &mut receipt);
    loop_devices(host, &mut receipt);
    veths(host, &kept, &mut receipt);
    bridge_ports(host, &mut receipt);
    cgroups(host, &hierarchies, &kept, &mut receipt);
    layers(host, &kept, &mut receipt);
    receipt
}

type Kept = Vec<(Segment, Running)>;

fn keeps(kept: &Kept, instance: &Segment) -> bool {
    kept.iter().any(|(other, _)| other == instance)
}

fn kept(host: &Host, known: &[Segment], receipt: &mut Receipt) -> Kept {
    let mut kept = Vec::new();
    for instance in known {
        match lifecycle::settle(host, instance) {
            Ok(Inspection::Running(life)) => kept.push((instance.clone(), life)),
            Ok(Inspection::Stopped) => {}
            Err(error) => {
                receipt.note(
                    Leftover::DeadContainer,
                    instance.as_str(),
                    Err(chain(&error)),
                );
            }
        }
    }
    kept
}

/// Ends every process that sees our stage and is not the monitor of a running container: a start that
/// goes on although its creator died, which nothing else would find yet. (Monitors of running containers
/// that nobody knows end with those, next.)
fn processes(host: &Host, hierarchies: &Hierarchies, receipt: &mut Receipt) {
    let monitors: BTreeSet<i32> = Record::instances(&host.layout)
        .unwrap_or_default()
        .iter()
        .filter(|instance| {
            matches!(
                lifecycle::inspect(host, instance),
                Ok(Inspection::Running(_))
            )
        })
        .flat_map(|instance| lifecycle::monitors(host, hierarchies, instance))
        .collect();
    // A killed one may have left a child behind, so look again until there is none.
    for _ in 0..8 {
        let strays: Vec<i32> = on_stage(&host.layout.stage())
            .filter(|pid| !monitors.contains(pid))
            .collect();
        if strays.is_empty() {
            return;
        }
        for pid in strays {
            let Ok(process) = PidFd::open(pid) else {
                continue;
            };
            // Looked at again after opening, so that the descriptor is of the process found.
            if on_stage_one(pid, &host.layout.stage()) {
                let done = lifecycle::kill_and_wait(&process).map_err(|error| error.to_string());
                receipt.note(Leftover::Process, pid.to_string(), done);
            }
        }
    }
}

fn on_stage(stage: &Path) -> impl Iterator<Item = i32> {
    let own = fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    let mut elsewhere: HashSet<PathBuf> = HashSet::from([own]);
    let mut here: HashSet<PathBuf> = HashSet::new();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(move |pid| {
            // Processes share namespaces: each is looked into once.
            let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/mnt")) else {
                return false;
            };
            if elsewhere.contains(&namespace) {
                return false;
            }
            if here.contains(&namespace) || on_stage_one(*pid, stage) {
                here.insert(namespace);
                return true;
            }
            elsewhere.insert(namespace);
            false
        })
        .collect::<Vec<_>>()
        .into_iter()
}

fn on_stage_one(pid: i32, stage: &Path) -> bool {
    mountinfo::of_process(pid).is_ok_and(|mounts| mounts.iter().any(|mount| mount.target == stage))
}

fn containers(host: &Host, kept: &Kept, receipt: &mut Receipt) {
    let instances = match Record::instances(&host.layout) {
        Ok(instances) => instances,
        Err(error) => {
            let dir = host.layout.lxc_path().display().to_string();
            receipt.note(Leftover::DeadContainer, dir, Err(chain(&error)));
            return;
        }
    };
    for instance in instances.iter().filter(|instance| !keeps(kept, instance)) {
        let kind = match lifecycle::inspect(host, instance) {
            Ok(Inspection::Running(_)) => Leftover::UnknownContainer,
            _ => Leftover::DeadContainer,
        };
        let done = lifecycle::destroy(host, instance).map_err(|error| chain(&error));
        receipt.note(kind, instance.as_str(), done);
    }
}

fn mounts(host: &Host, receipt: &mut Receipt) {
    let swept = images::lock(&host.layout).and_then(|held| images::sweep(&host.layout, &held));
    match swept {
        Err(error) => receipt.note(Leftover::Mount, "images", Err(chain(&error))),
        Ok(swept) => {
            for (target, outcome) in swept {
                let done = outcome.map_err(|error| error.to_string());
                receipt.note(Leftover::Mount, target.display().to_string(), done);
            }
        }
    }
    // On the host nothing but images is mounted there.
    let (all, used) = (host.layout.run.join("mnt"), host.layout.images_dir());
    let found = mountinfo::of_self().unwrap_or_default();
    for mount in found.iter().rev() {
        if mount.target.starts_with(&all) && !mount.target.starts_with(&used) {
            let done = images::unmount(&mount.target).map_err(|error| error.to_string());
            receipt.note(Leftover::Mount, mount.target.display().to_string(), done);
        }
    }
}

/// Frees devices over our images that no image mount uses. A running container's clones of an image
/// that went missing from the table keep their device: the kernel frees it after the last of them.
fn loop_devices(host: &Host, receipt: &mut Receipt) {
    let devices = match loop_device::in_use() {
        Ok(devices) => devices,
        Err(error) => {
            receipt.note(Leftover::LoopDevice, "all", Err(error.to_string()));
            return;
        }
    };
    let ours = [
        host.layout.data.join("store"),
        host.layout.data.join("base"),
    ];
    let mounted: HashSet<PathBuf> = mountinfo::of_self()
        .unwrap_or_default()
        .into_iter()
        .map(|mount| PathBuf::from(mount.source))
        .collect();
    for found in devices {
        let in_store = ours.iter().any(|dir| found.file.starts_with(dir));
        if in_store && !mounted.contains(&found.device) {
            let done = loop_device::detach(&found.device).map_err(|error| error.to_string());
            let what = format!("{} over {}", found.device.display(), found.file.display());
            receipt.note(Leftover::LoopDevice, what, done);
        }
    }
}

fn veths(host: &Host, kept: &Kept, receipt: &mut Receipt) {
    let used: HashSet<String> = kept
        .iter()
        .map(|(instance, _)| host.layout.veth(instance))
        .collect();
    match links::ours(&host.layout) {
        Err(error) => receipt.note(Leftover::Veth, "all", Err(error.to_string())),
        Ok(names) => {
            for name in names.into_iter().filter(|name| !used.contains(name)) {
                let done = links::remove(&name).map_err(|error| error.to_string());
                receipt.note(Leftover::Veth, name, done);
            }
        }
    }
}

/// Takes off our bridge what is no link of a container: by now only links of those that run are there. It is taken off
/// and not removed, because its name is not ours.
fn bridge_ports(host: &Host, receipt: &mut Receipt) {
    match links::ports(&host.layout.bridge) {
        Err(error) => receipt.note(Leftover::BridgePort, "all", Err(error.to_string())),
        Ok(ports) => {
            let prefix = host.layout.veth_prefix();
            for (index, name) in ports {
                if !name.starts_with(&prefix) {
                    let done = links::take_off_bridge(index).map_err(|error| error.to_string());
                    receipt.note(Leftover::BridgePort, name, done);
                }
            }
        }
    }
}

fn cgroups(host: &Host, hierarchies: &Hierarchies, kept: &Kept, receipt: &mut Receipt) {
    for parent in [
        host.layout.cgroup_parent(),
        host.layout.monitor_cgroup_parent(),
    ] {
        let names: BTreeSet<String> = hierarchies
            .dirs(&parent)
            .flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten())
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            // Where liblxc's monitors end: it goes with its parent.
            .filter(|name| name != ENDED)
            .filter(|name| !kept.iter().any(|(instance, _)| instance.as_str() == name))
            .collect();
        for name in names {
            let path = format!("{parent}/{name}");
            let done = cgroup::remove(hierarchies, &path).map_err(|error| chain(&error));
            receipt.note(Leftover::Cgroup, path, done.map(|_| ()));
        }
    }
    lifecycle::remove_unused_parents(host, hierarchies);
}

fn layers(host: &Host, kept: &Kept, receipt: &mut Receipt) {
    let mut found: Vec<PathBuf> = Vec::new();
    for service in entries(&host.layout.services_dir()) {
        let instance = service
            .file_name()
            .and_then(|name| name.to_str())
            .map(Segment::new);
        let Some(Ok(instance)) = instance else {
            continue;
        };
        let Some((_, life)) = kept.iter().find(|(other, _)| *other == instance) else {
            let layers = [
                host.layout.root_dir(&instance),
                host.layout.sub_dir(&instance),
            ];
            found.extend(layers.into_iter().filter(|layer| layer.exists()));
            continue;
        };
        // Of a running container, the layers of subcontainers that never got mounted.
        let Ok(mounted) = subcontainer::guids_mounted(life) else {
            continue;
        };
        let layers = entries(&host.layout.sub_dir(&instance));
        found.extend(layers.into_iter().filter(|layer| {
            !layer
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|n| mounted.contains(n))
        }));
    }
    for layer in found {
        let done = remove_tree(&layer).map_err(|error| error.to_string());
        receipt.note(Leftover::Layer, layer.display().to_string(), done);
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

/// An error with its source, on one line.
fn chain(error: &StepError) -> String {
    format!("{error}: {}", error.source)
}

//! Trying what containers need of this host. Everything here blocks, and leaves nothing.

use std::{
    fs, io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

use coppice_remove_tree::remove_tree;
use nix::{
    sched::{CloneFlags, unshare},
    sys::statvfs::statvfs,
};

use crate::{
    Check,
    cgroup::{Hierarchies, Version},
    error::{Doing, StepError},
    lxc::{
        apparmor,
        host::{Host, on_own_thread},
        images, liblxc, lifecycle, links,
        prepare::check_prepared,
        root, seccomp,
    },
    sys::mount::Detached,
};

/// Ids that no server uses: the range below the first service's.
const TRIAL_IDS: u32 = 0x6FFF_0000;

/// Below this much free space on the data disk nothing should be installed.
const LEAST_FREE_BYTES: u64 = 2 << 30;

const NEWER_KERNEL: &str =
    "boot a kernel of 6.2 or newer (on Debian 12 from bookworm-backports; Debian 13 has one)";

/// Runs every check.
pub(crate) fn run(host: &Host) -> Vec<Check> {
    let mut checks = vec![kernel(), path(), root_user(), user_namespaces(host)];
    let trial = host
        .layout
        .data
        .join(format!(".preflight-{}", std::process::id()));
    checks.extend(mounts(host, &trial));
    if let Err(error) = remove_tree(&trial) {
        tracing::warn!(%error, dir = %trial.display(), "could not remove");
    }
    checks.extend(controllers());
    checks.extend([network(), nft(), lxc(), seccomp_list(), apparmor()]);
    checks.push(disk(&host.layout.data));
    checks
}

fn check(name: &str, outcome: Result<String, String>, next_step: &str) -> Check {
    let ok = outcome.is_ok();
    Check {
        name: name.to_owned(),
        ok,
        found: outcome.unwrap_or_else(|error| error),
        next_step: (!ok).then(|| next_step.to_owned()),
    }
}

fn say(error: &StepError) -> String {
    format!("{error}: {}", error.source)
}

fn kernel() -> Check {
    let release = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    let outcome = if at_least(&release, (6, 2)) {
        Ok(release)
    } else {
        Err(release)
    };
    check("Linux 6.2 or newer", outcome, NEWER_KERNEL)
}

fn at_least(release: &str, least: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= least
}

fn path() -> Check {
    let outcome = check_prepared()
        .map(|()| "none in PATH".to_owned())
        .map_err(|e| e.to_string());
    check(
        "no newuidmap in our way",
        outcome,
        "start Coppice through its own binary",
    )
}

fn root_user() -> Check {
    let uid = nix::unistd::geteuid();
    let outcome = if uid.is_root() {
        Ok("uid 0".to_owned())
    } else {
        Err(format!("uid {uid}"))
    };
    check("root", outcome, "run Coppice as root, or with sudo")
}

fn user_namespaces(host: &Host) -> Check {
    let outcome = host
        .range(TRIAL_IDS)
        .map(|_| "works".to_owned())
        .map_err(|error| say(&error));
    check(
        "user namespaces",
        outcome,
        "set the sysctls user.max_user_namespaces to 15000 and, where it exists, kernel.unprivileged_userns_clone to 1",
    )
}

/// The mounts of a container in small, each standing on the one before.
fn mounts(host: &Host, trial: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let outcome = on_own_thread("preflight", || {
        let outcome = try_mounts(host, trial, &mut checks);
        // The end of the thread would do it too, some time after it was joined.
        images::unmount(&host.layout.stage())
            .doing("take the trial mounts away")
            .and(outcome)
    });
    if let Err(error) = outcome {
        checks.push(check(
            "mounts",
            Err(say(&error)),
            "run as root on a machine of its own, not in a container",
        ));
    }
    checks
}

fn try_mounts(host: &Host, trial: &Path, checks: &mut Vec<Check>) -> Result<(), StepError> {
    let mut note = |name: &str, result: io::Result<()>, next_step: &str| {
        let outcome = result
            .map(|()| "works".to_owned())
            .map_err(|error| error.to_string());
        let ok = outcome.is_ok();
        checks.push(check(name, outcome, next_step));
        ok
    };
    let idmap = host.range(TRIAL_IDS)?;
    let stage = root::make_stage(&host.layout)?;
    fs::create_dir_all(trial).doing(format!("create {}", trial.display()))?;
    let image = trial.join("empty.squashfs");
    fs::write(&image, empty_squashfs()).doing(format!("write {}", image.display()))?;

    let squashfs = stage.join("squashfs");
    let mounted = fs::create_dir(&squashfs)
        .and_then(|()| images::mount_squashfs(&image))
        .and_then(|mount| mount.attach_at(&squashfs));
    if !note(
        "squashfs (zstd) on a loop device",
        mounted,
        "load the kernel modules loop and squashfs, and check that /dev/loop-control exists",
    ) {
        return Ok(());
    }
    let mapped = root::stage_layer(&stage, "mapped", &squashfs, idmap.as_fd())
        .and_then(|()| is_owned(&stage.join("mapped"), TRIAL_IDS));
    if !note("idmapped mount of a squashfs", mapped, NEWER_KERNEL) {
        return Ok(());
    }
    let disk = stage.join("disk");
    let mapped = Detached::clone_of(trial).and_then(|clone| {
        clone.change(0, 0, Some(idmap.as_fd()))?;
        fs::create_dir(&disk)?;
        clone.attach_at(&disk)?;
        is_owned(&disk, TRIAL_IDS)
    });
    let move_data = "put the data folder on ext4, xfs or btrfs (--data-dir)";
    note(
        "idmapped mount of the data folder's file system",
        mapped,
        move_data,
    );
    let over = root::make_upper(trial, TRIAL_IDS)
        .map_err(io::Error::other)
        .and_then(|()| {
            let target = stage.join("over");
            fs::create_dir(&target)?;
            root::overlay(&stage, &["mapped"], trial)?.attach_at(&target)?;
            fs::write(target.join("file"), b"x")?;
            is_owned(&target, TRIAL_IDS)
        });
    note("overlay over an idmapped squashfs", over, move_data);
    Ok(())
}

fn is_owned(path: &Path, owner: u32) -> io::Result<()> {
    let found = fs::metadata(path)?.uid();
    if found == owner {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "owner is {found}, should be {owner}"
        )))
    }
}

/// The smallest squashfs there is: an empty root directory of user 0. Its blocks are stored plain, but
/// it names zstd, so mounting it tells whether the kernel could read ours.
fn empty_squashfs() -> Vec<u8> {
    const SUPER_BLOCK: u64 = 96;
    const PLAIN: u16 = 0x8000;
    const NONE: u64 = u64::MAX;

    // Inode 1: basic directory, mode 0755, first id for user and group, time 0; no entries (size 3),
    // two links; the parent of the root is the inode after the last.
    let mut inode = Vec::new();
    for half in [1_u16, 0o755, 0, 0] {
        inode.extend(half.to_le_bytes());
    }
    for word in [0_u32, 1, 0, 2] {
        inode.extend(word.to_le_bytes());
    }
    inode.extend(3_u16.to_le_bytes());
    inode.extend(0_u16.to_le_bytes());
    inode.extend(2_u32.to_le_bytes());

    let mut tables = Vec::new();
    let mut block = |content: &[u8]| {
        let at = SUPER_BLOCK + tables.len() as u64;
        tables.extend((PLAIN | content.len() as u16).to_le_bytes());
        tables.extend(content);
        at
    };
    let inodes = block(&inode);
    let directories = block(&[0]);
    let ids = block(&0_u32.to_le_bytes());
    let id_index = SUPER_BLOCK + tables.len() as u64;
    tables.extend(ids.to_le_bytes());
    let used = SUPER_BLOCK + tables.len() as u64;

    let mut image = Vec::new();
    for word in [0x7371_7368_u32, 1, 0, 1 << 17, 0] {
        image.extend(word.to_le_bytes());
    }
    // zstd, block size as a power of two, everything plain and no fragments, one id, version 4.0.
    for half in [
        6_u16,
        17,
        0x0001 | 0x0002 | 0x0008 | 0x0010 | 0x0800,
        1,
        4,
        0,
    ] {
        image.extend(half.to_le_bytes());
    }
    for long in [0, used, id_index, NONE, inodes, directories, NONE, NONE] {
        image.extend(long.to_le_bytes());
    }
    image.extend(tables);
    image.resize(4096, 0);
    image
}

fn controllers() -> Vec<Check> {
    let hierarchies = match Hierarchies::detect() {
        Ok(hierarchies) => hierarchies,
        Err(error) => {
            return vec![check(
                "cgroups",
                Err(say(&error)),
                "mount cgroup2 at /sys/fs/cgroup",
            )];
        }
    };
    let found = hierarchies.describe();
    ["memory", "pids", "cpu"]
        .into_iter()
        .map(|name| {
            let version = found.iter().find(|(other, _)| other == name).map(|(_, version)| version);
            let outcome = match version {
                Some(Version::V1) => Ok("cgroup v1".to_owned()),
                Some(Version::V2) => Ok("cgroup v2".to_owned()),
                None => Err("in no mounted hierarchy".to_owned()),
            };
            check(
                &format!("cgroup controller {name}"),
                outcome,
                "add `cgroup_enable=memory` to the kernel's command line (Raspberry Pi OS turns memory off), or mount cgroup2",
            )
        })
        .collect()
}

fn network() -> Check {
    let outcome = on_own_thread("preflight", || {
        unshare(CloneFlags::CLONE_NEWNET).doing("make a network namespace")?;
        links::try_bridge_and_veth().doing("make a bridge with a veth")
    });
    check(
        "bridge and veth",
        outcome
            .map(|()| "works".to_owned())
            .map_err(|error| say(&error)),
        "load the kernel modules bridge and veth",
    )
}

fn nft() -> Check {
    let outcome = lifecycle::find_program("nft")
        .map(|file| file.display().to_string())
        .ok_or_else(|| "not found".to_owned());
    check("nftables", outcome, "apt install nftables")
}

fn lxc() -> Check {
    let version = liblxc::version();
    let outcome = if at_least(&version, (5, 0)) {
        Ok(version)
    } else {
        Err(version)
    };
    check("liblxc 5.0 or newer", outcome, "apt install liblxc1")
}

fn seccomp_list() -> Check {
    let list = seccomp::LIST;
    let outcome = if Path::new(list).exists() {
        Ok(list.to_owned())
    } else {
        Err(format!("{list} is missing"))
    };
    check(
        "liblxc's seccomp list",
        outcome,
        "apt install liblxc-common",
    )
}

fn apparmor() -> Check {
    let (outcome, next_step) = match apparmor::check() {
        Ok(found) => (Ok(found), ""),
        Err((missing, next_step)) => (Err(missing), next_step),
    };
    check("AppArmor", outcome, next_step)
}

fn disk(data: &Path) -> Check {
    let outcome = match statvfs(data) {
        Err(error) => Err(format!("{}: {error}", data.display())),
        Ok(disk) => {
            let free = disk.blocks_available() * disk.fragment_size();
            let text = format!("{} MiB free", free >> 20);
            if free >= LEAST_FREE_BYTES {
                Ok(text)
            } else {
                Err(text)
            }
        }
    };
    check(
        "2 GiB free for the data folder",
        outcome,
        "free some space, or choose another --data-dir",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(at_least("6.18.44-fc", (6, 2)));
        assert!(at_least("6.2", (6, 2)));
        assert!(at_least("10.0.1", (6, 2)));
        assert!(!at_least("6.1.0-18-amd64", (6, 2)));
        assert!(!at_least("", (6, 2)));
    }
}

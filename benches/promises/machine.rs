//! Mounts and network of the run's own, and what machine this is.

use std::fs;

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::{prctl::set_pdeathsig, signal::Signal, statfs::statfs},
};

use crate::{
    console::run,
    samples::{load, tell},
    scratch::Scratch,
};

/// Leaves the machine's mounts and links; the disk stays the machine's own, since it is measured.
pub(crate) fn isolate(scratch: &Scratch) {
    const NONE: Option<&str> = None;
    set_pdeathsig(Signal::SIGKILL).unwrap();
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
    mount(NONE, "/", NONE, MsFlags::MS_PRIVATE | MsFlags::MS_REC, NONE).unwrap();
    let aside = scratch.path("cgroup");
    fs::create_dir(&aside).unwrap();
    mount(
        Some("/sys/fs/cgroup"),
        &aside,
        NONE,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NONE,
    )
    .unwrap();
    umount2("/sys", MntFlags::MNT_DETACH).unwrap();
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), NONE).unwrap();
    // AppArmor's profiles go through it; a kernel without security modules may not have it.
    let _ = mount(
        Some("securityfs"),
        "/sys/kernel/security",
        Some("securityfs"),
        MsFlags::empty(),
        NONE,
    );
    mount(Some(&aside), "/sys/fs/cgroup", NONE, MsFlags::MS_MOVE, NONE).unwrap();
    mount(
        Some("run"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
    .unwrap();
    run("ip", &["link", "set", "lo", "up"]);
}

pub(crate) fn describe(scratch: &Scratch) {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let disk = statfs(&scratch.folder).map_or(0, |stat| stat.filesystem_type().0);
    let disk = match disk {
        0xef53 => "ext4".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        other => format!("file system {other:#x}"),
    };
    println!("machine");
    tell(
        "cores, kernel, disk",
        &format!("{cores}, {}, {disk}", kernel.trim()),
    );
    tell("load before", &load());
}

//! Mounts and links of this process's own, for a server that makes both.

use std::fs;

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

use crate::scratch::Scratch;

/// Leaves the machine's mounts and links. The new `/sys` shows the new links; the cgroups stay where
/// they were; `/run` begins empty, so no name in it meets another's.
pub(crate) fn enter(scratch: &Scratch) {
    const NONE: Option<&str> = None;
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
}

//! Mounts and links of this process's own, for whoever makes both, as a server and its containers do.
//!
//! The end-to-end tests and the benches have this file by its path.

use std::path::Path;

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

/// Takes this process, and so every thread and container to come, off the machine's mounts and links.
/// The new `/sys` shows the new links; the cgroups stay where they were (meanwhile they are at `aside`, an
/// empty folder); `/run` begins empty, so no name in it meets another's.
pub(crate) fn enter(aside: &Path) {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
    mount(NONE, "/", NONE, MsFlags::MS_PRIVATE | MsFlags::MS_REC, NONE).unwrap();
    mount(
        Some("/sys/fs/cgroup"),
        aside,
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
    mount(Some(aside), "/sys/fs/cgroup", NONE, MsFlags::MS_MOVE, NONE).unwrap();
    mount(
        Some("run"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
    .unwrap();
}

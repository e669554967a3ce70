//! Mounts and network of the run's own, and what machine this is.

use std::fs;

use nix::sys::{prctl::set_pdeathsig, signal::Signal, statfs::statfs};

use crate::{
    console::run,
    machine_of_its_own,
    samples::{load, tell},
    scratch::Scratch,
};

/// Leaves the machine's mounts and links; the disk stays the machine's own, since it is measured.
pub(crate) fn isolate(scratch: &Scratch) {
    set_pdeathsig(Signal::SIGKILL).unwrap();
    machine_of_its_own::enter(&scratch.mount_point());
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

//! What a container needs mounted, as far as whoever made it did not.
//!
//! Invariant: what is there already is left alone. Each mount that fails is one sentence for the
//! log; only `/proc` is indispensable, and without it the loop itself would say so.

use std::{fs, os::unix::fs::DirBuilderExt, path::Path};

use coppice_wire::paths::AGENT_RUN_DIR;
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{DEVPTS_SUPER_MAGIC, FsType, PROC_SUPER_MAGIC, TMPFS_MAGIC, statfs},
};

struct Needed {
    at: &'static str,
    kind: &'static str,
    magic: FsType,
    options: &'static str,
}

const SYSFS_MAGIC: FsType = FsType(0x6265_6572);

const NEEDED: [Needed; 5] = [
    Needed {
        at: "/proc",
        kind: "proc",
        magic: PROC_SUPER_MAGIC,
        options: "",
    },
    Needed {
        at: "/sys",
        kind: "sysfs",
        magic: SYSFS_MAGIC,
        options: "",
    },
    Needed {
        at: "/run",
        kind: "tmpfs",
        magic: TMPFS_MAGIC,
        options: "mode=755",
    },
    Needed {
        at: "/dev/pts",
        kind: "devpts",
        magic: DEVPTS_SUPER_MAGIC,
        options: "newinstance,ptmxmode=666,mode=620",
    },
    Needed {
        at: "/dev/shm",
        kind: "tmpfs",
        magic: TMPFS_MAGIC,
        options: "mode=1777",
    },
];

/// Mounts what is missing; returns a sentence for each that could not be.
pub(super) fn set_up() -> Vec<String> {
    let mut notes = Vec::new();
    // Subcontainers take slaves of this tree: only what is shared reaches them later.
    let shared = MsFlags::MS_REC | MsFlags::MS_SHARED;
    if let Err(error) = mount(None::<&str>, "/", None::<&str>, shared, None::<&str>) {
        notes.push(format!("could not share the mounts under /: {error}"));
    }
    for needed in &NEEDED {
        if statfs(needed.at).is_ok_and(|found| found.filesystem_type() == needed.magic) {
            continue;
        }
        // An existing directory is the usual case; a missing one shows in the mount below.
        let _ = fs::create_dir_all(needed.at);
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if needed.kind == "devpts" {
            flags.remove(MsFlags::MS_NODEV);
        }
        let made = mount(
            Some(needed.kind),
            needed.at,
            Some(needed.kind),
            flags,
            Some(needed.options),
        );
        if let Err(error) = made {
            notes.push(format!(
                "could not mount {} on {}: {error}",
                needed.kind, needed.at
            ));
        }
    }
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(AGENT_RUN_DIR);
    if let Err(error) = made {
        notes.push(format!("could not make {AGENT_RUN_DIR}: {error}"));
    }
    if !Path::new("/run/lock").exists() {
        let _ = fs::DirBuilder::new().mode(0o1777).create("/run/lock");
    }
    notes
}

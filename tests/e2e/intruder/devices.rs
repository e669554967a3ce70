//! Devices that were not granted.

use std::{fs::File, io::Read};

use crate::{
    Attempt, Outcome,
    sys::{self, any, c, last, mount_at},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "a_disk_by_a_node_of_ones_own",
        controlled: true,
        run: disk,
    },
    &Attempt {
        name: "memory_and_ports_by_nodes_of_ones_own",
        controlled: true,
        run: memory,
    },
    &Attempt {
        name: "a_node_in_an_image",
        controlled: true,
        run: of_an_image,
    },
    &Attempt {
        name: "a_node_in_an_image_mounted_anew",
        controlled: true,
        run: of_an_image_mounted_anew,
    },
];

const BLOCK: u32 = 0o060_600;
const CHARACTER: u32 = 0o020_600;

/// As `makedev` of the C library, for small numbers.
const fn device(major: u64, minor: u64) -> u64 {
    (major << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12)
}

fn open(path: &str) -> Result<String, String> {
    match File::open(path) {
        Ok(_) => Ok(format!("{path} was opened")),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

fn make_and_open(
    targets: &Targets,
    name: &str,
    kind: u32,
    device: u64,
) -> Vec<Result<String, String>> {
    let folders = [targets.get("folder"), "/dev", "/dev/shm", "/tmp"];
    folders
        .map(|folder| {
            let path = format!("{folder}/intruder-{name}");
            // SAFETY: a string that ends in NUL.
            let made = unsafe { sys::mknod(c(&path).as_ptr(), kind, device) };
            let opened = if made == 0 {
                open(&path)
            } else {
                Err(format!("mknod {path}: {}", last()))
            };
            let _ = std::fs::remove_file(&path);
            opened
        })
        .into()
}

fn disk(targets: &Targets) -> Outcome {
    let Some((major, minor)) = targets.get("disk").split_once(':') else {
        return Outcome::Absent("no disk".to_owned());
    };
    let number = |text: &str| text.parse().unwrap_or_default();
    any(make_and_open(
        targets,
        "disk",
        BLOCK,
        device(number(major), number(minor)),
    ))
}

fn memory(targets: &Targets) -> Outcome {
    let nodes = [("mem", 1), ("port", 4), ("kmsg", 11)];
    any(nodes
        .into_iter()
        .flat_map(|(name, minor)| make_and_open(targets, name, CHARACTER, device(1, minor))))
}

fn of_an_image(targets: &Targets) -> Outcome {
    any(targets.list("nodes").map(open))
}

/// The node's folder bound elsewhere, and the flags taken off.
fn of_an_image_mounted_anew(targets: &Targets) -> Outcome {
    let place = format!("{}/bound", targets.get("folder"));
    let _ = std::fs::create_dir(&place);
    any(targets.list("nodes").map(|node| {
        let (folder, name) = node.rsplit_once('/').ok_or("no folder")?;
        sys::leave_mounts()?;
        mount_at(folder, &place, "", sys::MS_BIND, "")?;
        mount_at("", &place, "", sys::MS_REMOUNT | sys::MS_BIND, "")?;
        let mut byte = [0];
        let path = format!("{place}/{name}");
        let read = File::open(&path).and_then(|mut file| file.read(&mut byte));
        read.map(|_| format!("{path} was read"))
            .map_err(|error| format!("{path}: {error}"))
    }))
}

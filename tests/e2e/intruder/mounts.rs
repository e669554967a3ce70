//! Mounts: file systems of the kernel's own, and what was mounted for reading only.

use std::fs;

use crate::{
    Attempt, Outcome,
    sys::{self, MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT, any, mount_at},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "file_systems_of_the_kernel",
        controlled: true,
        run: of_the_kernel,
    },
    &Attempt {
        name: "a_disk_mounted",
        controlled: true,
        run: disk,
    },
    &Attempt {
        name: "writing_where_reading_is_allowed",
        controlled: true,
        run: written,
    },
    &Attempt {
        name: "the_same_in_a_namespace_of_its_own",
        controlled: true,
        run: written_in_a_namespace,
    },
    &Attempt {
        name: "a_place_for_whoever_cannot_write",
        controlled: false,
        run: just_write,
    },
];

/// For the control: mounts of its own, in which one is for reading only.
pub fn leave_the_hosts_own(targets: &Targets) -> Result<(), String> {
    sys::leave_mounts()?;
    for folder in targets.list("readonly") {
        mount_at(folder, folder, "", MS_BIND, "")?;
        mount_at("", folder, "", MS_REMOUNT | MS_BIND | MS_RDONLY, "")?;
    }
    Ok(())
}

fn place(targets: &Targets) -> String {
    let place = format!("{}/mounted", targets.get("folder"));
    let _ = fs::create_dir(&place);
    place
}

fn of_the_kernel(targets: &Targets) -> Outcome {
    let kinds = [
        "devtmpfs",
        "debugfs",
        "tracefs",
        "securityfs",
        "configfs",
        "pstore",
        "efivarfs",
        "nfsd",
    ];
    any(kinds.map(|kind| {
        sys::leave_mounts()?;
        mount_at("none", &place(targets), kind, 0, "").map(|()| format!("{kind} was mounted"))
    }))
}

fn disk(targets: &Targets) -> Outcome {
    any(targets.list("nodes").flat_map(|node| {
        ["ext4", "squashfs"].map(|kind| {
            sys::leave_mounts()?;
            mount_at(node, &place(targets), kind, 0, "").map(|()| format!("{node} was mounted"))
        })
    }))
}

fn write_into(folder: &str) -> Result<String, String> {
    let path = format!("{folder}/intruder-was-here");
    let written = fs::write(&path, "");
    let _ = fs::remove_file(&path);
    written
        .map(|()| format!("{path} was written"))
        .map_err(|error| format!("{path}: {error}"))
}

fn just_write(targets: &Targets) -> Outcome {
    any(targets.list("readonly").map(write_into))
}

fn written(targets: &Targets) -> Outcome {
    // What gets through is not to change what others are told.
    if let Err(why) = sys::leave_mounts() {
        return Outcome::Refused(why);
    }
    any(targets
        .list("readonly")
        .flat_map(|folder| make_writable(targets, folder)))
}

fn written_in_a_namespace(targets: &Targets) -> Outcome {
    // SAFETY: an integer.
    if unsafe { sys::unshare(sys::CLONE_NEWUSER | sys::CLONE_NEWNS) } != 0 {
        return Outcome::Refused(format!("unshare: {}", sys::last()));
    }
    let map = |name: &str| fs::write(format!("/proc/self/{name}"), "0 0 1");
    let mapped = map("uid_map")
        .and_then(|()| fs::write("/proc/self/setgroups", "deny"))
        .and_then(|()| map("gid_map"));
    if let Err(error) = mapped {
        return Outcome::Refused(format!("ids: {error}"));
    }
    let tries = targets
        .list("readonly")
        .flat_map(|folder| make_writable(targets, folder));
    // Here, what was mounted before is locked for the host's root, too: that it works shows the rest.
    let works = mount_at("tmpfs", &place(targets), "tmpfs", 0, "");
    let control = targets.get("control") == "yes";
    any(tries
        .chain(control.then(|| works.map(|()| "a file system of its own was mounted".to_owned()))))
}

fn make_writable(targets: &Targets, folder: &str) -> [Result<String, String>; 4] {
    let place = place(targets);
    let there =
        || mount_at("", folder, "", MS_REMOUNT | MS_BIND, "").and_then(|()| write_into(folder));
    let elsewhere = || {
        mount_at(folder, &place, "", MS_BIND | MS_REC, "")?;
        mount_at("", &place, "", MS_REMOUNT | MS_BIND, "")?;
        write_into(&place)
    };
    let itself = || mount_at("", folder, "", MS_REMOUNT, "").and_then(|()| write_into(folder));
    let attribute = || {
        const AT_RECURSIVE: i32 = 0x8000;
        const AT_FDCWD: i32 = -100;
        // `struct mount_attr`: set, clear, propagation, user namespace.
        let change = [0_u64, 1, 0, 0];
        let target = sys::c(folder);
        // SAFETY: a string that ends in NUL, and a structure of the size that is passed with it.
        let done = unsafe {
            sys::syscall(
                442,
                AT_FDCWD,
                target.as_ptr(),
                AT_RECURSIVE,
                change.as_ptr(),
                size_of_val(&change),
            )
        };
        if done == 0 {
            write_into(folder)
        } else {
            Err(format!("mount_setattr: {}", sys::last()))
        }
    };
    [there(), elsewhere(), attribute(), itself()]
}

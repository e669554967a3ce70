//! Cgroups of others, and what a cgroup can have the kernel do.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use crate::{
    Attempt, Outcome,
    sys::{self, any, mount_at},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "cgroups_of_others",
        controlled: true,
        run: of_others,
    },
    &Attempt {
        name: "a_program_that_the_kernel_starts",
        controlled: true,
        run: release_agent,
    },
    &Attempt {
        name: "more_devices",
        controlled: true,
        run: devices,
    },
    &Attempt {
        name: "a_hierarchy_of_ones_own",
        controlled: true,
        run: hierarchy,
    },
];

/// Every hierarchy mounted anew, and what is tried on each.
fn each(targets: &Targets, attempt: impl Fn(&str) -> Result<String, String>) -> Outcome {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let controllers = text.lines().filter_map(|line| line.split(':').nth(1));
    any(controllers.map(|names| {
        sys::leave_mounts()?;
        let place = format!("{}/hierarchy", targets.get("folder"));
        let _ = fs::create_dir(&place);
        let (kind, options) = match names {
            "" => ("cgroup2", String::new()),
            name if name.starts_with("name=") => ("cgroup", format!("none,{name}")),
            names => ("cgroup", names.to_owned()),
        };
        mount_at("none", &place, kind, 0, &options)?;
        attempt(&place)
    }))
}

fn finds(folder: &Path, name: &str, depth: usize) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.any(|entry| {
        entry.file_name() == name || (depth > 0 && finds(&entry.path(), name, depth - 1))
    })
}

fn of_others(targets: &Targets) -> Outcome {
    each(targets, |place| {
        let found = [place, "/sys/fs/cgroup"]
            .into_iter()
            .find(|top| finds(Path::new(top), targets.get("neighbour"), 6));
        found.map_or(Err("none are seen".to_owned()), |top| {
            Ok(format!("seen below {top}"))
        })
    })
}

fn release_agent(targets: &Targets) -> Outcome {
    each(targets, |place| {
        let path = format!("{place}/release_agent");
        let before =
            fs::read_to_string(&path).map_err(|error| format!("release_agent: {error}"))?;
        // What stood there before, so nothing changes where it works.
        let written = OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(before.as_bytes()));
        written
            .map(|()| format!("{path} was written"))
            .map_err(|error| format!("release_agent: {error}"))
    })
}

fn devices(targets: &Targets) -> Outcome {
    let has = fs::read_to_string("/proc/self/cgroup")
        .unwrap_or_default()
        .contains(":devices:");
    if !has {
        return Outcome::Absent("no controller with files for devices".to_owned());
    }
    each(targets, |place| {
        let path = format!("{place}/devices.allow");
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|error| format!("{path}: {error}"))?;
        let written = file.write_all(b"a");
        sys::may("devices.allow", if written.is_ok() { 0 } else { -1 })
    })
}

fn hierarchy(targets: &Targets) -> Outcome {
    any([sys::leave_mounts().and_then(|()| {
        let place = format!("{}/hierarchy", targets.get("folder"));
        let _ = fs::create_dir(&place);
        // It goes with its last mount, which is this process's.
        mount_at("none", &place, "cgroup", 0, "none,name=intruder")
            .map(|()| "there is one".to_owned())
    })])
}

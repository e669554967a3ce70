//! What a run has left on the machine outside its namespaces, and its removal.
//!
//! Mounts, links and firewall went with the namespaces. Processes, cgroups, loop devices and the
//! folder did not: they are found by the run's folder and the ids of its servers.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    processes::{self, cgroups_named},
    scratch::{INSIDE, Scratch},
    until::{patiently, seconds},
};

const OFTEN: Duration = Duration::from_millis(20);

/// What is there now, in words.
pub(crate) fn find(scratch: &Scratch) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for pid in living(scratch) {
        found.insert(format!("process {pid}: {}", processes::command_line(pid)));
    }
    for group in cgroups(scratch) {
        found.insert(format!("cgroup {}", group.display()));
    }
    for (device, file) in loop_devices(scratch) {
        found.insert(format!("loop device {} over {file}", device.display()));
    }
    for id in &scratch.ids {
        for path in [
            format!("/run/coppice/{id}"),
            format!("/sys/class/net/cop{id}"),
        ] {
            if Path::new(&path).exists() {
                found.insert(path);
            }
        }
    }
    found
}

/// What is still there after a moment: namespaces and loop devices end a little after their last user.
pub(crate) fn find_settled(scratch: &Scratch) -> BTreeSet<String> {
    let settled = patiently(seconds(5), OFTEN, || find(scratch).is_empty().then_some(()));
    if settled.is_some() {
        BTreeSet::new()
    } else {
        find(scratch)
    }
}

/// Removes everything of the run; what cannot be removed is said and left.
pub(crate) fn remove(scratch: &Scratch) {
    // A process may fork while the list is read, so until nothing is left.
    let ended = patiently(seconds(15), OFTEN, || {
        let living = living(scratch);
        for pid in &living {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        living.is_empty().then_some(())
    });
    if ended.is_none() {
        eprintln!("e2e: these processes do not end: {:?}", living(scratch));
    }
    for group in cgroups(scratch) {
        remove_cgroup(&group);
    }
    let freed = patiently(seconds(5), OFTEN, || {
        loop_devices(scratch).is_empty().then_some(())
    });
    if freed.is_none() {
        for (device, _) in loop_devices(scratch) {
            let _ = Command::new("losetup")
                .arg("--detach")
                .arg(&device)
                .status();
        }
    }
    if let Err(error) = fs::remove_dir_all(&scratch.folder) {
        eprintln!("e2e: {} is left: {error}", scratch.folder.display());
    }
}

/// Processes that this run has started, and those in its containers, which have an environment of
/// their own.
fn living(scratch: &Scratch) -> BTreeSet<i32> {
    let own = std::process::id().cast_signed();
    let mark = format!("{INSIDE}={}", scratch.folder.display());
    let mut found: BTreeSet<i32> = processes::all()
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == mark.as_bytes())
        })
        .collect();
    for group in cgroups(scratch) {
        found.extend(processes::in_cgroup(&group));
    }
    found.remove(&own);
    found
}

fn cgroups(scratch: &Scratch) -> Vec<PathBuf> {
    let ours = |name: &str| {
        scratch.ids.iter().any(|id| {
            name.strip_prefix(&format!("coppice-{id}"))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    cgroups_named(ours)
}

fn remove_cgroup(group: &Path) {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_cgroup(&entry.path());
    }
    // A killed process leaves its cgroup a little after it is gone from the list.
    let removed = patiently(seconds(2), OFTEN, || match fs::remove_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => None,
        _ => Some(()),
    });
    if removed.is_none() {
        eprintln!("e2e: the cgroup {} is left", group.display());
    }
}

fn loop_devices(scratch: &Scratch) -> Vec<(PathBuf, String)> {
    let blocks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    blocks
        .filter_map(|block| {
            let file = fs::read_to_string(block.path().join("loop/backing_file")).ok()?;
            let file = file.trim_end().to_owned();
            // Files on the data disk are named as they were seen inside.
            scratch
                .contains(&file)
                .then(|| (Path::new("/dev").join(block.file_name()), file))
        })
        .collect()
}

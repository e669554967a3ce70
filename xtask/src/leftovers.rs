//! Removing every trace that a server left on this machine, also one that was shot.
//!
//! Works from names alone, which carry the server's short id: processes by their cgroup, mounts and loop devices by their
//! paths, then the bridge, the firewall table and the cgroups. Nothing of a server with another id is touched, and what is
//! not there is no error.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command;
use crate::stopwatch::Stopwatch;

/// Removes what the server `id` made outside its data folder.
pub(crate) fn remove(id: &str) -> Result<()> {
    let run = PathBuf::from("/run/coppice").join(id);
    let mut groups = cgroups(&format!("coppice-{id}"))?;
    groups.extend(cgroups(&format!("coppice-{id}.monitor"))?);
    end_processes(&groups)?;
    // Below the data folder only what containers were given is mounted, and that lies in their namespaces.
    unmount_below(&run)?;
    // Each may be gone already; what is left then is checked at the end.
    quietly("ip", &["link", "delete", &format!("cop{id}")])?;
    for family in ["inet", "bridge"] {
        let table = format!("coppice_{id}");
        quietly("nft", &["delete", "table", family, &table])?;
    }
    for group in groups.iter().rev() {
        match fs::remove_dir(group) {
            // The one it lay in, or the last of its processes, may have taken it along.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => {
                other.with_context(|| format!("cannot remove the cgroup {}", group.display()))?;
            }
        }
    }
    if run.exists() {
        fs::remove_dir_all(&run).with_context(|| format!("cannot remove {}", run.display()))?;
    }
    let bridge = PathBuf::from(format!("/sys/class/net/cop{id}"));
    ensure!(!bridge.exists(), "the bridge cop{id} could not be removed");
    Ok(())
}

/// Frees the loop devices whose files are below `folder`.
pub(crate) fn free_loop_devices(folder: &Path) -> Result<()> {
    for entry in fs::read_dir("/sys/block").context("cannot read /sys/block")? {
        let entry = entry?;
        let Ok(backing) = fs::read_to_string(entry.path().join("loop/backing_file")) else {
            continue;
        };
        // The kernel says so of a file that was removed while in use.
        let backing = backing.trim_end().trim_end_matches(" (deleted)");
        if Path::new(backing).starts_with(folder) {
            let device = Path::new("/dev").join(entry.file_name());
            command::run(command::as_root("losetup")?.arg("--detach").arg(device))?;
        }
    }
    Ok(())
}

/// The cgroups named `name` with all below them, parents first, in every hierarchy.
fn cgroups(name: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let top = Path::new("/sys/fs/cgroup");
    let mut tops = vec![top.join(name)];
    for controller in fs::read_dir(top).context("cannot read /sys/fs/cgroup")? {
        tops.push(controller?.path().join(name));
    }
    // Hierarchies that are mounted together appear under several names.
    let mut tops: Vec<_> = tops
        .into_iter()
        .filter_map(|top| top.canonicalize().ok())
        .collect();
    tops.sort();
    tops.dedup();
    for top in tops {
        collect_folders(&top, &mut found)?;
    }
    Ok(found)
}

fn collect_folders(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    found.push(folder.to_owned());
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect_folders(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// How long killed processes may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Kills until nothing is left: a process may fork while the list is read.
fn end_processes(groups: &[PathBuf]) -> Result<()> {
    let watch = Stopwatch::start();
    loop {
        let mut living = Vec::new();
        for group in groups {
            let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            living.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        if living.is_empty() {
            return Ok(());
        }
        ensure!(
            watch.elapsed() < GONE_WITHIN,
            "processes {living:?} were killed and are still there"
        );
        for pid in living {
            match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot kill process {pid}"));
                }
            }
        }
        a_moment();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a cgroup of version 1 tells nobody when it is empty"
)]
fn a_moment() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Ends whoever holds the lock on the data folder, and waits until the lock is free: a server that does not answer.
pub(crate) fn end_server(data: &Path) -> Result<()> {
    let lock = data.join("lock");
    let Ok(file) = fs::File::open(&lock) else {
        return Ok(());
    };
    for process in fs::read_dir("/proc").context("cannot read /proc")? {
        let process = process?;
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // It may have ended meanwhile, or be a kernel thread.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = descriptors
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == lock));
        if holds && pid != Pid::this().as_raw() {
            kill(Pid::from_raw(pid), Signal::SIGKILL)
                .with_context(|| format!("cannot kill process {pid}"))?;
        }
    }
    file.lock()
        .with_context(|| format!("cannot wait for {}", lock.display()))
}

fn unmount_below(folder: &Path) -> Result<()> {
    let table =
        fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
    // The newest first: a mount lies on older ones.
    for target in mount_points(&table).rev() {
        if target.starts_with(folder) {
            umount2(&target, MntFlags::MNT_DETACH)
                .with_context(|| format!("cannot unmount {}", target.display()))?;
        }
    }
    Ok(())
}

/// The fifth field of each line, with the kernel's escapes for space, tab, line end and backslash undone.
fn mount_points(table: &str) -> impl DoubleEndedIterator<Item = PathBuf> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|field| {
            let plain = [
                ("\\040", " "),
                ("\\011", "\t"),
                ("\\012", "\n"),
                ("\\134", "\\"),
            ];
            PathBuf::from(plain.iter().fold(field.to_owned(), |text, (code, sign)| {
                text.replace(code, sign)
            }))
        })
}

fn quietly(program: &str, arguments: &[&str]) -> Result<()> {
    let mut command = command::as_root(program)?;
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .status()
        .with_context(|| format!("cannot start `{program}`"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_spaces() {
        let table = "36 35 98:0 /a /mnt rw,noatime master:1 - ext3 /dev/root rw\n37 35 0:5 / /my\\040disk rw - tmpfs t rw\n";
        let points: Vec<_> = mount_points(table).collect();
        assert_eq!(points, [PathBuf::from("/mnt"), PathBuf::from("/my disk")]);
    }
}

//! Killing the members of a cgroup and removing it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    cgroup::Hierarchies,
    error::{Doing, StepError},
    sys::pidfd::PidFd,
};

/// How many times the members are listed and killed. A fork between listing and killing needs one
/// more round each; a container's pid 1 is dead by now, so nothing forks for long.
const ROUNDS: usize = 50;

/// Longest wait for one round's processes to end, after SIGKILL.
const ROUND_WAIT: Duration = Duration::from_millis(200);

/// Pids in `path` and below, in any hierarchy.
pub(crate) fn members(hierarchies: &Hierarchies, path: &str) -> BTreeSet<i32> {
    hierarchies
        .dirs(path)
        .flat_map(|dir| tree(&dir))
        .flat_map(|dir| procs(&dir))
        .collect()
}

/// Kills everything in `path` and below, in every hierarchy, and removes it. Returns whether there
/// was anything.
pub(crate) fn remove(hierarchies: &Hierarchies, path: &str) -> Result<bool, StepError> {
    let dirs: Vec<PathBuf> = hierarchies.dirs(path).filter(|dir| dir.is_dir()).collect();
    if dirs.is_empty() {
        return Ok(false);
    }
    for _ in 0..ROUNDS {
        let pids = members(hierarchies, path);
        if pids.is_empty() {
            break;
        }
        kill_all(hierarchies, path, &pids);
    }
    for dir in &dirs {
        // Deepest first: `tree` lists a directory before what is in it.
        for dir in tree(dir).into_iter().rev() {
            remove_dir(&dir).doing(format!("remove cgroup {}", dir.display()))?;
        }
    }
    Ok(true)
}

fn kill_all(hierarchies: &Hierarchies, path: &str, pids: &BTreeSet<i32>) {
    let handles: Vec<(i32, PidFd)> = pids
        .iter()
        .filter_map(|pid| Some((*pid, PidFd::open(*pid).ok()?)))
        .collect();
    // Between the listing and the opening a pid may have passed to a stranger: only those still
    // listed now are what the descriptor stands for.
    let still = members(hierarchies, path);
    for (_, process) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
        // It may be gone already, which is what we want.
        let _ = process.signal(libc::SIGKILL);
    }
    for (_, process) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
        // A process that takes longer is met again in the next round.
        let _ = process.wait(ROUND_WAIT);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "cgroup v1 has no event for the end of being busy"
)]
fn remove_dir(dir: &Path) -> io::Result<()> {
    for _ in 0..ROUNDS {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // For a moment after its last process ended.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
    fs::remove_dir(dir)
}

fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut ahead = vec![dir.to_owned()];
    while let Some(dir) = ahead.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        ahead.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
        found.push(dir);
    }
    found
}

fn procs(dir: &Path) -> Vec<i32> {
    fs::read_to_string(dir.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect()
}

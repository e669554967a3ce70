//! Processes as the host sees them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A process, told from a later one with the same number by when it was started.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// In clock ticks since boot.
    pub(crate) started: u64,
    /// Its program, as it was called: `postgres`, and `postgres:` for those that PostgreSQL starts.
    pub(crate) name: String,
}

impl Process {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may itself hold blanks and parentheses, and threads change it.
        let (_, rest) = stat.rsplit_once(')')?;
        let called = command_line(pid);
        let name = called.split(' ').next()?.rsplit('/').next()?.to_owned();
        let mut fields = rest.split_whitespace();
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        let started = fields.nth(18)?.parse().ok()?;
        Some(Self { pid, started, name })
    }

    pub(crate) fn lives(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// kill -9.
    pub(crate) fn shoot(&self) {
        assert!(self.try_shoot(), "{self:?} is gone already");
    }

    /// The same of one that may be gone; tells whether it was there.
    pub(crate) fn try_shoot(&self) -> bool {
        self.lives() && kill(Pid::from_raw(self.pid), Signal::SIGKILL).is_ok()
    }
}

/// What a variable of its environment said when it was started.
pub(crate) fn told_at_start(process: &Process, variable: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{}/environ", process.pid)).ok()?;
    let all = String::from_utf8_lossy(&bytes);
    let mut values = all
        .split('\0')
        .filter_map(|one| one.strip_prefix(variable)?.strip_prefix('='));
    values.next().map(str::to_owned)
}

/// The parent of a process that has ended and was not waited for.
pub(crate) fn parent_of_ended(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    (fields.next()? == "Z").then_some(())?;
    fields.next()?.parse().ok()
}

pub(crate) fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

pub(crate) fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// The child of `parent` whose first argument is `argument`.
pub(crate) fn child(parent: i32, argument: &str) -> Option<Process> {
    all().find_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let found: i32 = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()?;
        let is_it = found == parent && command_line(pid).split(' ').nth(1) == Some(argument);
        if is_it { Process::of(pid) } else { None }
    })
}

/// The processes of a service, in every cgroup below its own.
pub(crate) fn of_service(short: &str, instance: &str) -> Vec<Process> {
    let pids: BTreeSet<i32> = cgroups_named(|name| name == format!("coppice-{short}"))
        .iter()
        .flat_map(|group| in_cgroup(&group.join(instance)))
        .collect();
    pids.into_iter().filter_map(Process::of).collect()
}

/// The number that a process has in its own container.
pub(crate) fn number_inside(process: &Process) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    status.lines().find_map(|line| {
        line.strip_prefix("NSpid:")?
            .split_whitespace()
            .last()?
            .parse()
            .ok()
    })
}

/// Process numbers in a cgroup and all below it.
pub(crate) fn in_cgroup(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    found.extend(folders(group).iter().flat_map(|below| in_cgroup(below)));
    found
}

/// Cgroups with a fitting name, in every hierarchy, wherever this machine lets them begin.
pub(crate) fn cgroups_named(fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    fn walk(group: &Path, depth: usize, fits: &dyn Fn(&str) -> bool, found: &mut Vec<PathBuf>) {
        for below in folders(group) {
            let name = below
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if fits(&name) {
                found.push(below);
            } else if depth > 0 {
                walk(&below, depth - 1, fits, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), 3, &fits, &mut found);
    found
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

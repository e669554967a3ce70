//! Cgroup leaves inside the container.
//!
//! The host sets limits above us and gives us a cgroup namespace whose root is ours to divide.
//! Invariant: the root itself holds no process once [`Cgroups::set_up`] is done (v2 would refuse
//! to count otherwise); the agent is in `agent`, everything it starts in a leaf of its own.
//!
//! v1 means one hierarchy per controller, each with its own copy of every leaf; v2 is one
//! hierarchy; a machine may have both at once. What cannot be used (not delegated, not mounted) is
//! left out and said once: a container without a hierarchy works and counts less.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const MOUNT: &str = "/sys/fs/cgroup";
/// The agent's own leaf.
pub(super) const AGENT_LEAF: &str = "agent";

#[derive(Debug, thiserror::Error)]
pub(super) enum CgroupError {
    #[error("could not make the cgroup leaf {leaf} in {}", hierarchy.display())]
    Make {
        leaf: String,
        hierarchy: PathBuf,
        source: io::Error,
    },
    #[error("could not move process {pid} into the cgroup leaf {leaf} in {}", hierarchy.display())]
    Place {
        pid: i32,
        leaf: String,
        hierarchy: PathBuf,
        source: io::Error,
    },
}

#[derive(Debug, Default)]
pub(super) struct Cgroups {
    hierarchies: Vec<Hierarchy>,
}

#[derive(Debug)]
struct Hierarchy {
    root: PathBuf,
    /// Comma-separated controllers of v1; `None` is v2.
    v1: Option<String>,
}

impl Cgroups {
    /// Mounts every hierarchy this process is in and moves it into the leaf `agent` of each.
    /// Returns what is usable, and a sentence for each that is not.
    pub(super) fn set_up() -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let lines: Vec<(&str, &str)> = text.lines().filter_map(split_line).collect();
        let only_v2 = lines.iter().all(|(controllers, _)| controllers.is_empty());
        let prepared = lines
            .iter()
            .any(|(controllers, inner)| is_ours(&mount_point(controllers, only_v2), inner));
        if !prepared {
            // A fresh one: what is there may be our maker's own, with hierarchies that are not ours, and the same
            // hierarchy is not mounted a second time in the same place.
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            let made = mount(Some("tmpfs"), MOUNT, Some("tmpfs"), flags, Some("mode=755"));
            if let Err(error) = made {
                notes.push(format!("could not mount a tmpfs on {MOUNT}: {error}"));
            }
        }
        let mut cgroups = Self::default();
        for (controllers, inner) in lines {
            match Hierarchy::open(controllers, inner, only_v2) {
                Ok(hierarchy) => cgroups.hierarchies.push(hierarchy),
                Err((what, error)) => {
                    let name = if controllers.is_empty() {
                        "v2"
                    } else {
                        controllers
                    };
                    notes.push(format!("cgroup {name} is not used: {what}: {error}"));
                }
            }
        }
        (cgroups, notes)
    }

    /// Makes the leaf where it is missing.
    pub(super) fn make(&self, leaf: &str) -> Result<(), CgroupError> {
        for hierarchy in &self.hierarchies {
            hierarchy.make(leaf).map_err(|source| CgroupError::Make {
                leaf: leaf.to_owned(),
                hierarchy: hierarchy.root.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Moves a process into a leaf that exists.
    pub(super) fn place(&self, pid: i32, leaf: &str) -> Result<(), CgroupError> {
        for hierarchy in &self.hierarchies {
            hierarchy
                .place(pid, leaf)
                .map_err(|source| CgroupError::Place {
                    pid,
                    leaf: leaf.to_owned(),
                    hierarchy: hierarchy.root.clone(),
                    source,
                })?;
        }
        Ok(())
    }

    /// Out-of-memory kills counted in a leaf; `None` where nothing counts them.
    pub(super) fn oom_kills(&self, leaf: &str) -> Option<u64> {
        let counting = |one: &&Hierarchy| one.v1.is_none() || one.controls("memory");
        self.hierarchies
            .iter()
            .filter(counting)
            .find_map(|hierarchy| {
                let file = match hierarchy.v1 {
                    Some(_) => "memory.oom_control",
                    None => "memory.events",
                };
                let text = fs::read_to_string(hierarchy.root.join(leaf).join(file)).ok()?;
                text.lines()
                    .find_map(|line| line.strip_prefix("oom_kill "))?
                    .trim()
                    .parse()
                    .ok()
            })
    }

    /// Every process in a leaf or below it.
    pub(super) fn pids(&self, leaf: &str) -> BTreeSet<i32> {
        let mut pids = BTreeSet::new();
        for hierarchy in &self.hierarchies {
            visit(&hierarchy.root.join(leaf), &mut |dir| {
                let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
                pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
            });
        }
        pids
    }

    /// SIGKILLs everything in a leaf, once; returns who was signalled. New children may have
    /// slipped through on v1 without a freezer: the caller repeats until the leaf is empty.
    pub(super) fn kill(&self, leaf: &str) -> BTreeSet<i32> {
        let freezers: Vec<PathBuf> = self
            .hierarchies
            .iter()
            .filter(|hierarchy| hierarchy.controls("freezer"))
            .map(|hierarchy| hierarchy.root.join(leaf).join("freezer.state"))
            .collect();
        // Frozen processes cannot fork, so what is listed is all there is; the signal takes effect
        // when they thaw.
        for freezer in &freezers {
            let _ = fs::write(freezer, "FROZEN");
        }
        let mut pids = self.pids(leaf);
        // 0 is a process outside our pid namespace, 1 is ourselves: neither is ever ours to kill.
        pids.retain(|pid| *pid > 1);
        for hierarchy in self
            .hierarchies
            .iter()
            .filter(|hierarchy| hierarchy.v1.is_none())
        {
            let _ = fs::write(hierarchy.root.join(leaf).join("cgroup.kill"), "1");
        }
        for pid in &pids {
            // Gone already is what we want.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        for freezer in &freezers {
            let _ = fs::write(freezer, "THAWED");
        }
        pids
    }

    /// Removes an empty leaf and what is below it; one that is still busy stays.
    pub(super) fn remove(&self, leaf: &str) {
        for hierarchy in &self.hierarchies {
            let mut dirs = Vec::new();
            visit(&hierarchy.root.join(leaf), &mut |dir| {
                dirs.push(dir.to_owned())
            });
            for dir in dirs.iter().rev() {
                let _ = fs::remove_dir(dir);
            }
        }
    }

    /// Names of the leaves a process is in, one per hierarchy, as this container counts.
    pub(super) fn leaves_of(pid: i32) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        text.lines()
            .filter_map(split_line)
            .filter_map(|(_, path)| path.trim_start_matches('/').split('/').next())
            .filter(|leaf| !leaf.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl Hierarchy {
    fn open(
        controllers: &str,
        inner: &str,
        only_v2: bool,
    ) -> Result<Self, (&'static str, io::Error)> {
        let v1 = (!controllers.is_empty()).then(|| controllers.to_owned());
        let at = mount_point(controllers, only_v2);
        if !is_ours(&at, inner) {
            mount_at(&at, v1.as_deref()).map_err(|error| ("mounting it", error))?;
        }
        let hierarchy = Self {
            root: at.join(inner.trim_start_matches('/')),
            v1,
        };
        hierarchy
            .make(AGENT_LEAF)
            .map_err(|error| ("making a leaf", error))?;
        hierarchy
            .place(std::process::id().cast_signed(), AGENT_LEAF)
            .map_err(|error| ("moving into a leaf", error))?;
        hierarchy.enable_controllers();
        Ok(hierarchy)
    }

    fn controls(&self, controller: &str) -> bool {
        self.v1
            .as_ref()
            .is_some_and(|all| all.split(',').any(|one| one == controller))
    }

    /// v2: what leaves may count. A controller that cannot be enabled is simply not counted.
    fn enable_controllers(&self) {
        if self.v1.is_some() {
            return;
        }
        let all = fs::read_to_string(self.root.join("cgroup.controllers")).unwrap_or_default();
        for controller in all.split_whitespace() {
            let _ = fs::write(
                self.root.join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
    }

    fn make(&self, leaf: &str) -> io::Result<()> {
        let dir = self.root.join(leaf);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if self.controls("cpuset") {
            // v1 gives a new cpuset nothing, and refuses processes until it has something. Each write
            // makes the kernel think about every processor, so what is there already stays.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let has = fs::read_to_string(dir.join(file))?;
                if !has.trim().is_empty() {
                    continue;
                }
                let given = fs::read_to_string(self.root.join(file))?;
                fs::write(dir.join(file), given)?;
            }
        }
        Ok(())
    }

    fn place(&self, pid: i32, leaf: &str) -> io::Result<()> {
        fs::write(self.root.join(leaf).join("cgroup.procs"), pid.to_string())
    }
}

/// `hierarchy:controllers:path`, without the number.
fn split_line(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.splitn(3, ':').skip(1);
    Some((parts.next()?, parts.next()?))
}

/// Where a hierarchy is mounted, as everyone expects it.
fn mount_point(controllers: &str, only_v2: bool) -> PathBuf {
    let root = Path::new(MOUNT);
    match (controllers, only_v2) {
        ("", true) => root.to_owned(),
        ("", false) => root.join("unified"),
        (controllers, _) => root.join(controllers.strip_prefix("name=").unwrap_or(controllers)),
    }
}

/// Whether the hierarchy is mounted there already, as our namespace sees it: then we are listed.
fn is_ours(at: &Path, inner: &str) -> bool {
    let procs = at.join(inner.trim_start_matches('/')).join("cgroup.procs");
    let me = std::process::id().to_string();
    fs::read_to_string(procs).is_ok_and(|pids| pids.lines().any(|pid| pid == me))
}

fn mount_at(at: &Path, v1: Option<&str>) -> io::Result<()> {
    fs::create_dir_all(at)?;
    let kind = if v1.is_some() { "cgroup" } else { "cgroup2" };
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(kind), at, Some(kind), flags, v1)?;
    Ok(())
}

/// A directory and all below it, parents first.
fn visit(dir: &Path, each: &mut impl FnMut(&Path)) {
    if !dir.is_dir() {
        return;
    }
    each(dir);
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            visit(&entry.path(), each);
        }
    }
}

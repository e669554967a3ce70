//! Which hierarchies this host has mounted, and where our paths lie in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::{Doing, StepError},
    sys::mountinfo,
};

/// The two interfaces of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    /// v1: controllers and `name=`; v2: what `cgroup.controllers` lists.
    controllers: Vec<String>,
    /// Mount point joined with the cgroup of pid 1, below which our cgroups lie.
    base: PathBuf,
}

/// All mounted hierarchies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Reads what is mounted now.
    pub(crate) fn detect() -> Result<Self, StepError> {
        let mounts = mountinfo::of_self().doing("read /proc/self/mountinfo")?;
        let memberships = fs::read_to_string("/proc/1/cgroup").doing("read /proc/1/cgroup")?;
        let mut found: Vec<Hierarchy> = Vec::new();
        for mount in mounts {
            let version = match mount.fs_type.as_str() {
                "cgroup" => Version::V1,
                "cgroup2" => Version::V2,
                _ => continue,
            };
            // A hierarchy may be mounted several times (`cpu,cpuacct` and links to it): once is enough.
            let controllers = match version {
                Version::V1 => v1_controllers(&mount.super_options),
                Version::V2 => fs::read_to_string(mount.target.join("cgroup.controllers"))
                    .doing(format!(
                        "read the controllers of {}",
                        mount.target.display()
                    ))?
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
            };
            let base = base_of(&memberships, version, &controllers);
            let hierarchy = Hierarchy {
                version,
                controllers,
                base: below(&mount.target, Path::new(&base)),
            };
            let seen = found.iter().any(|other| {
                other.version == version
                    && (version == Version::V2 || other.controllers == hierarchy.controllers)
            });
            if !seen {
                found.push(hierarchy);
            }
        }
        Ok(Self(found))
    }

    /// Our path in the hierarchy that has `controller`, and which interface that is.
    pub(crate) fn controller(&self, controller: &str, path: &str) -> Option<(Version, PathBuf)> {
        self.0
            .iter()
            .find(|hierarchy| hierarchy.controllers.iter().any(|name| name == controller))
            .map(|hierarchy| (hierarchy.version, hierarchy.base.join(path)))
    }

    /// Which interface can limit the children of `parent` with `controller`, if any. On v2 the parent has
    /// to pass it on, which [`delegate`](Self::delegate) may have found impossible.
    pub(crate) fn limiting(&self, controller: &str, parent: &str) -> Option<Version> {
        let (version, dir) = self.controller(controller, parent)?;
        let passed_on = || {
            let list = fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
            list.split_whitespace().any(|name| name == controller)
        };
        (version == Version::V1 || passed_on()).then_some(version)
    }

    /// Our path in every hierarchy, whether it exists there or not.
    pub(crate) fn dirs(&self, path: &str) -> impl Iterator<Item = PathBuf> {
        self.0
            .iter()
            .map(move |hierarchy| hierarchy.base.join(path))
    }

    /// On v2, lets the children of `path` have the controllers we use; makes the path itself.
    ///
    /// A controller that cannot be enabled is left out: its limits are then not set and its usage is
    /// absent.
    pub(crate) fn delegate(&self, path: &str) -> Result<(), StepError> {
        for hierarchy in self
            .0
            .iter()
            .filter(|hierarchy| hierarchy.version == Version::V2)
        {
            let dir = hierarchy.base.join(path);
            fs::create_dir_all(&dir).doing(format!("create cgroup {}", dir.display()))?;
            for controller in ["memory", "pids", "cpu", "io"] {
                if !hierarchy.controllers.iter().any(|name| name == controller) {
                    continue;
                }
                let mut above = hierarchy.base.clone();
                for step in [""].into_iter().chain(path.split('/')) {
                    above.push(step);
                    enable(&above, controller).unwrap_or_else(|error| {
                        tracing::debug!(%error, controller, dir = %above.display(), "controller not delegated");
                    });
                }
            }
        }
        Ok(())
    }

    /// Names of the controllers found, with the interface each is on.
    pub(crate) fn describe(&self) -> Vec<(String, Version)> {
        self.0
            .iter()
            .flat_map(|hierarchy| {
                hierarchy
                    .controllers
                    .iter()
                    .map(|name| (name.clone(), hierarchy.version))
            })
            .collect()
    }
}

fn enable(dir: &Path, controller: &str) -> io::Result<()> {
    fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"))
}

fn below(mount: &Path, base: &Path) -> PathBuf {
    mount.join(base.strip_prefix("/").unwrap_or(base))
}

fn v1_controllers(super_options: &str) -> Vec<String> {
    const NOT_CONTROLLERS: [&str; 6] = [
        "rw",
        "ro",
        "clone_children",
        "xattr",
        "noprefix",
        "release_agent",
    ];
    super_options
        .split(',')
        .filter(|option| {
            !NOT_CONTROLLERS
                .iter()
                .any(|other| option.starts_with(other))
        })
        .map(str::to_owned)
        .collect()
}

/// The cgroup of pid 1 in this hierarchy; liblxc puts containers below the same one.
fn base_of(memberships: &str, version: Version, controllers: &[String]) -> String {
    let path = memberships.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = match version {
            Version::V2 => id == "0" && names.is_empty(),
            Version::V1 => names
                .split(',')
                .any(|name| controllers.iter().any(|c| c == name)),
        };
        ours.then_some(path)
    });
    // systemd keeps itself in a leaf of its own, beside which everything else is.
    let path = path.unwrap_or("/");
    path.strip_suffix("/init.scope").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_where_pid_1_sits_without_systemds_own_leaf() {
        let memberships =
            "4:memory:/\n2:cpu,cpuacct:/host\n1:name=systemd:/init.scope\n0::/init.scope\n";
        let v1 = |name: &str| base_of(memberships, Version::V1, &[name.to_owned()]);
        assert_eq!(v1("memory"), "/");
        assert_eq!(v1("cpuacct"), "/host");
        assert_eq!(v1("name=systemd"), "");
        assert_eq!(base_of(memberships, Version::V2, &[]), "");
        assert_eq!(
            below(Path::new("/sys/fs/cgroup"), Path::new("")),
            Path::new("/sys/fs/cgroup")
        );
    }

    #[test]
    fn only_a_controller_that_the_parent_passes_on_can_limit_on_v2() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ours")).unwrap();
        fs::write(
            dir.path().join("ours/cgroup.subtree_control"),
            "pids memory\n",
        )
        .unwrap();
        let hierarchies = |version| {
            Hierarchies(vec![Hierarchy {
                version,
                controllers: vec!["memory".to_owned(), "cpu".to_owned()],
                base: dir.path().to_owned(),
            }])
        };
        let v2 = hierarchies(Version::V2);
        assert_eq!(v2.limiting("memory", "ours"), Some(Version::V2));
        assert_eq!(v2.limiting("cpu", "ours"), None, "not passed on");
        assert_eq!(v2.limiting("pids", "ours"), None, "not there at all");
        let v1 = hierarchies(Version::V1);
        assert_eq!(v1.limiting("cpu", "ours"), Some(Version::V1));
    }

    #[test]
    fn mount_options_are_not_controllers() {
        assert_eq!(v1_controllers("rw,cpu,cpuacct"), ["cpu", "cpuacct"]);
        assert_eq!(v1_controllers("rw,xattr,name=systemd"), ["name=systemd"]);
    }
}

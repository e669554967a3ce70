//! Where things lie on the host. Every name carries the short id of the data folder, so that two
//! servers can run side by side.

use std::path::{Path, PathBuf};

use crate::Segment;

/// Beside the monitors' cgroups; no instance can have this name.
pub(crate) const ENDED: &str = ".ended";

/// Names and folders of one server on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLayout {
    /// The data folder's short id: 6 lower-case base32 characters.
    pub short: Segment,
    /// `/run/coppice/<SHORT>`.
    pub run: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// Name of our bridge.
    pub bridge: String,
}

impl HostLayout {
    /// The usual layout: `/run/coppice/<short>` and bridge `cop<short>`.
    #[must_use]
    pub fn new(short: Segment, data: impl Into<PathBuf>) -> Self {
        Self {
            run: Path::new("/run/coppice").join(&short),
            bridge: format!("cop{short}"),
            data: data.into(),
            short,
        }
    }

    /// Name of an instance's LXC container.
    #[must_use]
    pub fn container_name(&self, instance: &Segment) -> String {
        format!("{}-{instance}", self.short)
    }

    /// Where liblxc keeps containers.
    #[must_use]
    pub fn lxc_path(&self) -> PathBuf {
        self.run.join("lxc")
    }

    pub(crate) fn container_dir(&self, instance: &Segment) -> PathBuf {
        self.lxc_path().join(self.container_name(instance))
    }

    /// The instance whose container directory has this name.
    pub(crate) fn instance_of(&self, container_name: &str) -> Option<Segment> {
        let instance = container_name
            .strip_prefix(self.short.as_str())?
            .strip_prefix('-')?;
        Segment::new(instance).ok()
    }

    pub(crate) fn images_dir(&self) -> PathBuf {
        self.run.join("mnt/img")
    }

    /// Where a container's mounts are put together, in a mount namespace of its own: on the host this is
    /// always an empty directory.
    pub(crate) fn stage(&self) -> PathBuf {
        self.run.join("mnt/stage")
    }

    pub(crate) fn services_dir(&self) -> PathBuf {
        self.data.join("services")
    }

    /// Throw-away upper layer of a container's root.
    pub(crate) fn root_dir(&self, instance: &Segment) -> PathBuf {
        self.services_dir().join(instance).join("root")
    }

    /// Throw-away upper layers of its subcontainers, one directory per guid.
    pub(crate) fn sub_dir(&self, instance: &Segment) -> PathBuf {
        self.services_dir().join(instance).join("sub")
    }

    /// Cgroup, below every hierarchy's base, that holds all containers of this server.
    #[must_use]
    pub fn cgroup_parent(&self) -> String {
        format!("coppice-{}", self.short)
    }

    /// Cgroup that holds an instance's limits; its child `ns` is the root the container sees.
    #[must_use]
    pub fn cgroup(&self, instance: &Segment) -> String {
        format!("{}/{instance}", self.cgroup_parent())
    }

    pub(crate) fn monitor_cgroup_parent(&self) -> String {
        format!("coppice-{}.monitor", self.short)
    }

    pub(crate) fn monitor_cgroup(&self, instance: &Segment) -> String {
        format!("{}/{instance}", self.monitor_cgroup_parent())
    }

    /// Where liblxc's monitors move to when they end.
    pub(crate) fn ended_monitors_cgroup(&self) -> String {
        format!("{}/{ENDED}", self.monitor_cgroup_parent())
    }

    /// What every host end of our containers' links starts with.
    #[must_use]
    pub fn veth_prefix(&self) -> String {
        format!("v{}", self.short)
    }

    /// Host end of an instance's link: at most 15 characters, the kernel's bound.
    #[must_use]
    pub fn veth(&self, instance: &Segment) -> String {
        let digest = blake3::hash(instance.as_str().as_bytes()).to_hex();
        let prefix = self.veth_prefix();
        let room = 15_usize.saturating_sub(prefix.len()).min(8);
        format!("{prefix}{}", &digest.as_str()[..room])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> HostLayout {
        HostLayout::new(Segment::new("abc234").unwrap(), "/data")
    }

    #[test]
    fn a_link_name_fits_the_kernels_fifteen_characters() {
        let name = layout().veth(&Segment::new("a-very-long-instance-name-indeed").unwrap());
        assert_eq!(name.len(), 15);
        assert!(name.starts_with("vabc234"));
    }

    #[test]
    fn a_container_directory_tells_its_instance_and_strangers_do_not() {
        let instance = Segment::new("my-app").unwrap();
        assert_eq!(layout().container_name(&instance), "abc234-my-app");
        assert_eq!(layout().instance_of("abc234-my-app"), Some(instance));
        assert_eq!(layout().instance_of("other2-my-app"), None);
        assert_eq!(layout().instance_of("abc234my-app"), None);
    }
}

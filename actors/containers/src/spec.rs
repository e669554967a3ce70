//! What a container is made of: plain data, decided before anything is touched.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{IdMapping, Limits, OpError, Segment, idmap::FlatMap};

/// How many user and group ids every container has.
pub const ID_RANGE: u32 = 65_536;

/// Longest path below some root; the kernel's own bound leaves room for the terminator.
const MAX_PATH_BYTES: usize = 4095;

/// A container, whole: what [`Backend::create`](crate::Backend::create) builds and starts.
///
/// Paths are host paths. The container's name, its root, its cgroup and so on follow from
/// `instance` and the [`HostLayout`](crate::HostLayout).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The service's instance id.
    pub instance: Segment,
    /// First host id of the container's own range of [`ID_RANGE`] ids, for users and groups.
    pub id_base: u32,
    /// Host name inside, also written to `/etc/hostname` and `/etc/hosts`. At most 64 characters.
    pub hostname: String,
    /// `LANG` of `/etc/default/locale`, such as `en_US.UTF-8`.
    pub lang: String,
    /// Squashfs file of the base root.
    pub base_image: PathBuf,
    /// Directory laid over the base: agent binary and runtime, extracted by the host. Its files
    /// are stored with container ids (root is 0).
    pub layer_dir: PathBuf,
    /// Squashfs file mounted at `/usr/lib/startos/package`.
    pub javascript: PathBuf,
    /// Squashfs file mounted at `/media/startos/assets`.
    pub assets: Option<PathBuf>,
    /// Images mounted at `/media/startos/images/<id>`.
    pub images: Vec<ImageSpec>,
    /// Directories mounted writable at `/media/startos/volumes/<id>`.
    pub volumes: Vec<VolumeSpec>,
    /// Directory mounted writable at `/media/coppice/logs`; stored with container ids.
    pub logs_dir: PathBuf,
    /// Directory mounted writable at `/var/cache/coppice`: what the runtime compiled, which a new
    /// container need not compile again. Stored with container ids; may be emptied at any time.
    pub cache_dir: PathBuf,
    /// Directory mounted read-only at `/media/startos/rpc`, ids as they are: make it 0755 and give
    /// the sockets in it to host id `id_base`.
    pub rpc_dir: PathBuf,
    /// The container's link; without one it has only loopback.
    pub network: Option<Network>,
    /// Text of `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// Device nodes it may use beyond the harmless ones (null, zero, full, random, urandom, tty).
    pub devices: Vec<Device>,
    /// Bounds on what it uses.
    pub limits: Limits,
    /// Its pid 1.
    pub init: Init,
}

/// An image that subcontainers are made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    /// Image id.
    pub id: Segment,
    /// Squashfs file.
    pub file: PathBuf,
    /// Text of `/media/startos/images/<id>.env`; may be empty.
    pub env: String,
    /// Text of `/media/startos/images/<id>.json`.
    pub json: String,
}

/// A persistent directory. Files in it are stored with container ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Volume id.
    pub id: Segment,
    /// Host directory; must exist.
    pub dir: PathBuf,
}

/// The container's one link, `eth0`, a veth with its other end on `bridge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Host bridge; must exist.
    pub bridge: String,
    /// Hardware address, `02:...` (locally administered).
    pub mac: [u8; 6],
    /// IPv4 address.
    pub ipv4: Option<Address<Ipv4Addr>>,
    /// IPv6 address.
    pub ipv6: Option<Address<Ipv6Addr>>,
}

/// A static address with its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address<Ip> {
    /// The container's own address.
    pub address: Ip,
    /// Length of the network part, in bits.
    pub prefix: u8,
    /// Default gateway.
    pub gateway: Ip,
}

/// A host device granted to a container, at the same path, readable and writable by all inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path below `/dev`, such as `/dev/fuse` or `/dev/dri/renderD128`. A node that this host does not
    /// have is skipped.
    pub path: PathBuf,
}

/// Pid 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// Program and arguments; no spaces, quotes or control characters in them.
    pub argv: Vec<String>,
    /// Environment beyond `container=lxc` and `COPPICE_BOOT` (the uuid of this container life).
    pub env: Vec<(String, String)>,
}

/// A directory or file of the host to be mounted into a running container
/// ([`Backend::mount_into`](crate::Backend::mount_into)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeMount {
    /// Host directory that `subpath` cannot leave.
    pub source: PathBuf,
    /// Path below `source`; empty or `/` for all of it. Created when absent, unless `readonly`.
    pub subpath: PathBuf,
    /// Absolute path in the container. Created when absent; what is mounted there goes first.
    pub target: PathBuf,
    /// Whether the container only reads.
    pub readonly: bool,
    /// Id mappings applied in order on top of the container's own range.
    pub idmap: Vec<IdMapping>,
    /// What the source is.
    pub kind: FileKind,
}

/// What a mounted source is, and what is created where nothing is yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Whatever is there; a directory when nothing is.
    #[default]
    Infer,
}

impl VolumeMount {
    /// Refuses what no host could mount: a target that is not absolute, `..` anywhere, and what is longer
    /// than the kernel takes (every step of a path is looked up by itself, so length costs its square).
    pub(crate) fn check(&self) -> Result<(), OpError> {
        let climbs = |path: &Path| path.components().any(|step| step == Component::ParentDir);
        let unusable = |path: &Path, reason: &str| {
            Err(OpError::UnusablePath {
                path: path.to_owned(),
                reason: reason.to_owned(),
            })
        };
        for path in [&self.subpath, &self.target] {
            if path.as_os_str().len() > MAX_PATH_BYTES {
                let start = String::from_utf8_lossy(&path.as_os_str().as_encoded_bytes()[..60]);
                return unusable(
                    Path::new(start.as_ref()),
                    "it goes on for longer than a path may be",
                );
            }
        }
        if climbs(&self.subpath) {
            return unusable(&self.subpath, "a subpath may not contain `..`");
        }
        if !self.target.is_absolute() || climbs(&self.target) || self.target == Path::new("/") {
            return unusable(
                &self.target,
                "a mount point is an absolute path without `..`, not `/`",
            );
        }
        FlatMap::with(0, &self.idmap)?;
        Ok(())
    }
}

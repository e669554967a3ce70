//! Putting a container's root together.
//!
//! It happens on a thread of its own, in a mount namespace of its own, on a tmpfs at `RUN/mnt/stage`.
//! liblxc is started from that same thread, so its monitor inherits the namespace: the host never
//! sees these mounts, and they vanish when the monitor does. A thread that dies half-way leaves
//! nothing.
//!
//! ```text
//! stage/base    base squashfs, ids mapped        stage/rw     DATA/services/<i>/root (upper, work)
//! stage/layer   agent and runtime, ids mapped    stage/dev    nodes of granted devices
//! stage/root    overlay of layer over base, and on it volumes, images, assets, javascript, logs, rpc
//! ```
//!
//! An idmapped mount of an overlay does not exist, so the layers are mapped first and overlaid then. The
//! flags given here are locked for the container: it gets a copy of these mounts in a user namespace
//! below the host's.

use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount as mount_fs},
    sys::stat::{Mode, SFlag, major, makedev, minor, mknod},
};

use crate::{
    HostLayout,
    error::{Doing, StepError},
    lxc::{images, record::Record},
    sys::{
        confined::Confined,
        mount::{self, Detached, NODEV, NOEXEC, NOSUID, RDONLY},
    },
};

/// A device node made for one container.
pub(crate) struct GrantedDevice {
    /// Our node, on the stage.
    pub(crate) node: PathBuf,
    /// Path in the container, without the leading slash.
    pub(crate) inside: PathBuf,
    pub(crate) letter: char,
    pub(crate) major: u64,
    pub(crate) minor: u64,
}

/// Makes the fresh upper layer on disk. Remains of an earlier one must be gone.
pub(crate) fn make_upper(dir: &Path, owner: u32) -> Result<(), StepError> {
    let doing = format!("create the layer {}", dir.display());
    for part in ["upper", "work"] {
        fs::create_dir_all(dir.join(part)).doing(&doing)?;
    }
    // The overlay's own root takes these from the upper layer.
    fs::set_permissions(dir.join("upper"), fs::Permissions::from_mode(0o755)).doing(&doing)?;
    chown(dir.join("upper"), Some(owner), Some(owner)).doing(&doing)
}

/// Lays an empty stage over `RUN/mnt/stage`, in the calling thread's own mount namespace.
pub(crate) fn make_stage(layout: &HostLayout) -> Result<PathBuf, StepError> {
    let stage = layout.stage();
    let doing = format!("prepare {}", stage.display());
    mount::enter_private_namespace().doing("make a mount namespace")?;
    images::make_dirs(layout).doing(&doing)?;
    mount_fs(
        Some("coppice"),
        &stage,
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        Some("mode=755,size=1m"),
    )
    .doing(&doing)?;
    Ok(stage)
}

/// An overlay of `lower` (highest first) under `dir`, a directory with `upper` and `work`; everything is
/// attached below `stage`, the result is not.
///
/// What is written is thrown away with the container, so nothing is ever flushed for it (`volatile`).
/// Attributes of the layers that redirect elsewhere are not believed: images are strangers' work.
pub(crate) fn overlay(stage: &Path, lower: &[&str], dir: &Path) -> io::Result<Detached> {
    let rw = stage.join("rw");
    fs::create_dir_all(&rw)?;
    Detached::clone_of(dir)?.attach_at(&rw)?;
    let fs = mount::NewFs::open(c"overlay")?;
    let lower: Vec<String> = lower
        .iter()
        .map(|name| stage.join(name).display().to_string())
        .collect();
    fs.set(c"lowerdir", lower.join(":").as_bytes())?;
    fs.set(c"upperdir", rw.join("upper").as_os_str().as_encoded_bytes())?;
    fs.set(c"workdir", rw.join("work").as_os_str().as_encoded_bytes())?;
    fs.set(c"redirect_dir", b"nofollow")?;
    fs.set(c"metacopy", b"off")?;
    fs.set(c"index", b"off")?;
    fs.flag(c"volatile")?;
    fs.mount(NODEV)
}

/// Attaches a clone of `source`, ids mapped, at `stage/<name>`, to be a lower layer.
pub(crate) fn stage_layer(
    stage: &Path,
    name: &str,
    source: &Path,
    idmap: BorrowedFd<'_>,
) -> io::Result<()> {
    let at = stage.join(name);
    fs::create_dir_all(&at)?;
    let clone = Detached::clone_of(source)?;
    clone.change(RDONLY | NODEV, NOSUID, Some(idmap))?;
    clone.attach_at(&at)
}

/// Builds everything at `stage`, where `stage/root` becomes the container's root.
pub(crate) fn assemble(
    layout: &HostLayout,
    stage: &Path,
    record: &Record,
    idmap: BorrowedFd<'_>,
) -> Result<Vec<GrantedDevice>, StepError> {
    let spec = &record.spec;
    let image = |file: &Path| images::target(layout, &record.images[file]);
    for name in ["root", "lxc", "dev"] {
        fs::create_dir_all(stage.join(name)).doing("prepare the stage")?;
    }
    stage_layer(stage, "base", &image(&spec.base_image), idmap)
        .doing(format!("map the ids of {}", spec.base_image.display()))?;
    stage_layer(stage, "layer", &spec.layer_dir, idmap)
        .doing(format!("map the ids of {}", spec.layer_dir.display()))?;
    let root_dir = layout.root_dir(&spec.instance);
    overlay(stage, &["layer", "base"], &root_dir)
        .and_then(|root| root.attach_at(&stage.join("root")))
        .doing(format!("mount the root of `{}`", spec.instance))?;

    let root = Confined::open(&stage.join("root"), spec.id_base).doing("open the new root")?;
    write_identity(&root, record).doing(format!("write /etc of `{}`", spec.instance))?;
    for dir in [
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "media/startos/subcontainers",
    ] {
        root.make_dirs(Path::new(dir))
            .doing(format!("make /{dir}"))?;
    }

    let ro = RDONLY | NODEV | NOSUID;
    let put = |source: &Path, at: &str, flags: u64, map: bool| {
        let target = root.make_dirs(Path::new(at))?;
        let clone = Detached::clone_of(source)?;
        clone.change(flags, 0, map.then_some(idmap))?;
        clone.attach(target.as_fd())
    };
    let put = |source: &Path, at: &str, flags: u64, map: bool| {
        put(source, at, flags, map).doing(format!("mount {} at /{at}", source.display()))
    };
    put(
        &image(&spec.javascript),
        "usr/lib/startos/package",
        ro,
        true,
    )?;
    if let Some(assets) = &spec.assets {
        put(&image(assets), "media/startos/assets", ro, true)?;
    }
    for found in &spec.images {
        let at = format!("media/startos/images/{}", found.id);
        put(&image(&found.file), &at, ro, true)?;
        for (suffix, text) in [("env", &found.env), ("json", &found.json)] {
            let file = format!("{at}.{suffix}");
            root.write(Path::new(&file), text.as_bytes(), 0o444)
                .doing(format!("write /{file}"))?;
        }
    }
    root.make_dirs(Path::new("media/startos/volumes"))
        .doing("make /media/startos/volumes")?;
    for volume in &spec.volumes {
        put(
            &volume.dir,
            &format!("media/startos/volumes/{}", volume.id),
            NODEV,
            true,
        )?;
    }
    put(
        &spec.logs_dir,
        "media/coppice/logs",
        NODEV | NOSUID | NOEXEC,
        true,
    )?;
    put(
        &spec.cache_dir,
        "var/cache/coppice",
        NODEV | NOSUID | NOEXEC,
        true,
    )?;
    // Ids as they are: its sockets are the host's.
    put(&spec.rpc_dir, "media/startos/rpc", ro | NOEXEC, false)?;

    grant_devices(stage, record)
}

fn write_identity(root: &Confined, record: &Record) -> io::Result<()> {
    let spec = &record.spec;
    let machine_id = format!("{}\n", record.boot.replace('-', ""));
    write_names(root, &spec.hostname)?;
    root.write(
        Path::new("etc/resolv.conf"),
        spec.resolv_conf.as_bytes(),
        0o644,
    )?;
    root.write(Path::new("etc/machine-id"), machine_id.as_bytes(), 0o444)?;
    root.write(
        Path::new("etc/default/locale"),
        format!("LANG={}\n", spec.lang).as_bytes(),
        0o644,
    )
}

/// Writes `/etc/hostname` and `/etc/hosts` of a root, a container's or a subcontainer's.
pub(crate) fn write_names(root: &Confined, hostname: &str) -> io::Result<()> {
    let hosts = format!(
        "127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    );
    root.write(
        Path::new("etc/hostname"),
        format!("{hostname}\n").as_bytes(),
        0o644,
    )?;
    root.write(Path::new("etc/hosts"), hosts.as_bytes(), 0o644)
}

/// Makes nodes of our own for the granted devices. A bind of the host's node would belong to
/// nobody inside, and most are 0600 or of a group that the container does not have.
fn grant_devices(stage: &Path, record: &Record) -> Result<Vec<GrantedDevice>, StepError> {
    let mut granted = Vec::new();
    for (number, device) in record.spec.devices.iter().enumerate() {
        let doing = format!("grant {}", device.path.display());
        let Ok(stat) = fs::metadata(&device.path) else {
            continue;
        };
        let (letter, kind) = match stat.file_type() {
            kind if kind.is_char_device() => ('c', SFlag::S_IFCHR),
            kind if kind.is_block_device() => ('b', SFlag::S_IFBLK),
            _ => continue,
        };
        let (major, minor) = (major(stat.rdev()), minor(stat.rdev()));
        let node = stage.join("dev").join(number.to_string());
        mknod(&node, kind, Mode::empty(), makedev(major, minor)).doing(&doing)?;
        fs::set_permissions(&node, fs::Permissions::from_mode(0o666)).doing(&doing)?;
        chown(&node, Some(record.spec.id_base), Some(record.spec.id_base)).doing(&doing)?;
        let inside = device
            .path
            .strip_prefix("/")
            .unwrap_or(&device.path)
            .to_owned();
        granted.push(GrantedDevice {
            node,
            inside,
            letter,
            major,
            minor,
        });
    }
    Ok(granted)
}

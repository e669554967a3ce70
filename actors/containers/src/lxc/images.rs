//! The table of mounted squashfs files: `RUN/mnt/img/<key>`.
//!
//! Invariants: a file is mounted once per server, whatever number of containers uses it, so that its
//! pages are cached once. Nothing counts uses: a mount is needed while some container's record names it.
//! The host's own mounts of images are for root's eyes, allow no device nodes and no setuid; clones of
//! them get what their purpose needs.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MntFlags, umount2},
};

use crate::{
    HostLayout,
    error::{Doing, StepError},
    lxc::record::Record,
    sys::{loop_device, mount, mountinfo},
};

/// Held while the table changes, by threads and processes alike; a dead holder lets go.
pub(crate) struct TableLock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

/// Waits for the table.
pub(crate) fn lock(layout: &HostLayout) -> Result<TableLock, StepError> {
    let file = layout.run.join("images.lock");
    let doing = format!("lock {}", file.display());
    fs::create_dir_all(&layout.run).doing(&doing)?;
    let open = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .doing(&doing)?;
    let held = Flock::lock(open, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .doing(&doing)?;
    Ok(TableLock(held))
}

/// Names the content that `file` has now: another file at the same path has another key.
pub(crate) fn key(file: &Path) -> io::Result<String> {
    let stat = fs::metadata(file)?;
    let identity = format!(
        "{}:{}:{}:{}.{}",
        stat.dev(),
        stat.ino(),
        stat.size(),
        stat.mtime(),
        stat.mtime_nsec()
    );
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(file.as_os_str().as_encoded_bytes())
        .update(b"\0")
        .update(identity.as_bytes());
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}

/// Where the image of `key` is, or will be, mounted.
pub(crate) fn target(layout: &HostLayout, key: &str) -> PathBuf {
    layout.images_dir().join(key)
}

/// Mounts `file` unless it is mounted. A record that names `key` must exist already.
pub(crate) fn ensure(
    layout: &HostLayout,
    _held: &TableLock,
    file: &Path,
    key: &str,
) -> Result<(), StepError> {
    let target = target(layout, key);
    let doing = format!("mount image {}", file.display());
    if mount::is_mount_point(&target).doing(&doing)? {
        return Ok(());
    }
    make_dirs(layout).doing(&doing)?;
    fs::create_dir_all(&target).doing(&doing)?;
    mount_squashfs(file)
        .and_then(|mount| mount.attach_at(&target))
        .doing(&doing)
}

/// A detached read-only mount of a squashfs file.
pub(crate) fn mount_squashfs(file: &Path) -> io::Result<mount::Detached> {
    let (device, path) = loop_device::attach(file)?;
    let fs = mount::NewFs::open(c"squashfs")?;
    fs.set(c"source", path.as_os_str().as_encoded_bytes())?;
    fs.flag(c"ro")?;
    let mount = fs.mount(mount::RDONLY | mount::NODEV | mount::NOSUID)?;
    // From here on the mount keeps the device.
    drop(device);
    Ok(mount)
}

/// Makes `RUN/mnt` and what is in it. A container's pid 1 comes through here on the way to its root, so
/// anyone may pass; the images themselves are for root only, since they hold setuid programs.
pub(crate) fn make_dirs(layout: &HostLayout) -> io::Result<()> {
    let make = |dir: &Path, mode| fs::DirBuilder::new().recursive(true).mode(mode).create(dir);
    make(&layout.run.join("mnt"), 0o711)?;
    make(&layout.images_dir(), 0o700)?;
    make(&layout.stage(), 0o711)
}

/// Files and folders that a container's record names, and files that a loop device of this host has,
/// whoever attached it.
pub(crate) fn files_in_use(layout: &HostLayout) -> Result<Vec<PathBuf>, StepError> {
    let mut found: Vec<PathBuf> = loop_device::in_use()
        .doing("list the loop devices")?
        .into_iter()
        .map(|device| device.file)
        .collect();
    for instance in Record::instances(layout)? {
        if let Some(record) = Record::load(layout, &instance) {
            found.push(record.spec.layer_dir);
            found.extend(record.images.into_keys());
        }
    }
    Ok(found)
}

/// Unmounts every image that no record names; returns what was unmounted, with the outcome.
pub(crate) fn sweep(
    layout: &HostLayout,
    _held: &TableLock,
) -> Result<Vec<(PathBuf, io::Result<()>)>, StepError> {
    let used: HashSet<String> = Record::images_in_use(layout)?.into_iter().collect();
    let entries = match fs::read_dir(layout.images_dir()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing("list the mounted images")?,
    };
    let mut swept = Vec::new();
    for entry in entries.flatten() {
        if !entry
            .file_name()
            .to_str()
            .is_some_and(|key| used.contains(key))
        {
            swept.push((
                entry.path(),
                unmount(&entry.path()).and_then(|()| fs::remove_dir(entry.path())),
            ));
        }
    }
    Ok(swept)
}

/// Unmounts everything stacked at `target`; nothing mounted there is fine.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    // Containers hold clones of their own, so detaching the host's mount disturbs none of them.
    while mount::is_mount_point(target)? {
        umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    }
    Ok(())
}

/// Detaches the images from the calling thread's own mount namespace, where that is not the host's:
/// else the monitor that inherits it would keep them busy for as long as its container runs.
pub(crate) fn forget_in_this_namespace(layout: &HostLayout) -> io::Result<()> {
    let dir = layout.images_dir();
    for mount in mountinfo::of_self()?
        .iter()
        .rev()
        .filter(|mount| mount.target.starts_with(&dir))
    {
        umount2(
            &mount.target,
            MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW,
        )?;
    }
    Ok(())
}

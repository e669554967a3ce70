//! Whose a file is, who may what with it, and since when.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::Path,
    time::{Duration, SystemTime},
};

use nix::sys::{
    stat::{FileStat, UtimensatFlags, utimensat},
    time::TimeSpec,
};
use xattr::FileExt;

/// Gives the folder or file `to` owner, mode, times and extended attributes of `from`. Follows no link in the
/// last part of either.
///
/// # Errors
/// When one of the two is not there, or an attribute cannot be set.
pub fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let open = |path: &Path| {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = fs::OpenOptions::new();
        options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        options.open(path)
    };
    between(&open(from)?, &open(to)?)
}

/// The same between two open files.
pub(crate) fn between(from: &File, to: &File) -> io::Result<()> {
    let meta = from.metadata()?;
    // The owner first: a change of it takes capabilities and set-id bits away.
    fchown(to, Some(meta.uid()), Some(meta.gid()))?;
    let kept: Vec<_> = from.list_xattr()?.collect();
    for name in to.list_xattr()?.filter(|name| !kept.contains(name)) {
        to.remove_xattr(&name)?;
    }
    for name in kept {
        let Some(value) = from.get_xattr(&name)? else {
            continue;
        };
        if to.get_xattr(&name)?.as_ref() != Some(&value) {
            to.set_xattr(&name, &value)?;
        }
    }
    to.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    let since = |seconds: i64, nanos: i64| {
        let seconds = Duration::new(
            seconds.unsigned_abs(),
            u32::try_from(nanos).unwrap_or_default(),
        );
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    let mut times = fs::FileTimes::new();
    if let Some(accessed) = since(meta.atime(), meta.atime_nsec()) {
        times = times.set_accessed(accessed);
    }
    if let Some(modified) = since(meta.mtime(), meta.mtime_nsec()) {
        times = times.set_modified(modified);
    }
    to.set_times(times)
}

/// Owner and times of what is not opened: a link, a pipe, a socket, a device.
pub(crate) fn of_unopened(
    dir: &impl std::os::fd::AsFd,
    name: &std::ffi::CStr,
    stat: &FileStat,
) -> nix::Result<()> {
    nix::unistd::fchownat(
        dir,
        name,
        Some(nix::unistd::Uid::from_raw(stat.st_uid)),
        Some(nix::unistd::Gid::from_raw(stat.st_gid)),
        nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
    )?;
    utimensat(
        dir,
        name,
        &TimeSpec::new(stat.st_atime, stat.st_atime_nsec),
        &TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
        UtimensatFlags::NoFollowSymlink,
    )
}

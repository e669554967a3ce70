//! Squashfs files as block devices.
//!
//! Invariant: every device is set to clear itself, so one that nothing has open or mounted is free
//! again, whoever dies.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LOOP_CLR_FD: libc::c_ulong = 0x4C01;

const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_info64` (`include/uapi/linux/loop.h`).
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// Gives `file` a read-only device that frees itself when the last user (the returned file, then
/// a mount of it) is gone. Returns the open device and its path.
///
/// Reads bypass the page cache of the file where its file system can, so that pages are cached once.
pub(crate) fn attach(file: &Path) -> io::Result<(File, PathBuf)> {
    let backing = File::open(file)?;
    let control = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/loop-control")?;
    // Another process can take the free device between the two calls; then the next one is tried.
    for _ in 0..64 {
        // SAFETY: the request takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = open_device(&path)?;
        match configure(&device, &backing, file) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            result => return result.map(|()| (device, path)),
        }
    }
    Err(io::Error::other(
        "every free loop device was taken by others; try again",
    ))
}

fn open_device(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(path)
}

fn configure(device: &File, backing: &File, name: &Path) -> io::Result<()> {
    // SAFETY: all zeroes is a valid `LoopConfig`, a structure of integers.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = backing.as_raw_fd().unsigned_abs();
    config.info.flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    let shown = name.as_os_str().as_encoded_bytes();
    let length = shown.len().min(config.info.file_name.len() - 1);
    config.info.file_name[..length].copy_from_slice(&shown[..length]);
    // SAFETY: the structure has the layout the request expects and outlives the call.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A device that some file is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InUse {
    pub(crate) device: PathBuf,
    pub(crate) file: PathBuf,
}

/// Every loop device of this host that has a file, with the file's path (as it was; it may be deleted).
pub(crate) fn in_use() -> io::Result<Vec<InUse>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with("loop")) else {
            continue;
        };
        // No file means not attached.
        if let Ok(file) = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")) {
            let file = file.trim_end_matches('\n');
            let file = file.strip_suffix(" (deleted)").unwrap_or(file);
            found.push(InUse {
                device: Path::new("/dev").join(name),
                file: file.into(),
            });
        }
    }
    Ok(found)
}

/// Takes the file away from a device; one that is still mounted keeps it until it is not.
pub(crate) fn detach(device: &Path) -> io::Result<()> {
    let device = open_device(device)?;
    if device.metadata()?.rdev() >> 8 & 0xfff != 7 {
        return Err(io::Error::other("not a loop device"));
    }
    // SAFETY: the request takes no argument that is read.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CLR_FD, 0) };
    match answer {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENXIO) => Ok(()),
            error => Err(error),
        },
    }
}

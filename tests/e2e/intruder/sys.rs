//! The C library, as far as the standard library does not show it.

use std::{
    ffi::CString,
    io,
    os::raw::{c_char, c_int, c_long, c_uint, c_ulong, c_void},
};

use crate::Outcome;

unsafe extern "C" {
    pub fn alarm(seconds: c_uint) -> c_uint;
    pub fn chroot(path: *const c_char) -> c_int;
    pub fn clock_gettime(clock: c_int, time: *mut [c_long; 2]) -> c_int;
    pub fn clock_settime(clock: c_int, time: *const [c_long; 2]) -> c_int;
    pub fn close(fd: c_int) -> c_int;
    pub fn fork() -> c_int;
    pub fn getrlimit(kind: c_int, limits: *mut [c_ulong; 2]) -> c_int;
    pub fn inotify_init() -> c_int;
    pub fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    pub fn kill(pid: c_int, signal: c_int) -> c_int;
    pub fn klogctl(kind: c_int, text: *mut u8, length: c_int) -> c_int;
    pub fn mknod(path: *const c_char, mode: c_uint, device: u64) -> c_int;
    pub fn mmap(
        at: *mut c_void,
        length: usize,
        prot: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    pub fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    pub fn open_by_handle_at(mount: c_int, handle: *const c_void, flags: c_int) -> c_int;
    pub fn pause() -> c_int;
    pub fn pipe(ends: *mut c_int) -> c_int;
    pub fn ptrace(request: c_long, ...) -> c_long;
    pub fn sched_setscheduler(pid: c_int, policy: c_int, parameter: *const c_int) -> c_int;
    pub fn sendto(
        fd: c_int,
        bytes: *const u8,
        length: usize,
        flags: c_int,
        to: *const c_void,
        size: c_uint,
    ) -> isize;
    pub fn setns(fd: c_int, kind: c_int) -> c_int;
    pub fn setpriority(which: c_int, who: c_uint, priority: c_int) -> c_int;
    pub fn setrlimit(kind: c_int, limits: *const [c_ulong; 2]) -> c_int;
    pub fn setxattr(
        path: *const c_char,
        name: *const c_char,
        value: *const c_void,
        size: usize,
        flags: c_int,
    ) -> c_int;
    pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub fn syscall(number: c_long, ...) -> c_long;
    pub fn umount2(target: *const c_char, flags: c_int) -> c_int;
    pub fn unshare(flags: c_int) -> c_int;
    pub fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

pub const MS_RDONLY: c_ulong = 1;
pub const MS_REMOUNT: c_ulong = 32;
pub const MS_BIND: c_ulong = 4096;
pub const MS_PRIVATE: c_ulong = 1 << 18;
pub const MS_REC: c_ulong = 16384;
pub const MNT_DETACH: c_int = 2;
pub const CLONE_NEWNS: c_int = 0x0002_0000;
pub const CLONE_NEWUSER: c_int = 0x1000_0000;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ENOSYS: i32 = 38;

pub fn c(text: &str) -> CString {
    CString::new(text).expect("a text without NUL")
}

pub fn last() -> String {
    io::Error::last_os_error().to_string()
}

/// A system call's number here.
pub const fn number(x86_64: c_long, others: c_long) -> c_long {
    if cfg!(target_arch = "x86_64") {
        x86_64
    } else {
        others
    }
}

/// For calls that are asked for with what they cannot do: any answer but "you may not" and "there is no such
/// call" is one to somebody who may.
pub fn may(what: &str, answer: i64) -> Result<String, String> {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        _ if answer >= 0 => Ok(format!("{what} was done")),
        Some(EPERM | EACCES | ENOSYS) => Err(format!("{what}: {error}")),
        _ => Ok(format!("{what} was looked at: {error}")),
    }
}

/// The first that got through; else what all were told.
pub fn any(tried: impl IntoIterator<Item = Result<String, String>>) -> Outcome {
    let mut refusals = Vec::new();
    for one in tried {
        match one {
            Ok(text) => return Outcome::Through(text),
            Err(why) => refusals.push(why),
        }
    }
    if refusals.is_empty() {
        return Outcome::Absent("there was nothing to try".to_owned());
    }
    refusals.dedup();
    refusals.truncate(6);
    Outcome::Refused(refusals.join("; "))
}

/// A system call as 32-bit programs make it, whose filters are easily forgotten.
#[cfg(target_arch = "x86_64")]
pub fn as_32_bit(number: u32, arguments: [u32; 3]) -> i64 {
    let [first, second, third] = arguments;
    let answer: i32;
    // SAFETY: the arguments are integers or addresses that the caller keeps below 4 GiB.
    unsafe {
        std::arch::asm!(
            "xchg {first:r}, rbx",
            "int 0x80",
            "xchg {first:r}, rbx",
            first = inout(reg) u64::from(first) => _,
            inlateout("eax") number => answer,
            in("ecx") second, in("edx") third, in("esi") 0, in("edi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
        if answer < 0 {
            *__errno_location() = -answer;
            return -1;
        }
    }
    i64::from(answer)
}

/// Memory that such a call can reach.
#[cfg(target_arch = "x86_64")]
pub fn below_4_gib() -> *mut u32 {
    const READ_WRITE: c_int = 3;
    const PRIVATE_ANONYMOUS_32_BIT: c_int = 0x02 | 0x20 | 0x40;
    // SAFETY: fresh memory.
    unsafe {
        mmap(
            std::ptr::null_mut(),
            4096,
            READ_WRITE,
            PRIVATE_ANONYMOUS_32_BIT,
            -1,
            0,
        )
        .cast()
    }
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

pub fn mount_at(
    source: &str,
    target: &str,
    kind: &str,
    flags: c_ulong,
    data: &str,
) -> Result<(), String> {
    let (from, to, name, data) = (c(source), c(target), c(kind), c(data));
    // SAFETY: four strings that end in NUL.
    let done = unsafe {
        mount(
            from.as_ptr(),
            to.as_ptr(),
            name.as_ptr(),
            flags,
            data.as_ptr().cast(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(format!("mount {kind} {target}: {}", last()))
    }
}

/// Mounts of this process's own: what happens to them is not mirrored to where they were copied from.
pub fn leave_mounts() -> Result<(), String> {
    // SAFETY: an integer.
    if unsafe { unshare(CLONE_NEWNS) } != 0 {
        return Err(format!("unshare: {}", last()));
    }
    mount_at("", "/", "", MS_REC | MS_PRIVATE, "")
}

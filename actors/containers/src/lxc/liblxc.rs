//! The few calls into liblxc.
//!
//! Every function makes an object of its own, uses it on one thread and gives it back: an
//! `lxc_container` is not made for sharing. All of them block, and `start` forks.

use std::{
    ffi::{CStr, CString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
    time::Duration,
};

use lxc_sys::{lxc_container, lxc_container_new, lxc_container_put, lxc_get_version};

use crate::sys::{
    fork::{self, Failed, Inherits, Terms},
    title,
};

/// Longest time for a start, which takes some 50 ms.
const START_DEADLINE: Duration = Duration::from_secs(60);

struct Handle(*mut lxc_container);

impl Handle {
    /// The container `name` below `lxc_path`, with the configuration that lies there.
    fn open(name: &str, lxc_path: &Path) -> io::Result<Self> {
        let name = CString::new(name)?;
        let lxc_path = CString::new(lxc_path.as_os_str().as_bytes())?;
        // SAFETY: both strings end in NUL; liblxc copies them.
        let container = unsafe { lxc_container_new(name.as_ptr(), lxc_path.as_ptr()) };
        if container.is_null() {
            return Err(io::Error::other(
                "liblxc has no memory or no access for the container",
            ));
        }
        Ok(Self(container))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: ours, and given back once.
        unsafe { lxc_container_put(self.0) };
    }
}

fn missing(call: &str) -> io::Error {
    io::Error::other(format!("this liblxc has no {call}"))
}

/// Starts a configured container under a monitor of its own, from the calling thread's namespaces. Tells
/// whether it came up; liblxc's own words are in the container's log.
///
/// It runs in a forked child, because liblxc moves its caller into the monitor's cgroup along with the
/// monitor (seen with 5.0.2), and we are not to die with it. liblxc itself forks from wherever it is
/// called and goes on in the child with all it needs, allocation too, which glibc makes safe; so one
/// more fork before it asks for nothing new.
pub(crate) fn start(name: &str, lxc_path: &Path) -> io::Result<bool> {
    let terms = Terms {
        owner: name,
        // liblxc may hold some from before, and closes what its monitor shall not have.
        inherits: Inherits::All,
        at_most: START_DEADLINE,
    };
    // SAFETY: beyond system calls the child runs liblxc alone, which is made to run after a fork of a
    // process with threads; nothing of ours that holds a lock is entered.
    let outcome = unsafe {
        fork::run(&terms, || match start_titled(name, lxc_path) {
            Ok(()) => Ok(0),
            Err(_) => Err(Failed {
                step: 0,
                errno: libc::ECANCELED,
            }),
        })
    };
    outcome.map(|outcome| outcome.is_ok())
}

fn start_titled(name: &str, lxc_path: &Path) -> io::Result<()> {
    // SAFETY: a freshly forked child with one thread.
    unsafe { title::set(&format!("[lxc monitor] {} {name}", lxc_path.display())) };
    start_here(name, lxc_path)
}

fn start_here(name: &str, lxc_path: &Path) -> io::Result<()> {
    let handle = Handle::open(name, lxc_path)?;
    // SAFETY: a live object, used by this thread only.
    let container = unsafe { &*handle.0 };
    let want_daemonize = container
        .want_daemonize
        .ok_or_else(|| missing("want_daemonize"))?;
    let start = container.start.ok_or_else(|| missing("start"))?;
    // SAFETY: the object's own functions, with the object; no arguments means the configured init.
    let started = unsafe { want_daemonize(handle.0, true) && start(handle.0, 0, ptr::null()) };
    if started {
        Ok(())
    } else {
        Err(io::Error::other("liblxc could not start the container"))
    }
}

/// Pid of the container's pid 1, by asking its monitor.
pub(crate) fn init_pid(name: &str, lxc_path: &Path) -> io::Result<Option<i32>> {
    let handle = Handle::open(name, lxc_path)?;
    // SAFETY: a live object, used by this thread only.
    let init_pid = unsafe { &*handle.0 }
        .init_pid
        .ok_or_else(|| missing("init_pid"))?;
    // SAFETY: the object's own function, with the object.
    let pid = unsafe { init_pid(handle.0) };
    Ok((pid > 1).then_some(pid))
}

/// liblxc's version.
pub(crate) fn version() -> String {
    // SAFETY: liblxc gives a string that ends in NUL and lives as long as the program.
    unsafe { CStr::from_ptr(lxc_get_version()) }
        .to_string_lossy()
        .into_owned()
}

/// The last errors in a container's log, for people.
pub(crate) fn last_errors(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let errors: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            let (_, message) = line.split_once(" ERROR ")?;
            // `module - file.c:function:line - message`
            Some(message.splitn(3, " - ").last().unwrap_or(message).trim())
        })
        .collect();
    if errors.is_empty() {
        return format!("nothing; look at {}", log.display());
    }
    // The first error is the cause, the later ones are what it led to.
    errors.into_iter().take(4).collect::<Vec<_>>().join("; ")
}

//! Processes that are not the service's own.

use std::{fs, fs::File, os::fd::AsRawFd};

use crate::{
    Attempt, Outcome,
    host_files::seen,
    sys::{self, any, last},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "processes_of_the_host",
        controlled: true,
        run: of_the_host,
    },
    &Attempt {
        name: "signals_to_the_host",
        controlled: true,
        run: signals,
    },
    &Attempt {
        name: "namespaces_of_the_host",
        controlled: true,
        run: namespaces,
    },
    &Attempt {
        name: "namespaces_above",
        controlled: false,
        run: above,
    },
];

fn called(pid: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn of_the_host(targets: &Targets) -> Outcome {
    any(seen().map(|pid| {
        let called = called(&pid);
        // This program and who started it have the word among their arguments.
        let own = called.contains("called=");
        if !own && called.contains(targets.get("called")) {
            Ok(called)
        } else {
            Err("none of them".to_owned())
        }
    }))
}

/// By the numbers that they have on the host, which here may be another's.
fn signals(targets: &Targets) -> Outcome {
    const SEIZE: i64 = 0x4206;
    any(targets.list("pids").map(|number| {
        let pid: i32 = number.parse().unwrap_or_default();
        // SAFETY: integers.
        let (signal, trace) =
            unsafe { (sys::kill(pid, 0), sys::ptrace(SEIZE, pid, 0_usize, 0_usize)) };
        let theirs = called(number).contains(targets.get("called"));
        if theirs && (signal == 0 || trace == 0) {
            Ok(called(number))
        } else {
            Err(last())
        }
    }))
}

fn namespaces(targets: &Targets) -> Outcome {
    any(seen().filter_map(|pid| {
        let mounts = File::open(format!("/proc/{pid}/ns/mnt")).ok()?;
        // SAFETY: a descriptor and an integer.
        let entered = unsafe { sys::setns(mounts.as_raw_fd(), 0) } == 0;
        let found = entered && targets.is_found(targets.get("file"));
        Some(if found {
            Ok(format!("by process {pid}"))
        } else {
            Err("none with the file".to_owned())
        })
    }))
}

/// The kernel tells of what a namespace is in, unless that is above one's own.
fn above(_: &Targets) -> Outcome {
    const GET_USERNS: u64 = 0xb701;
    const GET_PARENT: u64 = 0xb702;
    let asked = [
        ("user", GET_PARENT),
        ("pid", GET_PARENT),
        ("user", GET_USERNS),
    ];
    any(asked.map(|(kind, request)| {
        let own = File::open(format!("/proc/self/ns/{kind}")).map_err(|error| error.to_string())?;
        // SAFETY: a descriptor and an integer.
        let fd = unsafe { sys::ioctl(own.as_raw_fd(), request) };
        if fd >= 0 {
            Ok(format!("above {kind}"))
        } else {
            Err(format!("above {kind}: {}", last()))
        }
    }))
}

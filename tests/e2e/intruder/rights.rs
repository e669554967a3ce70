//! What the host's root may do to the whole machine.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
};

use crate::{
    Attempt, Outcome,
    sys::{self, any, c, may, number},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "administration",
        controlled: true,
        run: administration,
    },
    &Attempt {
        name: "the_clock",
        controlled: true,
        run: clock,
    },
    &Attempt {
        name: "being_first",
        controlled: true,
        run: being_first,
    },
    &Attempt {
        name: "attributes_for_the_hosts_root",
        controlled: true,
        run: attributes,
    },
];

/// Each with arguments that change nothing where it is allowed.
fn administration(_: &Targets) -> Outcome {
    let nobody = c("/intruder-is-not-there");
    let path = nobody.as_ptr();
    // SAFETY: integers, and strings that end in NUL.
    unsafe {
        any([
            may("kexec_load", sys::syscall(number(246, 104), 0, 0, 0, 0)),
            may("finit_module", sys::syscall(number(313, 273), -1, path, 0)),
            may("delete_module", sys::syscall(number(176, 106), path, 0)),
            may("swapon", sys::syscall(number(167, 224), path, 0)),
            may("acct", sys::syscall(number(163, 89), path)),
            may("fanotify over a whole file system", whole_fanotify()),
        ])
    }
}

/// A group that may look at whole file systems and keep others waiting.
fn whole_fanotify() -> i64 {
    const CLASS_CONTENT: i32 = 4;
    // SAFETY: integers.
    unsafe { sys::syscall(number(300, 262), CLASS_CONTENT, 0) }
}

fn clock(_: &Targets) -> Outcome {
    const REALTIME: i32 = 0;
    let mut now = [0; 2];
    // SAFETY: two integers each.
    any([unsafe {
        sys::clock_gettime(REALTIME, &raw mut now);
        may(
            "clock_settime",
            i64::from(sys::clock_settime(REALTIME, &raw const now)),
        )
    }])
}

/// Before all others: on the processor, for memory, with files.
fn being_first(_: &Targets) -> Outcome {
    const FIFO: i32 = 1;
    let real_time = 1;
    // SAFETY: integers.
    let [real_time, nice] = unsafe {
        [
            may(
                "real time",
                i64::from(sys::sched_setscheduler(0, FIFO, &raw const real_time)),
            ),
            may("priority -20", i64::from(sys::setpriority(0, 0, -20))),
        ]
    };
    let spared = fs::write("/proc/self/oom_score_adj", "-1000");
    any([
        real_time,
        nice,
        spared
            .map(|()| "spared by the OOM killer".to_owned())
            .map_err(|error| error.to_string()),
    ])
}

/// What only the host's root could then take off a file again.
fn attributes(targets: &Targets) -> Outcome {
    const SET_FLAGS: u64 = 0x4008_6602;
    const IMMUTABLE: u64 = 0x10;
    let path = format!("{}/lasting", targets.get("folder"));
    let Ok(file) = File::create(&path) else {
        return Outcome::Absent("no file".to_owned());
    };
    let (flags, none) = (IMMUTABLE, 0_u64);
    // SAFETY: a descriptor and an integer; strings that end in NUL.
    let (lasting, trusted) = unsafe {
        let lasting = sys::ioctl(file.as_raw_fd(), SET_FLAGS, &raw const flags);
        let lasting = may("a file that nobody removes", i64::from(lasting));
        sys::ioctl(file.as_raw_fd(), SET_FLAGS, &raw const none);
        let name = c("trusted.overlay.redirect");
        let trusted = sys::setxattr(c(&path).as_ptr(), name.as_ptr(), b"/".as_ptr().cast(), 1, 0);
        (lasting, may("a trusted attribute", i64::from(trusted)))
    };
    any([lasting, trusted])
}

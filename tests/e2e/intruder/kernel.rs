//! The kernel's own settings, secrets and services, which are the whole machine's.

use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use crate::{
    Attempt, Outcome,
    sys::{self, any, c, last, may, number},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "settings_of_the_kernel",
        controlled: true,
        run: settings,
    },
    &Attempt {
        name: "secrets_of_the_kernel",
        controlled: true,
        run: secrets,
    },
    &Attempt {
        name: "the_kernels_log",
        controlled: true,
        run: log,
    },
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
        name: "programs_in_the_kernel",
        controlled: true,
        run: programs,
    },
    &Attempt {
        name: "events_of_all_processors",
        controlled: true,
        run: events,
    },
    &Attempt {
        name: "rings",
        controlled: true,
        run: rings,
    },
    &Attempt {
        name: "sockets_to_the_hypervisor",
        controlled: true,
        run: hypervisor,
    },
    &Attempt {
        name: "the_same_socket_as_a_32_bit_program",
        controlled: true,
        run: hypervisor_as_32_bit,
    },
    &Attempt {
        name: "a_key_of_the_hosts_root",
        controlled: true,
        run: key,
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

/// Of the container's own namespaces, which it may set as it likes; and triggers, which are the writer's own.
const OWN: [&str; 15] = [
    "/proc/pressure/",
    "/proc/sys/net/",
    "/proc/sys/user/",
    "/proc/sys/fs/mqueue/",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/msg",
    "/proc/sys/kernel/sem",
    "/proc/sys/kernel/shm",
    "/proc/sys/kernel/auto_msgmni",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/pid_max",
    "/proc/net/",
    "/sys/fs/cgroup/",
    "/sys/devices/virtual/net/",
];

/// Everything below `/proc/sys`, the rest of `/proc` but processes, and `/sys`, opened for writing.
fn settings(_: &Targets) -> Outcome {
    let number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let mut folders = vec![PathBuf::from("/sys"), PathBuf::from("/proc")];
    let (mut refused, mut open) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let shown = path.display().to_string();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                let process = folder == PathBuf::from("/proc")
                    && number(&entry.file_name().to_string_lossy());
                if !process {
                    folders.push(path);
                }
                continue;
            }
            if !kind.is_file() || OWN.iter().any(|own| shown.starts_with(own)) {
                continue;
            }
            match OpenOptions::new()
                .write(true)
                .custom_flags(O_NONBLOCK)
                .open(&path)
            {
                Ok(_) => open.push(shown),
                Err(_) => refused += 1,
            }
            if open.len() > 9 {
                return Outcome::Through(open.join(" "));
            }
        }
    }
    match open.len() {
        0 => Outcome::Refused(format!("none of {refused}")),
        _ => Outcome::Through(open.join(" ")),
    }
}

const O_NONBLOCK: i32 = 0o4000;

fn secrets(_: &Targets) -> Outcome {
    let files = [
        "/proc/kcore",
        "/proc/kpagecount",
        "/proc/kpageflags",
        "/proc/vmallocinfo",
        "/proc/slabinfo",
        "/proc/timer_list",
        "/sys/firmware/dmi/tables/DMI",
        "/sys/class/dmi/id/product_uuid",
        "/sys/kernel/debug/kprobes/list",
    ];
    let read = files.map(|path| {
        let mut byte = [0];
        let read = File::open(path).and_then(|mut file| file.read(&mut byte));
        match read {
            Ok(_) => Ok(format!("{path} was read")),
            Err(error) => Err(format!("{path}: {error}")),
        }
    });
    // Addresses of the kernel: shown as zeroes to those who may not know them.
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let known = symbols
        .lines()
        .find(|line| !line.starts_with("0000000000000000"));
    let addresses = known.map_or(Err("no addresses".to_owned()), |line| Ok(line.to_owned()));
    any(read.into_iter().chain([addresses]))
}

fn log(_: &Targets) -> Outcome {
    const READ_ALL: i32 = 3;
    let mut text = vec![0; 1 << 16];
    // SAFETY: a buffer of the length that is passed with it.
    let length = unsafe { sys::klogctl(READ_ALL, text.as_mut_ptr(), text.len() as i32) };
    let called = may("syslog", i64::from(length));
    let files = ["/dev/kmsg", "/proc/kmsg"].map(|path| {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(path);
        opened
            .map(|_| format!("{path} was opened"))
            .map_err(|error| format!("{path}: {error}"))
    });
    any([called].into_iter().chain(files))
}

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

fn programs(_: &Targets) -> Outcome {
    const GET_NEXT_ID: i32 = 11;
    const LOAD: i32 = 5;
    let mut attributes = [0_u64; 16];
    // SAFETY: a structure of the size that is passed with it.
    let mut call = |what: &str, command: i32| unsafe {
        let size = size_of_val(&attributes) as i32;
        may(
            what,
            sys::syscall(number(321, 280), command, attributes.as_mut_ptr(), size),
        )
    };
    any([
        call("ids of others' programs", GET_NEXT_ID),
        call("loading a program", LOAD),
    ])
}

fn events(_: &Targets) -> Outcome {
    let mut attributes = [0_u64; 16];
    // PERF_TYPE_SOFTWARE, and the structure's size.
    attributes[0] = 1 | (128 << 32);
    // SAFETY: a structure that tells its size; every process, on processor 0.
    any([may("perf_event_open", unsafe {
        sys::syscall(number(298, 241), attributes.as_ptr(), -1, 0, -1, 0)
    })])
}

fn rings(_: &Targets) -> Outcome {
    let mut parameters = [0_u64; 32];
    // SAFETY: a structure that is larger than what is written.
    any([may("io_uring_setup", unsafe {
        sys::syscall(425, 1, parameters.as_mut_ptr())
    })])
}

const AF_VSOCK: u32 = 40;
const SOCK_STREAM: u32 = 1;

fn hypervisor(_: &Targets) -> Outcome {
    // Made and not connected: who is on the other side is none of the tests' business.
    // SAFETY: integers.
    let fd = unsafe { sys::socket(AF_VSOCK as i32, SOCK_STREAM as i32, 0) };
    any([if fd >= 0 {
        Ok("made".to_owned())
    } else {
        Err(last())
    }])
}

#[cfg(target_arch = "x86_64")]
fn hypervisor_as_32_bit(_: &Targets) -> Outcome {
    const SOCKETCALL: u32 = 102;
    const SOCKET: u32 = 359;
    let arguments = sys::below_4_gib();
    // SAFETY: a page of our own.
    unsafe { std::ptr::copy_nonoverlapping([AF_VSOCK, SOCK_STREAM, 0].as_ptr(), arguments, 3) };
    let made = |what: &str, answer: i64| {
        if answer >= 0 {
            Ok(format!("{what} made one"))
        } else {
            Err(format!("{what}: {}", last()))
        }
    };
    any([
        made("socket", sys::as_32_bit(SOCKET, [AF_VSOCK, SOCK_STREAM, 0])),
        made(
            "socketcall",
            sys::as_32_bit(SOCKETCALL, [1, arguments as usize as u32, 0]),
        ),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn hypervisor_as_32_bit(_: &Targets) -> Outcome {
    Outcome::Absent("this processor has no such calls".to_owned())
}

const USER_KEYRING: i32 = -4;

/// Gives the calling user's keyring a key.
pub fn plant_key(name: &str) -> String {
    let (kind, name) = (c("user"), c(name));
    // SAFETY: strings that end in NUL, and a text of the length that is passed with it.
    let key = unsafe {
        sys::syscall(
            number(248, 217),
            kind.as_ptr(),
            name.as_ptr(),
            b"secret".as_ptr(),
            6_usize,
            USER_KEYRING,
        )
    };
    if key > 0 {
        "planted".to_owned()
    } else {
        last()
    }
}

fn key(targets: &Targets) -> Outcome {
    const SEARCH: i32 = 10;
    let (kind, name) = (c("user"), c(targets.get("key")));
    let rings = [
        ("the session's", -3),
        ("the user's", USER_KEYRING),
        ("the user's session's", -5),
    ];
    let found = rings.map(|(what, ring)| {
        // SAFETY: strings that end in NUL, and integers.
        let key = unsafe {
            sys::syscall(
                number(250, 219),
                SEARCH,
                ring,
                kind.as_ptr(),
                name.as_ptr(),
                0,
            )
        };
        if key > 0 {
            Ok(format!("found in {what} keyring"))
        } else {
            Err(format!("{what}: {}", last()))
        }
    });
    let listed = fs::read_to_string("/proc/keys").unwrap_or_default();
    let listed = if listed.contains(targets.get("key")) {
        Ok("it is listed".to_owned())
    } else {
        Err("not listed".to_owned())
    };
    any(found.into_iter().chain([listed]))
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
    use std::os::fd::AsRawFd;
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

/// Many times what a kernel gives one user by itself, and yet little memory.
const MOST_WATCHES: u32 = 5000;

/// Takes as many watches as there are, tells how many, and keeps them.
pub fn take_all_watches() {
    const RLIMIT_NOFILE: i32 = 7;
    let mut limits = [0; 2];
    let mut count = 0;
    // SAFETY: a structure of two numbers, and no arguments.
    unsafe {
        sys::getrlimit(RLIMIT_NOFILE, &raw mut limits);
        limits[0] = limits[1];
        sys::setrlimit(RLIMIT_NOFILE, &raw const limits);
        while count < MOST_WATCHES && sys::inotify_init() >= 0 {
            count += 1;
        }
    }
    println!("{count}");
    loop {
        // SAFETY: no arguments.
        unsafe { sys::pause() };
    }
}

/// A restart of the machine.
pub fn reboot() -> String {
    const RESTART: u32 = 0x0123_4567;
    // SAFETY: integers.
    let answer =
        unsafe { sys::syscall(number(169, 142), 0xfee1_dead_u32, 672_274_793, RESTART, 0) };
    format!("{answer} {}", last())
}

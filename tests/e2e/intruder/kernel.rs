//! The kernel's own settings, secrets and log.

use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use crate::{
    Attempt, Outcome,
    sys::{self, any, may},
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

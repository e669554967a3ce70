//! System calls that know no namespace.

use std::fs;

use crate::{
    Attempt, Outcome,
    sys::{self, any, c, last, may, number},
    targets::Targets,
};

pub const ATTEMPTS: &[&Attempt] = &[
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
];

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

pub const USER_KEYRING: i32 = -4;

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

//! What a container cannot ask of the kernel at all: liblxc's list, and what has no namespace.
//!
//! Most of what could reach the host asks for a capability in the host's own user namespace, which nothing
//! in a container has. What stands here does not, or only where the host is set up so:
//! `docs/decisions/0060-system-calls-without-a-namespace.md`.

use std::{fs, io, path::Path};

/// Comes with liblxc.
pub(crate) const LIST: &str = "/usr/share/lxc/config/common.seccomp";

/// `EPERM`, as Docker answers: programs that come in its images know how to do without.
const REFUSED: [&str; 6] = [
    // The kernel's log is the whole machine's.
    "syslog",
    // Programs in the kernel, and a look at all processors.
    "bpf",
    "perf_event_open",
    // A ring opens sockets and files where no list looks.
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
];

/// `socket(AF_VSOCK)` leads to the hypervisor and to the machine's own listeners, whatever network one is
/// in; it fails as where the kernel has no such sockets.
const SOCKETS: &str = "socket errno 97 [0,40,SCMP_CMP_EQ]\n";

/// The whole list, in liblxc's second format.
pub(crate) fn profile() -> io::Result<String> {
    fs::read_to_string(Path::new(LIST)).map(|list| extend(&list))
}

fn extend(list: &str) -> String {
    // For every kind of system call that the processor knows, whatever the list ended with.
    let mut text = format!("{}\n[all]\n", list.trim_end());
    for name in REFUSED {
        text.push_str(name);
        text.push_str(" errno 1\n");
    }
    text + SOCKETS
}

/// The same for 32-bit programs, for which liblxc's list cannot look at the arguments of `socket`: the calling
/// thread, and all that it starts, loses that way. `socketcall`, whose arguments nobody can look at, fails as where
/// it does not exist; libraries then use `socket`.
#[cfg(target_arch = "x86_64")]
pub(crate) fn close_the_32_bit_way() -> io::Result<()> {
    const I386: u32 = 0x4000_0003;
    const SOCKETCALL: u32 = 102;
    const SOCKET: u32 = 359;
    // Where `struct seccomp_data` has them.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const FIRST_ARGUMENT: u32 = 16;
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let is = |value, yes, no| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let answer = |value| step(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    let fail = |errno: i32| answer(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs());
    let mut program = [
        load(ARCHITECTURE),
        is(I386, 0, 5),
        load(NUMBER),
        is(SOCKETCALL, 4, 0),
        is(SOCKET, 0, 2),
        load(FIRST_ARGUMENT),
        is(libc::AF_VSOCK.unsigned_abs(), 2, 0),
        answer(libc::SECCOMP_RET_ALLOW),
        fail(libc::ENOSYS),
        fail(libc::EAFNOSUPPORT),
    ];
    let program = libc::sock_fprog {
        len: program.len() as libc::c_ushort,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: a program of the length that is told with it, which the kernel checks and copies.
    let set = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// No other processor has one whose arguments liblxc's list misses.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn close_the_32_bit_way() -> io::Result<()> {
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn step(code: u32, value: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k: value,
    }
}

#[cfg(test)]
mod tests {
    use super::extend;

    #[test]
    fn what_liblxc_refuses_stays_refused_and_ours_is_for_every_architecture() {
        let text = extend("2\ndenylist\n[all]\nkexec_load errno 1\n[x86]\nmknod errno 1");
        assert!(text.starts_with("2\ndenylist\n[all]\nkexec_load errno 1\n"));
        let (_, ours) = text.rsplit_once("[all]\n").unwrap();
        assert!(ours.contains("syslog errno 1\n") && !ours.contains("mknod"));
    }
}

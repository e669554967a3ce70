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
/// in; it fails as where the kernel has no such sockets. A 32-bit program could ask for one by `socketcall`,
/// whose arguments no list can see: it fails as where it does not exist, and libraries then use `socket`.
const SOCKETS: &str = "socket errno 97 [0,40,SCMP_CMP_EQ]\nsocketcall errno 38\n";

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

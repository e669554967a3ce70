//! System calls the edge never makes.
//!
//! Invariant: what is refused here fails with `EPERM` (or `ENOSYS`, where libc has another way), so
//! a forgotten need shows as an error in a log and not as a dead edge. It is a list of the
//! forbidden, not of the allowed: an allow list breaks with every new libc, and the three other
//! layers already deny what needs a privilege. What this one adds: no programs, no processes, no
//! kernel interfaces with a history of escapes.

use std::{collections::BTreeMap, io};

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::SandboxError;

/// Refused whatever the arguments.
const FORBIDDEN: &[c_long] = &[
    // Other programs and processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_unshare,
    libc::SYS_setns,
    // File systems.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // The kernel itself.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_personality,
    // Large, little used by us, and often in advisories.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_fanotify_init,
];

/// Old ways that newer architectures never had.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[c_long] = &[];

/// The low byte of a socket's type, below `SOCK_CLOEXEC` and `SOCK_NONBLOCK`.
const SOCKET_TYPE: u64 = 0xf;

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

pub(super) fn install() -> Result<(), SandboxError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        SandboxError::new("dangerous system calls", io::Error::other(error))
    };
    // libc makes threads with clone3, whose flags a filter cannot see; told it does not exist, it
    // uses clone, whose flags one can.
    let unknown = Rules::from([(libc::SYS_clone3, vec![])]);
    let forbidden = forbidden().map_err(|e| failed(e.into()))?;
    for (rules, errno) in [(unknown, libc::ENOSYS), (forbidden, libc::EPERM)] {
        let program = compile(rules, errno).map_err(|e| failed(e.into()))?;
        seccompiler::apply_filter(&program).map_err(|e| failed(e.into()))?;
    }
    Ok(())
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

fn forbidden() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = FORBIDDEN
        .iter()
        .chain(FORBIDDEN_HERE)
        .map(|call| (*call, vec![]))
        .collect();
    // A thread is fine, a process is not. Namespaces need a process or `unshare`.
    let thread = constant(libc::CLONE_THREAD);
    let not_a_thread = when(0, SeccompCmpOp::MaskedEq(thread), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![not_a_thread])?]);
    rules.insert(libc::SYS_socket, sockets()?);
    Ok(rules)
}

/// Sockets of other families than we speak, and raw ones of those we do. Netlink is how interfaces
/// are listed for mDNS; its sockets are always of the raw kind.
fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let (inet, inet6) = (constant(libc::AF_INET), constant(libc::AF_INET6));
    let netlink = constant(libc::AF_NETLINK);
    let raw = constant(libc::SOCK_RAW);
    let families = [constant(libc::AF_UNIX), inet, inet6, netlink]
        .into_iter()
        .map(|family| when(0, SeccompCmpOp::Ne, family))
        .collect::<Result<_, _>>()?;
    let raw_of = |family| {
        SeccompRule::new(vec![
            when(0, SeccompCmpOp::Eq, family)?,
            when(1, SeccompCmpOp::MaskedEq(SOCKET_TYPE), raw)?,
        ])
    };
    let other_netlink = SeccompRule::new(vec![
        when(0, SeccompCmpOp::Eq, netlink)?,
        when(2, SeccompCmpOp::Ne, constant(libc::NETLINK_ROUTE))?,
    ])?;
    Ok(vec![
        SeccompRule::new(families)?,
        raw_of(inet)?,
        raw_of(inet6)?,
        other_netlink,
    ])
}

fn when(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// The kernel's small positive constants, as the filter compares them.
fn constant(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}

//! Giving up capabilities.
//!
//! Invariant: afterwards every set (effective, permitted, inheritable, ambient, bounding) is empty,
//! so not even a setuid program could bring one back.

use std::io;

use super::SandboxError;

/// `_LINUX_CAPABILITY_VERSION_3`, with two words per set.
const VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, twice: capabilities 0 to 31 and 32 to 63.
#[repr(C)]
#[derive(Default)]
struct Sets([[u32; 3]; 2]);

/// Empties the bounding set; needs `CAP_SETPCAP`, so it comes before the user changes.
pub(super) fn empty_bounding_set() -> Result<(), SandboxError> {
    for capability in 0..64 {
        // SAFETY: an integer call without pointers.
        let outcome = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if outcome != 0 {
            let error = io::Error::last_os_error();
            // The kernel knows fewer than 64, and says so at the first it does not know.
            if error.raw_os_error() == Some(libc::EINVAL) {
                break;
            }
            return Err(SandboxError::new("its capability bounding set", error));
        }
    }
    Ok(())
}

/// Empties all other sets.
pub(super) fn drop_all() -> Result<(), SandboxError> {
    let failed = || SandboxError::new("its capabilities", io::Error::last_os_error());
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL;
    // SAFETY: an integer call without pointers.
    if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, 0, 0, 0) } != 0 {
        return Err(failed());
    }
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let none = Sets::default();
    // SAFETY: both pointers are to live values laid out as the kernel's structures, and version 3
    // makes it read exactly two data words sets.
    let outcome = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const none) };
    if outcome == 0 { Ok(()) } else { Err(failed()) }
}

//! The command line that `ps` and `pkill -f` see.
//!
//! A container's monitor begins as a fork of us, and liblxc's own way of renaming it
//! (`PR_SET_MM_MAP`) is refused for some memory layouts. A monitor that still looks like us would
//! be killed by whoever means us, and its container with it.

use std::{fs, ptr};

/// Overwrites this process's command line. Best effort: a title that does not fit is cut, and a
/// process whose command line cannot be found keeps it.
///
/// # Safety
/// Nobody else may read or write the process's arguments meanwhile: call it in a freshly forked
/// child.
pub(crate) unsafe fn set(title: &str) {
    let Some((start, end)) = arguments() else {
        return;
    };
    let room = end - start;
    let bytes = &title.as_bytes()[..title.len().min(room.saturating_sub(1))];
    let place = ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel says that the arguments lie there, writable and `room` bytes long; the
    // caller promises that nobody else uses them.
    unsafe {
        ptr::write_bytes(place, 0, room);
        ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
    }
}

/// Where the arguments begin and end: fields 48 and 49 of `/proc/self/stat`.
fn arguments() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in field 2 may hold anything; the last `)` ends it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let start: usize = fields.get(45)?.parse().ok()?;
    let end: usize = fields.get(46)?.parse().ok()?;
    (start != 0 && end > start).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_found_where_the_kernel_keeps_them() {
        let (start, end) = arguments().unwrap();
        let shown = fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(end - start, shown.len());
    }
}

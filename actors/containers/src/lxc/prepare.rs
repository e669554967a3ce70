//! Making this process one that liblxc trusts with any id range.

use std::{env, ffi::OsString, path::PathBuf};

/// What liblxc looks for in `PATH`. Where it finds them it uses them, and they refuse every range that
/// root's `/etc/subuid` does not list; without them root writes the maps itself, and any range works.
const ID_TOOLS: [&str; 2] = ["newuidmap", "newgidmap"];

/// This process would give liblxc `newuidmap`, and every container would be refused its ids.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` in PATH holds newuidmap or newgidmap; call prepare_process() before starting threads"
)]
pub struct NotPrepared(PathBuf);

/// Takes every directory that holds `newuidmap` or `newgidmap` out of this process's `PATH`, and adds
/// the usual system directories that hold neither.
///
/// Usually that leaves `/usr/local/sbin`, `/usr/local/bin` and `/usr/sbin` (and takes `/usr/bin` away), so
/// afterwards call programs of `/usr/bin` by their full path.
///
/// # Safety
/// Must be called while this process has one thread, since it changes the environment: first thing
/// in `main`, before a runtime is built.
pub unsafe fn prepare_process() {
    // SAFETY: the caller promises that no other thread can be reading the environment.
    unsafe { env::set_var("PATH", trusted_path()) };
}

fn trusted_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin"].map(PathBuf::from);
    let mut dirs: Vec<PathBuf> = Vec::new();
    for dir in env::split_paths(&path).chain(usual) {
        if dir.is_absolute() && !holds_id_tools(&dir) && !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    // Directories split from a PATH contain no separator, so they can be joined again.
    env::join_paths(dirs).unwrap_or_default()
}

fn holds_id_tools(dir: &std::path::Path) -> bool {
    ID_TOOLS.iter().any(|tool| dir.join(tool).exists())
}

/// Whether [`prepare_process`] was called (or need not be).
pub(crate) fn check_prepared() -> Result<(), NotPrepared> {
    let path = env::var_os("PATH").unwrap_or_default();
    match env::split_paths(&path).find(|dir| holds_id_tools(dir)) {
        Some(dir) => Err(NotPrepared(dir)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trusted_path_has_no_id_tools_and_keeps_the_rest() {
        let path = trusted_path();
        let dirs: Vec<_> = env::split_paths(&path).collect();
        assert!(!dirs.is_empty());
        assert!(dirs.iter().all(|dir| !holds_id_tools(dir)));
    }
}

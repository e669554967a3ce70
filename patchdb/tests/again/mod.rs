//! This program again, as one of its own ignored tests: the process that is killed, cut off, or
//! given damaged files.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const DIR: &str = "PATCHDB_TEST_DIR";

/// The folder a helper was given; `None` when it is run by hand.
pub(crate) fn folder() -> Option<PathBuf> {
    env::var_os(DIR).map(PathBuf::from)
}

/// `program`, which is this one or starts it, as the helper `name`.
pub(crate) fn helper(program: Command, name: &str, dir: &Path) -> Command {
    let mut command = program;
    command
        .args([
            "--exact",
            name,
            "--ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(DIR, dir)
        .stdin(Stdio::null());
    command
}

/// This program.
pub(crate) fn myself() -> PathBuf {
    env::current_exe().unwrap()
}

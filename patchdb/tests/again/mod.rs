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

/// Runs the helper `name` to its end, which must be a good one, started by `program` (this one, or
/// what starts it); what it said.
#[allow(dead_code, reason = "not every program of tests needs it")]
pub(crate) fn run(program: Command, name: &str, dir: &Path) -> String {
    let output = helper(program, name, dir).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = output.status;
    assert!(
        status.success() && text.contains("1 passed"),
        "{status} {text}"
    );
    text
}

/// What starts this program with mounts of its own.
#[allow(dead_code, reason = "not every program of tests needs it")]
pub(crate) fn with_own_mounts() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.arg("--").arg(myself());
    unshare
}

//! Running programs: as the user who called `make`, or as root.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Gid, Uid, chown, geteuid};

/// The user who called `make`, where that was done through sudo.
fn caller() -> Option<(u32, u32)> {
    let id = |name: &str| env::var(name).ok()?.parse().ok();
    geteuid().is_root().then_some(())?;
    Some((id("SUDO_UID")?, id("SUDO_GID")?))
}

/// Whether this process became root through sudo, for a user who is not.
pub(crate) fn through_sudo() -> bool {
    caller().is_some_and(|(uid, _)| uid != 0)
}

/// A program that runs with the rights of the user who called `make`. For everything that builds.
pub(crate) fn as_user(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = caller() {
        command.uid(uid).gid(gid);
    }
    command
}

/// A program that runs as root.
///
/// # Errors
/// When this process is not root.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    let program = program.as_ref();
    ensure!(
        geteuid().is_root(),
        "{} needs root: run `make` as root or with sudo",
        program.display()
    );
    Ok(Command::new(program))
}

/// Hands a file that root wrote to the user who called `make`.
pub(crate) fn give_to_user(path: &Path) -> Result<()> {
    let Some((uid, gid)) = caller() else {
        return Ok(());
    };
    chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .with_context(|| format!("cannot give {} to the calling user", path.display()))
}

/// Runs it with its output shown, and waits.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs it and returns what it printed; what it says on stderr is shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no text", shown(command)))
}

/// As a person would type it, but cut: error messages are read on a terminal.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ");
    if line.chars().count() > 160 {
        format!("`{}...`", line.chars().take(160).collect::<String>())
    } else {
        format!("`{line}`")
    }
}

//! The commit a package is made from.

use std::path::Path;
use std::process::{Command, Stdio};

/// The commit of the repository around `folder`, with `-modified` if tracked files differ from it.
/// None without git or a repository: then the package simply does not say.
pub(super) fn describe(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(arguments);
        command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()
    };
    let head = git(&["rev-parse", "HEAD"]).filter(|output| output.status.success())?;
    let commit = String::from_utf8(head.stdout).ok()?.trim().to_owned();
    // Exit status 1 means that something differs, anything above that git could not tell.
    match git(&["diff", "--quiet", "HEAD"])?.status.code() {
        Some(0) => Some(commit),
        _ => Some(format!("{commit}-modified")),
    }
}

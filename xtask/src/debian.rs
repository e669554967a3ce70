//! A Debian 13 in a folder, from where this machine's own packages come.

use std::path::Path;

use anyhow::Result;

use crate::command;

/// Puts a minimal system with these packages into `root`, which must not exist.
pub(crate) fn install(root: &Path, packages: &[&str]) -> Result<()> {
    let mut debian = command::as_root("mmdebstrap")?;
    debian
        .args(["--quiet", "--variant=minbase"])
        .arg(format!("--include={}", packages.join(",")))
        .args([
            "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
            "--aptopt=Acquire::Check-Valid-Until \"false\"",
            "trixie",
        ])
        .arg(root)
        .arg(mirror()?);
    command::run(&mut debian)
}

/// Where this machine's apt takes Debian from.
fn mirror() -> Result<String> {
    let mut apt = command::as_user("apt-get");
    apt.args([
        "indextargets",
        "--format",
        "$(SITE)",
        "Created-By: Packages",
    ]);
    let sites = command::output(&mut apt)?;
    let debian = sites
        .lines()
        .find(|site| site.trim_end_matches('/').ends_with("/debian"));
    Ok(debian.unwrap_or("http://deb.debian.org/debian").to_owned())
}

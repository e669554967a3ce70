//! Whether this kernel confines containers by AppArmor. Debian's own does.

use std::{fs, path::Path};

use super::lifecycle::find_program;

/// Through which profiles reach the kernel.
const INTERFACE: &str = "/sys/kernel/security/apparmor/features";
/// What liblxc hands the profile of a container to.
const PARSER: &str = "apparmor_parser";

/// Whether containers need a profile.
pub(super) fn is_on() -> bool {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|enabled| enabled.starts_with('Y'))
}

/// What is there; or what is missing, and what to do about it.
pub(super) fn check() -> Result<String, (String, &'static str)> {
    if !is_on() {
        return Ok("not in this kernel, so not used".to_owned());
    }
    if !Path::new(INTERFACE).exists() {
        return Err((
            format!("{INTERFACE} is missing"),
            "mount -t securityfs securityfs /sys/kernel/security",
        ));
    }
    match find_program(PARSER) {
        Some(file) => Ok(file.display().to_string()),
        None => Err((format!("{PARSER} not found"), "apt install apparmor")),
    }
}

//! Counts that all containers share with the host.
//!
//! The kernel counts a user's watches for whoever made the user's namespace as well. For every container that
//! is the host's root, so where the limit is the usual 128, one service could take all, and nobody on the machine
//! would get another: no neighbour, not systemd, not Coppice. A limit of a container's own is no help, because
//! its root may lift that. So the shared limits are lifted as far as they go, and what bounds a service is the
//! memory that its watches take, which is counted for its own cgroup.

use std::{fs, io, path::Path};

/// Below `/proc/sys/fs`.
const COUNTS: [&str; 4] = [
    "inotify/max_user_instances",
    "inotify/max_user_watches",
    "fanotify/max_user_groups",
    "fanotify/max_user_marks",
];

/// The largest that all of them take.
const MOST: i64 = i32::MAX as i64;

/// Lifts the limits; what is as wanted is not written, and nothing is ever lowered. A host whose settings cannot be
/// written runs services all the same.
pub(crate) fn lift() {
    for name in COUNTS {
        if let Err(error) = at_least(&Path::new("/proc/sys/fs").join(name)) {
            let key = format!("fs.{}", name.replace('/', "."));
            tracing::warn!(%error, key, "services share this limit; set it to {MOST} in /etc/sysctl.d");
        }
    }
}

fn at_least(file: &Path) -> io::Result<()> {
    let now = match fs::read_to_string(file) {
        // A kernel without the feature has nothing to share.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        now => now?,
    };
    if now.trim().parse().is_ok_and(|now: i64| now >= MOST) {
        return Ok(());
    }
    fs::write(file, MOST.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_lifted_and_never_lowered() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (before, after) in [
            ("128\n", "2147483647"),
            ("2147483647", "2147483647"),
            ("9000000000", "9000000000"),
        ] {
            fs::write(file.path(), before).unwrap();
            at_least(file.path()).unwrap();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), after);
        }
        at_least(Path::new("/proc/sys/fs/none/such")).unwrap();
    }
}

//! Logins to other machines, kept for the user who made them.
//!
//! Invariant: the file is its owner's alone from the moment it is there, and one that others can read is not used: what
//! stands in it opens a server.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// What is kept of one server.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The token of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// Its root certificate, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<String>,
}

/// By address.
pub(super) type All = BTreeMap<String, Known>;

/// The file.
pub(super) struct Sessions(PathBuf);

impl Sessions {
    /// The file of whoever runs this.
    pub(super) fn of_user() -> anyhow::Result<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = match (set("XDG_CONFIG_HOME"), set("HOME")) {
            (Some(config), _) => PathBuf::from(config),
            (None, Some(home)) => Path::new(&home).join(".config"),
            (None, None) => {
                anyhow::bail!("neither HOME nor XDG_CONFIG_HOME says where logins are kept")
            }
        };
        Ok(Self::in_folder(&folder.join("coppice")))
    }

    fn in_folder(folder: &Path) -> Self {
        Self(folder.join("sessions.json"))
    }

    /// All of them; none when there is no file.
    pub(super) fn read(&self) -> anyhow::Result<All> {
        let path = self.0.display();
        let file = match fs::File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(All::new()),
            Err(error) => return Err(error).context(format!("`{path}` cannot be read")),
        };
        let mode = file.metadata()?.mode();
        ensure!(
            mode & 0o077 == 0,
            "others can read `{path}`, and with it sign in as you; end those sessions (`coppice auth sessions`), \
             then `chmod 600` it"
        );
        serde_json::from_reader(file)
            .with_context(|| format!("`{path}` is damaged; remove it, and log in again"))
    }

    /// Keeps these in the place of those that were.
    pub(super) fn write(&self, all: &All) -> anyhow::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        let failed = || format!("`{}` cannot be written", self.0.display());
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(failed)?;
        let partial = self
            .0
            .with_extension(format!("partial-{}", std::process::id()));
        let kept = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut file| {
                file.write_all(format!("{:#}\n", serde_json::json!(all)).as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&partial, &self.0));
        if kept.is_err() {
            // What was begun is of no use, and may hold a secret.
            let _ = fs::remove_file(&partial);
        }
        kept.with_context(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn known(session: &str) -> Known {
        Known {
            session: Some(session.to_owned()),
            ca: None,
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_is_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("new/coppice");
        let sessions = Sessions::in_folder(&folder);
        assert!(sessions.read().unwrap().is_empty());
        let all = All::from([("https://a.local".to_owned(), known("abc"))]);
        sessions.write(&all).unwrap();
        sessions.write(&all).unwrap();
        assert!(sessions.read().unwrap() == all);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&sessions.0)), (0o700, 0o600));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn what_others_can_read_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let sessions = Sessions::in_folder(home.path());
        sessions.write(&All::new()).unwrap();
        fs::set_permissions(&sessions.0, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = sessions.read().err().unwrap();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
}

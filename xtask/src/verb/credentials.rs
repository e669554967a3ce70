//! The passwords that `make run` makes up: shown once, kept in one file that only root reads.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Characters that nobody mistakes for others: 32 of them, so that each carries five bits.
const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const LENGTH: usize = 20;
/// Stands where the administrator's password would, when it is not ours.
const NOT_OURS: &str = "(set before, and left alone; `coppice auth set-password` sets another)";

/// What one needs to log in to what `make run` sets up.
pub(crate) struct Credentials {
    /// The administrator's password, for the web UI and the API; `None` when the server had one that somebody else set.
    pub(crate) coppice: Option<String>,
    /// The password of `admin` in Miniflux.
    pub(crate) miniflux: String,
}

impl Credentials {
    /// The ones that were kept, else new ones, and whether they are new.
    pub(crate) fn of(data: &Path) -> Result<(Self, bool)> {
        let file = Self::file(data);
        match fs::read_to_string(&file) {
            Ok(text) => Ok((
                Self::read(&text).with_context(|| format!("{} is damaged", file.display()))?,
                false,
            )),
            Err(_) => Ok((
                Self {
                    coppice: Some(password()?),
                    miniflux: password()?,
                },
                true,
            )),
        }
    }

    pub(crate) fn keep(&self, data: &Path) -> Result<()> {
        let file = Self::file(data);
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&file);
        let written = opened.and_then(|mut opened| opened.write_all(self.text().as_bytes()));
        written.with_context(|| format!("cannot write {}", file.display()))
    }

    pub(crate) fn file(data: &Path) -> PathBuf {
        data.join("password")
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "Coppice: {}\nMiniflux, user admin: {}\n",
            self.coppice.as_deref().unwrap_or(NOT_OURS),
            self.miniflux
        )
    }

    fn read(text: &str) -> Option<Self> {
        let (coppice, miniflux) = text.trim_end().split_once('\n')?;
        let coppice = coppice.strip_prefix("Coppice: ")?;
        Some(Self {
            coppice: (coppice != NOT_OURS).then(|| coppice.to_owned()),
            miniflux: miniflux.strip_prefix("Miniflux, user admin: ")?.to_owned(),
        })
    }
}

/// A hundred random bits.
fn password() -> Result<String> {
    let mut random = [0; LENGTH];
    let read = File::open("/dev/urandom").and_then(|mut urandom| urandom.read_exact(&mut random));
    read.context("cannot read /dev/urandom")?;
    Ok(random
        .iter()
        .map(|byte| char::from(SIGNS[usize::from(byte % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_kept_is_found_again_and_only_its_owner_reads_it() {
        let data = tempfile::tempdir().unwrap();
        let (made, are_new) = Credentials::of(data.path()).unwrap();
        assert!(are_new);
        made.keep(data.path()).unwrap();
        let (found, are_new) = Credentials::of(data.path()).unwrap();
        assert!(!are_new);
        assert_eq!(
            (found.coppice, found.miniflux),
            (made.coppice, made.miniflux)
        );
        let mode = fs::metadata(Credentials::file(data.path()))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_password_that_somebody_else_set_is_neither_kept_nor_made_up() {
        let data = tempfile::tempdir().unwrap();
        let (mut made, _) = Credentials::of(data.path()).unwrap();
        made.coppice = None;
        made.keep(data.path()).unwrap();
        let (found, are_new) = Credentials::of(data.path()).unwrap();
        assert!(!are_new);
        assert_eq!(
            (found.coppice, found.miniflux),
            (None, made.miniflux.clone())
        );
        assert!(made.text().contains("set before"), "{}", made.text());
    }

    #[test]
    fn two_passwords_are_not_the_same() {
        assert_ne!(password().unwrap(), password().unwrap());
    }
}

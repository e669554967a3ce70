//! Secrets: keys, password hashes, tokens. A store of their own, outside the document.
//!
//! Invariants:
//! - Nothing here has a JSON form, appears in a dump, a history or a log, or is broadcast.
//! - A value in memory is a [`Secret`]: it prints as `Secret(…)` and is wiped when dropped.
//! - `put` and `delete` are on the disk when they return. What was deleted may stay in unused
//!   pages of the file until they are written again: the folder is readable by its owner only, and
//!   a disk that leaves the house needs encryption below us.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, WithoutTls, types::Bytes};
use zeroize::Zeroizing;

use crate::{
    disk::{
        DamagedRow, OwnerLock, ensure_born, make_private_dir, recovery, seal, sync_dir, unseal,
    },
    error::{OpenError, is_full},
    examiner::Examiner,
};

/// Room for secrets; they are small.
const MAP_SIZE: usize = 256 << 20;

const TABLE: &str = "secrets";

/// Longest namespace and key together, in bytes.
const MAX_NAME_BYTES: usize = 500;

/// Bytes that must not be shown.
///
/// ```compile_fail
/// fn send(secret: patchdb::Secret) -> String {
///     serde_json::to_string(&secret).unwrap()
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes into care.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for the one who needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text; `None` when they are not UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a secret was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The name does not fit a row.
    #[error(
        "the secret's name `{namespace}/{key}` is not usable: no NUL in the namespace, at most {MAX_NAME_BYTES} bytes together"
    )]
    Name {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
    },
    /// No space.
    #[error("the disk that holds `{dir}` is full; free some space and try again")]
    Full {
        /// The folder.
        dir: PathBuf,
    },
    /// LMDB or the system failed.
    #[error("the secrets in `{dir}` could not be read or written")]
    Disk {
        /// The folder.
        dir: PathBuf,
        /// What it said.
        #[source]
        source: heed::Error,
    },
    /// The row is not what was written.
    #[error("a secret in `{dir}` is damaged; restore a backup")]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// Which one.
        #[source]
        row: DamagedRow,
    },
}

/// The store of secrets. Handles are cheap to clone.
#[derive(Clone)]
pub struct SecretStore {
    inner: Arc<SecretInner>,
}

struct SecretInner {
    dir: PathBuf,
    env: Env<WithoutTls>,
    table: Database<'static, Bytes, Bytes>,
    // After `env`: the map is gone before another process may lock.
    _lock: OwnerLock,
}

impl SecretStore {
    /// Opens the store in `dir` (made with mode 0700). Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_by(dir.as_ref(), None)
    }

    /// The same; `examiner` looks the file over first, so that damage is an error and not the end of
    /// this process. There are no copies to go back to: a copy would bring back sessions that were
    /// ended and passwords that were changed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_examined(dir: impl AsRef<Path>, examiner: &Examiner) -> Result<Self, OpenError> {
        Self::open_by(dir.as_ref(), Some(examiner))
    }

    fn open_by(dir: &Path, examiner: Option<&Examiner>) -> Result<Self, OpenError> {
        let dir = dir.to_owned();
        make_private_dir(&dir)?;
        let lock = OwnerLock::take(&dir)?;
        if let Some(examiner) = examiner {
            recovery::ensure_sound(&dir, examiner)?;
        }
        ensure_born(&dir, MAP_SIZE, &[TABLE])?;
        let (env, table) = map(&dir).map_err(|source| OpenError::Database {
            dir: dir.clone(),
            source,
        })?;
        sync_dir(&dir)?;
        Ok(Self {
            inner: Arc::new(SecretInner {
                dir,
                env,
                table,
                _lock: lock,
            }),
        })
    }

    /// The secret of that name; `None` when there is none.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn get(&self, namespace: &str, key: &str) -> Result<Option<Secret>, SecretError> {
        let inner = &self.inner;
        let name = name(namespace, key)?;
        let read = || {
            let txn = inner.env.read_txn()?;
            let value = inner.table.get(&txn, &name)?;
            Ok(value.map(|value| unseal(&name, value).map(Secret::new)))
        };
        read()
            .map_err(|source| inner.failed(source))?
            .transpose()
            .map_err(|row| SecretError::Damaged {
                dir: inner.dir.clone(),
                row,
            })
    }

    /// Keeps a secret, replacing an older one. Blocks on the disk: use `spawn_blocking`, or accept
    /// a few milliseconds.
    ///
    /// # Errors
    /// [`SecretError`]; the older one is still there.
    pub fn put(&self, namespace: &str, key: &str, secret: &Secret) -> Result<(), SecretError> {
        let name = name(namespace, key)?;
        let value = Zeroizing::new(seal(&name, secret.expose()));
        self.inner
            .write(|inner, txn| inner.table.put(txn, &name, &value))
    }

    /// Forgets a secret; whether there was one. Blocks on the disk.
    ///
    /// # Errors
    /// [`SecretError`]; it is still there.
    pub fn delete(&self, namespace: &str, key: &str) -> Result<bool, SecretError> {
        let name = name(namespace, key)?;
        self.inner
            .write(|inner, txn| inner.table.delete(txn, &name))
    }

    /// Forgets everything in a namespace; how many there were. Blocks on the disk.
    ///
    /// # Errors
    /// [`SecretError`]; all are still there.
    pub fn delete_namespace(&self, namespace: &str) -> Result<usize, SecretError> {
        let names: Vec<Vec<u8>> = self
            .keys(namespace)?
            .iter()
            .map(|key| name(namespace, key))
            .collect::<Result<_, _>>()?;
        self.inner.write(|inner, txn| {
            for name in &names {
                inner.table.delete(txn, name)?;
            }
            Ok(names.len())
        })
    }

    /// The keys in a namespace, sorted. Names are not secret.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn keys(&self, namespace: &str) -> Result<Vec<String>, SecretError> {
        let inner = &self.inner;
        let prefix = name(namespace, "")?;
        let read = || {
            let txn = inner.env.read_txn()?;
            let mut keys = Vec::new();
            for row in inner.table.prefix_iter(&txn, &prefix)? {
                keys.push(String::from_utf8_lossy(&row?.0[prefix.len()..]).into_owned());
            }
            Ok(keys)
        };
        read().map_err(|source| inner.failed(source))
    }
}

impl SecretInner {
    fn write<T>(
        &self,
        f: impl FnOnce(&Self, &mut heed::RwTxn<'_>) -> Result<T, heed::Error>,
    ) -> Result<T, SecretError> {
        let work = || {
            let mut txn = self.env.write_txn()?;
            let result = f(self, &mut txn)?;
            txn.commit()?;
            Ok(result)
        };
        work().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: heed::Error) -> SecretError {
        let dir = self.dir.clone();
        if is_full(&dir, &source) {
            SecretError::Full { dir }
        } else {
            SecretError::Disk { dir, source }
        }
    }
}

fn map(dir: &Path) -> Result<(Env<WithoutTls>, Database<'static, Bytes, Bytes>), heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_SIZE).max_dbs(1).max_readers(512);
    // SAFETY: the files lie in a folder only we may enter, the owner lock keeps other processes
    // that follow our rules out, and no flag weakens LMDB's own locking or syncing.
    let env = unsafe { options.open(dir)? };
    let txn = env.write_txn()?;
    let table = env
        .create_databases_and_commit(txn, |open, txn| {
            open.create_database::<Bytes, Bytes>(txn, Some(TABLE))
                .map(CommitOrAbort::<_, ()>::Commit)
        })?
        .unwrap_commit();
    Ok((env, table))
}

/// `namespace NUL key`: no namespace is a prefix of another's rows.
fn name(namespace: &str, key: &str) -> Result<Vec<u8>, SecretError> {
    if namespace.contains('\0') || namespace.len() + key.len() > MAX_NAME_BYTES {
        return Err(SecretError::Name {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
        });
    }
    Ok([namespace.as_bytes(), b"\0", key.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_survive_a_reopen_and_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        let store = SecretStore::open(&path).unwrap();
        assert_eq!(store.get("smtp", "password").unwrap(), None);
        store
            .put("smtp", "password", &Secret::new("hunter2"))
            .unwrap();
        store
            .put("smtp2", "password", &Secret::new("other"))
            .unwrap();
        drop(store);

        let store = SecretStore::open(&path).unwrap();
        let secret = store.get("smtp", "password").unwrap().unwrap();
        assert_eq!(secret.expose_str(), Some("hunter2"));
        assert_eq!(store.keys("smtp").unwrap(), ["password"]);
        assert_eq!(store.delete_namespace("smtp").unwrap(), 1);
        assert_eq!(store.get("smtp", "password").unwrap(), None);
        assert!(store.delete("smtp2", "password").unwrap());
        assert!(!store.delete("smtp2", "password").unwrap());
    }

    #[test]
    fn the_folder_is_for_its_owner_only_and_one_opener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        let _store = SecretStore::open(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert!(matches!(
            SecretStore::open(&path),
            Err(OpenError::Locked { .. })
        ));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(…) Secret(…)");
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretStore::open(dir.path()).unwrap();
        let secret = Secret::new("x");
        assert!(matches!(
            store.put("a\0b", "c", &secret),
            Err(SecretError::Name { .. })
        ));
        assert!(matches!(
            store.put("a", &"c".repeat(600), &secret),
            Err(SecretError::Name { .. })
        ));
    }
}

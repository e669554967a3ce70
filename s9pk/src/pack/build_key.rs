//! The key that signs what a developer packs: Ed25519, PKCS#8 in PEM, in `.startos/build-key`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};

use crate::error_kind::ErrorKind;

/// Where a key lies, below a folder.
const PLACE: &str = ".startos/build-key";

/// A build key could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum BuildKeyError {
    /// The file could not be read.
    #[error("could not read the build key `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a key.
    #[error(
        "`{}` is not an Ed25519 key in PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` makes it",
        .0.display()
    )]
    NotAKey(PathBuf),
    /// A new key could not be written.
    #[error("could not write a build key to `{}`; a key that exists is never replaced", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl BuildKeyError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Read { .. } | Self::Write { .. } => ErrorKind::Filesystem.code(),
            Self::NotAKey(_) => ErrorKind::Pem.code(),
        }
    }
}

/// The nearest `.startos/build-key` in `folder` or above it.
#[must_use]
pub fn find_build_key(folder: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(folder).ok()?;
    let places = folder.ancestors().map(|above| above.join(PLACE));
    places.into_iter().find(|place| place.is_file())
}

/// Reads a key.
///
/// # Errors
/// [`BuildKeyError`] if the file cannot be read or is not a key.
pub fn read_build_key(path: &Path) -> Result<SigningKey, BuildKeyError> {
    let pem = fs::read_to_string(path).map_err(|source| BuildKeyError::Read {
        path: path.to_owned(),
        source,
    })?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|_| BuildKeyError::NotAKey(path.to_owned()))
}

/// Makes a key and writes it to `path` (0600, its folders 0700).
///
/// # Errors
/// [`BuildKeyError::Write`], also if the file exists.
pub fn create_build_key(path: &Path) -> Result<SigningKey, BuildKeyError> {
    let failed = |source| BuildKeyError::Write {
        path: path.to_owned(),
        source,
    };
    let mut secret_key = [0; 32];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut secret_key));
    random.map_err(failed)?;
    let pair = KeypairBytes {
        secret_key,
        // The short form: some readers refuse the one that repeats the public key.
        public_key: None,
    };
    let pem = pair
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| failed(io::Error::other(error)))?;
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    });
    written.map_err(failed)?;
    Ok(SigningKey::from_bytes(&secret_key))
}

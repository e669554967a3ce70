//! Random names.

use rand::RngCore;

/// Fresh text of `bytes` random bytes in lower-case base32 without padding.
#[must_use]
pub(crate) fn random(bytes: usize) -> String {
    let mut raw = vec![0; bytes];
    rand::rng().fill_bytes(&mut raw);
    data_encoding::BASE32_NOPAD.encode(&raw).to_lowercase()
}

/// A name for something that lives as long as a container: 32 characters, safe in a path.
#[must_use]
pub(crate) fn guid() -> String {
    random(20)
}

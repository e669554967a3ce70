//! Random names.

use rand::RngCore;

/// Fresh text of `bytes` random bytes in lower-case base32 without padding.
#[must_use]
pub(crate) fn random(bytes: usize) -> String {
    let mut raw = vec![0; bytes];
    fill(&mut raw);
    data_encoding::BASE32_NOPAD.encode(&raw).to_lowercase()
}

fn fill(raw: &mut [u8]) {
    #[cfg(test)]
    if crate::testing::draw(raw) {
        return;
    }
    rand::rng().fill_bytes(raw);
}

/// A name for something that lives as long as a container: 32 characters, safe in a path.
#[must_use]
pub(crate) fn guid() -> String {
    random(20)
}

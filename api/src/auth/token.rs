//! Texts that open something to whoever shows them.
//!
//! Invariant: such a text is made from 32 random bytes and given away once; what is kept and listed
//! is its SHA-256. The text cannot be guessed, so its hash needs neither salt nor cost.

use rand::RngCore;
use sha2::{Digest, Sha256};

/// A new text.
pub(super) fn fresh() -> String {
    let mut raw = [0; 32];
    rand::rng().fill_bytes(&mut raw);
    lower(&raw)
}

/// The id under which what `shown` opens is kept and listed.
pub(super) fn id(shown: &[u8]) -> String {
    lower(&Sha256::digest(shown))
}

fn lower(bytes: &[u8]) -> String {
    let mut text = data_encoding::BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

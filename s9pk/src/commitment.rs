//! What a signature of a package covers: 40 bytes that pin everything else through hashes.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Emits no padding, accepts it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The root of an archive: a package is the same package exactly when its commitment is.
///
/// JSON: `{"rootSighash": <base64>, "rootMaxsize": <integer>}`, as registries publish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct Commitment {
    /// Hash of the root table of contents in its canonical form.
    #[serde(with = "sighash")]
    #[ts(type = "string")]
    pub root_sighash: Digest,
    /// The most bytes a reader may read for the root table of contents.
    #[ts(type = "number")]
    pub root_maxsize: u64,
}

impl Commitment {
    /// The file name, without ending, under which StartOS keeps the package: lowercase base32 of the
    /// root hash.
    #[must_use]
    pub fn file_stem(&self) -> String {
        data_encoding::BASE32_NOPAD
            .encode(&self.root_sighash.0)
            .to_ascii_lowercase()
    }

    /// The 40 bytes that are signed.
    #[must_use]
    pub fn message(&self) -> [u8; 40] {
        let mut message = [0; 40];
        message[..32].copy_from_slice(&self.root_sighash.0);
        message[32..].copy_from_slice(&self.root_maxsize.to_be_bytes());
        message
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (at most {} bytes)",
            self.root_sighash.base64(),
            self.root_maxsize
        )
    }
}

/// A text is not a commitment in JSON.
#[derive(Debug, thiserror::Error)]
#[error("not a commitment; expected {{\"rootSighash\": \"<base64>\", \"rootMaxsize\": <number>}}")]
pub struct CommitmentError(#[source] serde_json::Error);

impl FromStr for Commitment {
    type Err = CommitmentError;

    fn from_str(json: &str) -> Result<Self, CommitmentError> {
        serde_json::from_str(json).map_err(CommitmentError)
    }
}

mod sighash {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{BASE64, Digest, Engine};

    pub(super) fn serialize<S: Serializer>(
        hash: &Digest,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(hash.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let length = bytes.len();
        let wrong = |_| D::Error::custom(format_args!("a hash has 32 bytes, not {length}"));
        bytes.try_into().map(Digest).map_err(wrong)
    }
}

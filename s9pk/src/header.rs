//! The first 155 bytes: magic, signer, signature, commitment, and where the root table is.
//!
//! ```text
//!   0   2  3b 3b            99  32  root sighash
//!   2   1  02              131   8  root max size
//!   3  32  public key      139   8  position of the root table (not signed)
//!  35  64  signature       147   8  size of the root table     (not signed)
//! ```
//!
//! Invariant: a [`Header`] that exists carries a valid signature over its commitment.

use ed25519_dalek::{Digest as _, Sha512, Signature, SigningKey, VerifyingKey};

use crate::commitment::Commitment;
use crate::digest::Digest;
use crate::error_kind::ErrorKind;

/// Bytes of the header.
pub const HEADER_SIZE: u64 = 155;
const SIZE: usize = HEADER_SIZE as usize;

/// What separates signatures of packages from any other use of the same key.
const CONTEXT: &[u8] = b"s9pk";

/// The most a root table may declare when nothing outside the file says what to expect.
pub const MAX_UNCOMMITTED_ROOT_SIZE: u64 = 1024 * 1024;

/// The first bytes of a file are not the header of a package that can be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Shorter than a header.
    #[error("the file ends after {0} bytes: it is not a package, or was not copied completely")]
    Short(u64),
    /// Another kind of file.
    #[error("the file is not a package: it does not begin with `;;`; was it copied whole?")]
    Magic,
    /// The format of StartOS 0.3.
    #[error(
        "the package is in format 1, made for StartOS 0.3; ask its maker for a package for \
         StartOS 0.4"
    )]
    Version1,
    /// A format that came after this program.
    #[error(
        "the package is in format {0}, this program reads format 2; a newer Coppice may know it"
    )]
    UnknownVersion(u8),
    /// The key is not a point of the curve.
    #[error(
        "the package's public key is not a valid key; the file is damaged or forged: copy or download it again"
    )]
    PublicKey,
    /// The signature is not one of that key over this root, or not in canonical form.
    #[error(
        "the package's signature does not match; the file is damaged or forged: copy or download it again"
    )]
    Signature,
    /// Another package than the one that was promised.
    #[error(
        "the file holds another package: expected {}, found {}; check where it came from",
        expected.base64(), found.base64()
    )]
    OtherPackage {
        /// The root that was promised.
        expected: Digest,
        /// The root of the file.
        found: Digest,
    },
    /// The header allows a larger root table than was promised.
    #[error("the package declares a table of {found} bytes where at most {expected} were promised")]
    AboveCommitment {
        /// The promise, in bytes.
        expected: u64,
        /// The header's claim, in bytes.
        found: u64,
    },
    /// No commitment was given and the root table is implausibly large.
    #[error(
        "the package declares a table of {0} bytes; without a commitment from a registry at most \
         {MAX_UNCOMMITTED_ROOT_SIZE} are read: it must be packed again, with fewer files"
    )]
    RootTooLarge(u64),
}

impl HeaderError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        let kind = match self {
            Self::Short(_) | Self::Magic | Self::Version1 | Self::UnknownVersion(_) => {
                ErrorKind::ParseS9pk
            }
            Self::PublicKey
            | Self::Signature
            | Self::OtherPackage { .. }
            | Self::AboveCommitment { .. }
            | Self::RootTooLarge(_) => ErrorKind::InvalidSignature,
        };
        kind.code()
    }
}

/// Who signed a package, and what.
///
/// The key is the signer's own claim: it proves that *some* key vouches for the contents, trust comes
/// from a registry or from knowing the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    signer: VerifyingKey,
    signature: Signature,
    commitment: Commitment,
}

impl Header {
    /// Signs a commitment.
    #[must_use]
    pub fn sign(commitment: Commitment, key: &SigningKey) -> Self {
        #[expect(
            clippy::unwrap_used,
            reason = "fails only for contexts longer than 255 bytes"
        )]
        let signature = key
            .sign_prehashed(prehash(&commitment), Some(CONTEXT))
            .unwrap();
        Self {
            signer: key.verifying_key(),
            signature,
            commitment,
        }
    }

    /// Reads and verifies the beginning of a file; returns position and size of the root table too.
    ///
    /// # Errors
    /// [`HeaderError`], in the order in which the checks are listed there.
    pub fn parse(
        bytes: &[u8],
        expected: Option<&Commitment>,
    ) -> Result<(Self, u64, u64), HeaderError> {
        match bytes {
            [b';', b';', 1, ..] => return Err(HeaderError::Version1),
            [b';', b';', 2, ..] => {}
            [b';', b';', version, ..] => return Err(HeaderError::UnknownVersion(*version)),
            [_, _, _, ..] => return Err(HeaderError::Magic),
            _ => {}
        }
        let Some((bytes, _)) = bytes.split_first_chunk::<SIZE>() else {
            return Err(HeaderError::Short(bytes.len() as u64));
        };
        let signer: [u8; 32] = array(bytes, 3);
        let signer = VerifyingKey::from_bytes(&signer).map_err(|_| HeaderError::PublicKey)?;
        let header = Self {
            signer,
            signature: Signature::from_bytes(&array(bytes, 35)),
            commitment: Commitment {
                root_sighash: Digest(array(bytes, 99)),
                root_maxsize: u64::from_be_bytes(array(bytes, 131)),
            },
        };
        signer
            .verify_prehashed_strict(
                prehash(&header.commitment),
                Some(CONTEXT),
                &header.signature,
            )
            .map_err(|_| HeaderError::Signature)?;
        header.check(expected)?;
        let position = u64::from_be_bytes(array(bytes, 139));
        let size = u64::from_be_bytes(array(bytes, 147));
        Ok((header, position, size))
    }

    fn check(&self, expected: Option<&Commitment>) -> Result<(), HeaderError> {
        let found = &self.commitment;
        match expected {
            Some(expected) if expected.root_sighash != found.root_sighash => {
                Err(HeaderError::OtherPackage {
                    expected: expected.root_sighash,
                    found: found.root_sighash,
                })
            }
            Some(expected) if found.root_maxsize > expected.root_maxsize => {
                Err(HeaderError::AboveCommitment {
                    expected: expected.root_maxsize,
                    found: found.root_maxsize,
                })
            }
            None if found.root_maxsize > MAX_UNCOMMITTED_ROOT_SIZE => {
                Err(HeaderError::RootTooLarge(found.root_maxsize))
            }
            _ => Ok(()),
        }
    }

    /// The header's bytes for a root table at `position` of `size` bytes.
    #[must_use]
    pub fn to_bytes(&self, position: u64, size: u64) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..3].copy_from_slice(b";;\x02");
        bytes[3..35].copy_from_slice(self.signer.as_bytes());
        bytes[35..99].copy_from_slice(&self.signature.to_bytes());
        bytes[99..139].copy_from_slice(&self.commitment.message());
        bytes[139..147].copy_from_slice(&position.to_be_bytes());
        bytes[147..].copy_from_slice(&size.to_be_bytes());
        bytes
    }

    /// The key that signed.
    #[must_use]
    pub fn signer(&self) -> &VerifyingKey {
        &self.signer
    }

    /// The signature, which registries accept as theirs when they know the key.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What was signed.
    #[must_use]
    pub fn commitment(&self) -> &Commitment {
        &self.commitment
    }
}

fn prehash(commitment: &Commitment) -> Sha512 {
    Sha512::new_with_prefix(commitment.message())
}

fn array<const N: usize>(bytes: &[u8; SIZE], from: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[from..from + N]);
    array
}

//! StartOS packages, s9pk version 2.

mod commitment;
mod digest;
mod error_kind;
mod id;
mod locale;
mod manifest;

pub use commitment::{Commitment, CommitmentError};
pub use digest::{Digest, DigestError};
pub use error_kind::ErrorKind;
pub use id::{Arch, IdError, ImageId, PackageId, VolumeId};
pub use locale::LocaleString;
pub use manifest::*;

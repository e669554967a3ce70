//! StartOS packages, s9pk version 2.

mod archive;
mod commitment;
mod contents;
mod digest;
mod error_kind;
mod header;
mod id;
mod image_start;
mod inspect;
mod locale;
mod manifest;
pub mod pack;
mod read_at;
mod store;
mod tables;
mod toc;
mod tree;
mod write;

pub use archive::{Archive, ArchiveError};
pub use commitment::{Commitment, CommitmentError};
pub use contents::{Contents, ContentsError, MAX_ICON, icon_mime};
pub use digest::{Digest, DigestError};
pub use error_kind::ErrorKind;
pub use header::{HEADER_SIZE, Header, HeaderError, MAX_UNCOMMITTED_ROOT_SIZE};
pub use id::{Arch, IdError, ImageId, PackageId, VolumeId};
pub use image_start::{ImageStart, image_env};
pub use locale::LocaleString;
pub use manifest::*;
pub use read_at::{ReadAt, Seekable};
pub use store::{Body, Expected, Installed, Store, StoreError, StoredPackage};
pub use toc::TocFault;
pub use tree::{Directory, Entry, Node};
pub use write::{Content, Draft, WriteError};

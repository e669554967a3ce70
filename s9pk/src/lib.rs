//! StartOS packages, s9pk version 2: read, verify, write, pack, and keep by content.
//!
//! ```text
//!            project folder                       .s9pk file or stream
//!                  │ pack::pack                          │ Archive::open, Store::ingest_*
//!                  ▼                                     ▼
//!   Draft ──sign──▶ Header + tables + bodies       Archive ──▶ Manifest, Contents, bodies
//!                                                        │
//!                                                        ▼
//!                                                      Store ──▶ path_of(hash), reassemble
//! ```
//!
//! | to | see |
//! | --- | --- |
//! | read a package, or a part of one | [`Archive`] |
//! | know what it says of itself | [`Manifest`] |
//! | know which of its files count on a machine | [`Contents`] |
//! | make one | [`pack`](mod@pack), [`Draft`] |
//! | install one | [`Store`] |
//!
//! Invariants:
//! - Nothing of a package is used before it was verified: signature, then tables, then bodies.
//! - Sizes and positions in a file are claims: they are checked against its length, and against
//!   limits, before memory or disk is given to them.
//! - This crate knows nothing of containers and never touches the network. It blocks: asynchronous
//!   callers run it on blocking threads.
//! - Every error has a `code()`, the number StartOS clients know it by.

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

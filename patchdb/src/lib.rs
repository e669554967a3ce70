//! Patch-DB: one JSON document that is durable, observable and cheap to change.
//!
//! The document is `{"public": {…}, "private": {…}}`. A [`Change`] names places and values;
//! [`Store::commit`] makes it durable, [`Store::publish`] makes it for this process only. Each
//! change that alters something is one revision: a list of RFC 6902 operations that every
//! [`Subscription`] gets, cut to its scope. Readers take a [`Snapshot`] and never wait.
//!
//! ```text
//! commit ─▶ writer thread ─▶ LMDB (rows, history) ─┐
//! publish ─────────────────────────────────────────┴▶ live trees ─▶ ring ─▶ fan-out ─▶ subscribers
//! snapshot ◀───────────────────────────────────────── live trees
//! ```
//!
//! What holds always:
//! - What was acknowledged survives `kill -9` and a power cut; what failed has changed nothing.
//! - The cost of a change depends on the change, not on the document or on who listens.
//! - A [`PublicStore`], the only thing a gateway gets, reaches nothing private. Secrets are not in
//!   the document at all, but in a [`SecretStore`].
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let dir = tempfile::tempdir().unwrap();
//! use patchdb::{Change, Options, Store, Why};
//!
//! let store = Store::open(dir.path(), Options::default())?;
//! let change = Change::new().put_with_parents("/public/serverInfo/name", "attic");
//! store.commit(change, Why::actor("setup")).await?;
//! let name: Option<String> = store.snapshot().get("/public/serverInfo/name")?;
//! assert_eq!(name.as_deref(), Some("attic"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that fails may panic")
)]

mod change;
mod disk;
mod error;
mod examiner;
mod fanout;
mod frame;
mod keeper;
mod live;
mod place;
mod pointer;
mod position;
mod public;
mod ring;
mod schema;
mod scope;
mod secrets;
mod snapshot;
mod store;
mod subscription;
#[cfg(test)]
mod testing;
mod tree;
mod writer;

pub use change::{Change, ChangeError};
pub use disk::{CheckReport, Compacted, DamagedRow, LogEntry, Recovery};
pub use error::{
    CommitError, CopyError, DiskReadError, ImportError, MutateError, OpenError, PublishError,
    ReadError,
};
pub use examiner::{Examiner, examine_for_parent};
pub use fanout::ScopedRevision;
pub use live::RevisionKind;
pub use patchdb_derive::Places;
pub use place::Place;
pub use pointer::{MAX_DEPTH, MAX_POINTER_BYTES, Pointer, PointerError, ToPointer};
pub use position::{Position, Why};
pub use public::{
    PublicDump, PublicEvent, PublicFrame, PublicPointer, PublicPointerError, PublicStart,
    PublicStore, PublicSubscription,
};
pub use schema::Migration;
pub use secrets::{Secret, SecretError, SecretStore};
pub use snapshot::{PublicSnapshot, PublicValue, Snapshot};
pub use store::{MakeRoom, Options, Stats, Store};
pub use subscription::{Dump, Event, Missed, ResyncReason, Start, Subscription};
pub use tree::{Node, Op, OpKind};

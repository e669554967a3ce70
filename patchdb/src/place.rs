//! Places with a type: what is read from one and written to it fits, or the program does not compile.
//!
//! The root of a document is a struct with the members `public` and `private`; `#[derive(Places)]`
//! gives it and what it holds the places below it. Nothing here reads or writes.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let dir = tempfile::tempdir().unwrap();
//! use std::collections::BTreeMap;
//! use patchdb::{Change, Options, Place, Places, Store, Why};
//!
//! #[derive(Places)]
//! struct Root { public: Public, private: BTreeMap<String, u64> }
//! #[derive(Places)]
//! #[serde(rename_all = "camelCase")]
//! struct Public { host_name: String }
//!
//! let name = Place::<Root>::root().public().host_name();
//! assert_eq!(name.pointer().as_str(), "/public/hostName");
//! let store = Store::open(dir.path(), Options::default())?;
//! store.commit(Change::new().set(&name, &"attic".to_owned()), Why::actor("setup")).await?;
//! assert_eq!(store.snapshot().read(&name)?.as_deref(), Some("attic"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! ```compile_fail
//! # use patchdb::{Change, Place};
//! let name: Place<String> = Place::<std::collections::BTreeMap<String, String>>::root().entry("a");
//! Change::new().set(&name, &7);
//! ```

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use crate::pointer::{Pointer, PointerError, ToPointer};

/// A place in the document that holds a `T`, or nothing.
pub struct Place<T> {
    at: Pointer,
    holds: PhantomData<fn() -> T>,
}

impl<T> Place<T> {
    /// The whole document.
    #[must_use]
    pub fn root() -> Self {
        Self::at(Pointer::root())
    }

    fn at(at: Pointer) -> Self {
        Self {
            at,
            holds: PhantomData,
        }
    }

    /// The same place without its type.
    #[must_use]
    pub fn pointer(&self) -> &Pointer {
        &self.at
    }

    /// The member `name`, for what `#[derive(Places)]` makes: nothing looks whether it is an `M`.
    #[must_use]
    pub fn member<M>(&self, name: &str) -> Place<M> {
        Place::at(self.at.join(name))
    }
}

impl<T> Place<BTreeMap<String, T>> {
    /// What is kept under `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Place<T> {
        self.member(key)
    }
}

impl<T> Place<Option<T>> {
    /// The same place where it holds something else than `null`.
    #[must_use]
    pub fn some(&self) -> Place<T> {
        Place::at(self.at.clone())
    }
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Self::at(self.at.clone())
    }
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl<T> ToPointer for Place<T> {
    fn to_pointer(&self) -> Result<Pointer, PointerError> {
        Ok(self.at.clone())
    }
}

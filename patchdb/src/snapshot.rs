//! Reading the document at one moment.
//!
//! Invariants: a snapshot never changes, costs one reference count, and keeps no writer waiting.
//! A [`Snapshot`] sees everything; a [`PublicSnapshot`] can name nothing outside `/public`, and
//! only it can be turned into JSON for a client.

use std::sync::Arc;

use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::ReadError,
    frame,
    live::State,
    place::Place,
    pointer::{Pointer, ToPointer},
    position::Position,
    public::PublicPointer,
    tree::Node,
};

/// The whole document at one moment.
///
/// It has no JSON form of its own, so that nothing private is sent by accident:
///
/// ```compile_fail
/// fn send(snapshot: patchdb::Snapshot) -> String {
///     serde_json::to_string(&snapshot).unwrap()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot(Arc<State>);

impl Snapshot {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self(state)
    }

    /// When this was the document.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.position
    }

    /// The value at `at` as a `T`; `None` when nothing is there. A `T` that names a few members of a long object costs
    /// those members only; what else is there is not looked at, even by a type that would refuse it.
    ///
    /// # Errors
    /// [`ReadError`] when the place is not a pointer or the value has another shape.
    pub fn get<T: DeserializeOwned>(&self, at: impl ToPointer) -> Result<Option<T>, ReadError> {
        read(&self.0.visible, &at.to_pointer()?)
    }

    /// The value at a typed place; `None` when nothing is there.
    ///
    /// # Errors
    /// [`ReadError::Shape`].
    pub fn read<T: DeserializeOwned>(&self, at: &Place<T>) -> Result<Option<T>, ReadError> {
        read(&self.0.visible, at.pointer())
    }

    /// The value at `at`, untyped; `None` when nothing is there or the place is not a pointer.
    #[must_use]
    pub fn node(&self, at: impl ToPointer) -> Option<Node> {
        self.0.visible.at(&at.to_pointer().ok()?).cloned()
    }

    /// The value at `at` without volatile changes: what a restart would find.
    #[must_use]
    pub fn durable_node(&self, at: impl ToPointer) -> Option<Node> {
        self.0.durable.at(&at.to_pointer().ok()?).cloned()
    }

    /// Whether something (`null` counts) is at `at`.
    #[must_use]
    pub fn exists(&self, at: impl ToPointer) -> bool {
        self.node(at).is_some()
    }

    /// The names of the members at `at`, sorted; none when it is not an object.
    #[must_use]
    pub fn keys(&self, at: impl ToPointer) -> Vec<String> {
        match self.node(at) {
            Some(Node::Object(members)) => members.keys().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// The part that clients may see.
    #[must_use]
    pub fn public(&self) -> PublicSnapshot {
        PublicSnapshot(Arc::clone(&self.0))
    }

    /// A plain copy of the value at `at`, for an operator with full rights. It may be private:
    /// never hand it to a gateway that serves anyone else.
    #[must_use]
    pub fn reveal(&self, at: impl ToPointer) -> Option<Value> {
        self.node(at).map(|node| node.to_json())
    }
}

/// What clients may see of the document at one moment. Its JSON form is the value at `/public`.
#[derive(Clone, Debug)]
pub struct PublicSnapshot(Arc<State>);

impl PublicSnapshot {
    /// When this was the document.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.position
    }

    /// The value at `at` as a `T`; `None` when nothing is there.
    ///
    /// # Errors
    /// [`ReadError::Shape`].
    pub fn get<T: DeserializeOwned>(&self, at: &PublicPointer) -> Result<Option<T>, ReadError> {
        read(&self.0.visible, at.pointer())
    }

    /// Whether something (`null` counts) is at `at`.
    #[must_use]
    pub fn exists(&self, at: &PublicPointer) -> bool {
        self.0.visible.at(at.pointer()).is_some()
    }

    /// The value at `at` in a form that can be sent; null when nothing is there.
    #[must_use]
    pub fn value(&self, at: &PublicPointer) -> PublicValue {
        PublicValue(
            self.0
                .visible
                .at(at.pointer())
                .cloned()
                .unwrap_or(Node::Null),
        )
    }
}

impl Serialize for PublicSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value(&PublicPointer::root()).serialize(serializer)
    }
}

/// A value from below `/public`.
#[derive(Clone, Debug)]
pub struct PublicValue(Node);

impl Serialize for PublicValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::value(&self.0, serializer)
    }
}

fn read<T: DeserializeOwned>(tree: &Node, at: &Pointer) -> Result<Option<T>, ReadError> {
    tree.at(at)
        .map(Node::to)
        .transpose()
        .map_err(|source| ReadError::Shape {
            at: at.clone(),
            source,
        })
}

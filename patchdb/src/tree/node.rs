//! One value of the document and how it becomes JSON and back.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Number, Value};

use super::de::NodeDeserializer;
use crate::pointer::{Pointer, array_index};

/// A value of the document. Cloning costs a reference count; members of objects are sorted by name.
///
/// Deliberately not `Serialize`: what a client may see is a [`crate::PublicSnapshot`], a
/// [`crate::PublicFrame`] or a [`crate::PublicStart`].
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number; integers keep their 64 bits.
    Number(Number),
    /// A text.
    String(Arc<str>),
    /// An array; one value as far as sharing and storage go.
    Array(Arc<Vec<Node>>),
    /// An object.
    Object(OrdMap<Arc<str>, Node>),
}

impl Node {
    /// An object without members.
    #[must_use]
    pub fn empty_object() -> Self {
        Self::Object(OrdMap::new())
    }

    /// The value of a serialisable thing.
    ///
    /// # Errors
    /// When it has no JSON form (a map with keys that are not texts, for example).
    pub fn of(value: impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_value(value).map(Self::from)
    }

    /// This value read as a `T`.
    ///
    /// # Errors
    /// When it has not the shape of a `T`.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(NodeDeserializer(self))
    }

    /// A copy as a plain JSON value, for the few places that need one.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(value.clone()),
            Self::String(value) => Value::String(value.to_string()),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(members) => members
                .iter()
                .map(|(name, member)| (name.to_string(), member.to_json()))
                .collect(),
        }
    }

    /// The value at `pointer`, seen from here.
    #[must_use]
    pub fn at(&self, pointer: &Pointer) -> Option<&Self> {
        pointer
            .segments()
            .try_fold(self, |node, segment| node.child(&segment))
    }

    /// The member or element named by one segment.
    #[must_use]
    pub fn child(&self, segment: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(segment),
            Self::Array(items) => items.get(array_index(segment)?),
            _ => None,
        }
    }

    pub(crate) fn child_mut(&mut self, segment: &str) -> Option<&mut Self> {
        match self {
            Self::Object(members) => members.get_mut(segment),
            Self::Array(items) => {
                let index = array_index(segment)?;
                Arc::make_mut(items).get_mut(index)
            }
            _ => None,
        }
    }

    /// The members, when this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&OrdMap<Arc<str>, Self>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The text, when this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_empty_object(&self) -> bool {
        matches!(self, Self::Object(members) if members.is_empty())
    }

    /// Whether both are one and the same allocation: then they are equal without looking.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => a.ptr_eq(b),
            (Self::Array(a), Self::Array(b)) => Arc::ptr_eq(a, b),
            (Self::String(a), Self::String(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Equality that does not look into shared parts.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        if self.is_same(other) {
            return true;
        }
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|((ka, va), (kb, vb))| ka == kb && va.equals(vb))
            }
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            (a, b) => a == b,
        }
    }

    /// Levels of nesting: 0 for a scalar, 1 for an array of scalars.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// About how many bytes the JSON text has.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 5,
            Self::Number(_) => 8,
            Self::String(text) => text.len() + 3,
            Self::Array(items) => 2 + items.iter().map(|item| item.weight() + 1).sum::<usize>(),
            Self::Object(members) => {
                2 + members
                    .iter()
                    .map(|(name, member)| name.len() + 4 + member.weight())
                    .sum::<usize>()
            }
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(value) => Self::Number(value),
            Value::String(value) => Self::String(value.into()),
            Value::Array(items) => {
                Self::Array(Arc::new(items.into_iter().map(Self::from).collect()))
            }
            Value::Object(members) => Self::Object(
                members
                    .into_iter()
                    .map(|(name, member)| (Arc::from(name), Self::from(member)))
                    .collect(),
            ),
        }
    }
}

/// Read straight from JSON text, without a `Value` between: opening a store reads every leaf.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;

        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::String(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Node, D::Error> {
                Node::deserialize(inner)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut items = Vec::with_capacity(access.size_hint().unwrap_or(0).min(4096));
                while let Some(item) = access.next_element()? {
                    items.push(item);
                }
                Ok(Node::Array(Arc::new(items)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut members = OrdMap::new();
                while let Some((name, member)) = access.next_entry::<String, Node>()? {
                    members.insert(Arc::from(name), member);
                }
                Ok(Node::Object(members))
            }
        }

        deserializer.deserialize_any(NodeVisitor)
    }
}

/// A value on its way to JSON text. Crate-private, see [`Node`].
pub(crate) struct Json<'a>(pub(crate) &'a Node);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Node::Null => serializer.serialize_unit(),
            Node::Bool(value) => serializer.serialize_bool(*value),
            Node::Number(value) => value.serialize(serializer),
            Node::String(value) => serializer.serialize_str(value),
            Node::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(&Json(item))?;
                }
                seq.end()
            }
            Node::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, member) in members {
                    map.serialize_entry(&**name, &Json(member))?;
                }
                map.end()
            }
        }
    }
}

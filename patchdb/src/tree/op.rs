//! One operation of a patch: the RFC 6902 subset `add`, `remove`, `replace`.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use super::{Json, Node};
use crate::pointer::{Pointer, array_index};

/// What an operation does at its path.
#[derive(Clone, Debug, PartialEq)]
pub enum OpKind {
    /// Sets a member, or inserts an element before the index.
    Add(Node),
    /// Takes the member or element away.
    Remove,
    /// Sets what is there; where nothing is, the same as `Add`.
    Replace(Node),
}

/// An operation and the place it happens at.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// The place.
    pub path: Pointer,
    /// What happens there.
    pub kind: OpKind,
}

impl Op {
    pub(crate) fn add(path: Pointer, value: Node) -> Self {
        Self {
            path,
            kind: OpKind::Add(value),
        }
    }

    pub(crate) fn remove(path: Pointer) -> Self {
        Self {
            path,
            kind: OpKind::Remove,
        }
    }

    pub(crate) fn replace(path: Pointer, value: Node) -> Self {
        Self {
            path,
            kind: OpKind::Replace(value),
        }
    }

    /// The value an `add` or `replace` carries.
    #[must_use]
    pub fn value(&self) -> Option<&Node> {
        match &self.kind {
            OpKind::Add(value) | OpKind::Replace(value) => Some(value),
            OpKind::Remove => None,
        }
    }

    /// About how many bytes the JSON text has.
    pub(crate) fn weight(&self) -> usize {
        30 + self.path.as_str().len() + self.value().map_or(0, Node::weight)
    }
}

/// An operation on its way to JSON text; crate-private for the reason given at [`Node`].
pub(crate) struct JsonOp<'a>(pub(crate) &'a Op);

impl Serialize for JsonOp<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, value) = match &self.0.kind {
            OpKind::Add(value) => ("add", Some(value)),
            OpKind::Remove => ("remove", None),
            OpKind::Replace(value) => ("replace", Some(value)),
        };
        let mut out = serializer.serialize_struct("Op", 2 + usize::from(value.is_some()))?;
        out.serialize_field("op", name)?;
        out.serialize_field("path", &self.0.path)?;
        if let Some(value) = value {
            out.serialize_field("value", &Json(value))?;
        }
        out.end()
    }
}

/// Several operations on their way to JSON text.
pub(crate) struct JsonOps<'a>(pub(crate) &'a [Op]);

impl Serialize for JsonOps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(JsonOp))
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(tag = "op", rename_all = "lowercase")]
        enum Wire {
            Add { path: Pointer, value: Node },
            Remove { path: Pointer },
            Replace { path: Pointer, value: Node },
        }
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Add { path, value } => Self::add(path, value),
            Wire::Remove { path } => Self::remove(path),
            Wire::Replace { path, value } => Self::replace(path, value),
        })
    }
}

/// Why an operation does not fit the tree it is applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("`{0}` has no parent to be put in")]
    NoParent(Pointer),
    #[error("`{0}` is inside a value that is neither object nor array")]
    NotAContainer(Pointer),
    #[error("`{0}` is no index of its array")]
    BadIndex(Pointer),
    #[error("`{0}` is not there to be removed")]
    Missing(Pointer),
}

/// Applies one operation. On an error the tree is unchanged.
pub(crate) fn apply_op(tree: &mut Node, op: &Op) -> Result<(), ApplyError> {
    let Some((parent, name)) = op.path.split_last() else {
        *tree = op.value().cloned().unwrap_or(Node::Null);
        return Ok(());
    };
    let mut holder = tree;
    for segment in parent.segments() {
        holder = holder
            .child_mut(&segment)
            .ok_or_else(|| ApplyError::NoParent(op.path.clone()))?;
    }
    match holder {
        Node::Object(members) => match &op.kind {
            OpKind::Add(value) | OpKind::Replace(value) => {
                members.insert(Arc::from(name), value.clone());
            }
            OpKind::Remove => {
                members
                    .remove(&*name)
                    .ok_or_else(|| ApplyError::Missing(op.path.clone()))?;
            }
        },
        Node::Array(items) => {
            let index = match &*name {
                "-" => Some(items.len()),
                name => array_index(name),
            }
            .filter(|index| *index <= items.len())
            .ok_or_else(|| ApplyError::BadIndex(op.path.clone()))?;
            let present = index < items.len();
            let items = Arc::make_mut(items);
            match &op.kind {
                OpKind::Replace(value) if present => items[index] = value.clone(),
                OpKind::Add(value) | OpKind::Replace(value) => items.insert(index, value.clone()),
                OpKind::Remove if present => {
                    items.remove(index);
                }
                OpKind::Remove => return Err(ApplyError::Missing(op.path.clone())),
            }
        }
        _ => return Err(ApplyError::NotAContainer(op.path.clone())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(value: serde_json::Value) -> Node {
        Node::from(value)
    }

    fn op(value: serde_json::Value) -> Op {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn replace_of_something_missing_adds_it() {
        let mut tree = node(json!({"a": [1]}));
        apply_op(
            &mut tree,
            &op(json!({"op": "replace", "path": "/b", "value": 2})),
        )
        .unwrap();
        apply_op(
            &mut tree,
            &op(json!({"op": "replace", "path": "/a/1", "value": 3})),
        )
        .unwrap();
        assert_eq!(tree.to_json(), json!({"a": [1, 3], "b": 2}));
    }

    #[test]
    fn add_inserts_before_an_index_and_a_dash_appends() {
        let mut tree = node(json!([1, 2]));
        apply_op(
            &mut tree,
            &op(json!({"op": "add", "path": "/0", "value": 0})),
        )
        .unwrap();
        apply_op(
            &mut tree,
            &op(json!({"op": "add", "path": "/-", "value": 3})),
        )
        .unwrap();
        assert_eq!(tree.to_json(), json!([0, 1, 2, 3]));
        let error = apply_op(
            &mut tree,
            &op(json!({"op": "add", "path": "/9", "value": 3})),
        );
        assert!(matches!(error, Err(ApplyError::BadIndex(_))));
    }

    #[test]
    fn an_operation_that_does_not_fit_changes_nothing() {
        let mut tree = node(json!({"a": 1, "b": []}));
        let before = tree.clone();
        for bad in [
            json!({"op": "remove", "path": "/c"}),
            json!({"op": "remove", "path": "/b/0"}),
            json!({"op": "add", "path": "/c/d", "value": 1}),
            json!({"op": "add", "path": "/a/d", "value": 1}),
        ] {
            assert!(apply_op(&mut tree, &op(bad)).is_err());
            assert_eq!(tree, before);
        }
    }

    #[test]
    fn move_copy_and_test_are_refused() {
        for bad in ["move", "copy", "test"] {
            let value = json!({"op": bad, "path": "/a", "from": "/b", "value": 1});
            assert!(serde_json::from_value::<Op>(value).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_operation_survives_its_json_form() {
        for value in [
            json!({"op": "add", "path": "/a", "value": {"b": null}}),
            json!({"op": "remove", "path": "/a~1b"}),
            json!({"op": "replace", "path": "", "value": [1.5, -1, 18_446_744_073_709_551_615_u64]}),
        ] {
            let text = serde_json::to_value(JsonOp(&op(value.clone()))).unwrap();
            assert_eq!(text, value);
        }
    }
}

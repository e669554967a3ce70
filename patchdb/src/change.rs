//! A change to the document, written down as paths and values before anything is touched.
//!
//! Invariant: applying a change gives the RFC 6902 operations that were really needed, and exactly
//! those have been applied; a change that alters nothing gives none. The cost depends on what is
//! named, never on the rest of the document.

use serde::Serialize;

use crate::{
    place::Place,
    pointer::{MAX_DEPTH, MAX_POINTER_BYTES, Pointer, PointerError, ToPointer, array_index},
    tree::{ApplyError, Node, Op, apply_op, diff},
};

/// A list of edits, applied together or not at all. Build it by chaining:
///
/// ```
/// # use patchdb::Change;
/// let change = Change::new()
///     .put("/public/serverInfo/name", "attic")
///     .put(["public", "packageData", "hello", "desired"], &"running")
///     .remove("/public/ui/draft");
/// ```
///
/// A mistake in a pointer or a value is kept and reported when the change is committed.
#[derive(Debug, Default)]
#[must_use = "a change does nothing until it is committed or published"]
pub struct Change {
    edits: Vec<Edit>,
    mistake: Option<ChangeError>,
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Put {
        at: Pointer,
        value: Node,
        parents: bool,
    },
    Insert {
        at: Pointer,
        value: Node,
    },
    Remove {
        at: Pointer,
    },
    Merge {
        at: Pointer,
        value: Node,
    },
}

/// Why a change does not fit the document. The document is unchanged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// A place that is not a JSON Pointer.
    #[error("the change names a place that cannot be")]
    Pointer(#[from] PointerError),
    /// A value without JSON form, or one that holds a secret and refuses to be written.
    #[error("the value for `{at}` has no JSON form: {reason}")]
    Encode {
        /// Where it was to be put.
        at: Pointer,
        /// What the serialiser said.
        reason: String,
    },
    /// Nothing to put it in.
    #[error("nothing is at `{parent}` to put `{at}` in; put the parent first")]
    MissingParent {
        /// The place named by the change.
        at: Pointer,
        /// The nearest place above it that does not exist.
        parent: Pointer,
    },
    /// The parent is a text, a number, a boolean or null.
    #[error("`{at}` cannot be: what holds it is neither object nor array")]
    NotAContainer {
        /// The place named by the change.
        at: Pointer,
    },
    /// Not an index of the array, nor its end.
    #[error("`{at}` is not an index of its array")]
    BadIndex {
        /// The place named by the change.
        at: Pointer,
    },
    /// Deeper than [`MAX_DEPTH`] levels, or named by more than [`MAX_POINTER_BYTES`] bytes.
    #[error("`{at}` would be nested too deeply; the document has at most {MAX_DEPTH} levels")]
    TooDeep {
        /// The place named by the change.
        at: Pointer,
    },
    /// The root holds the objects `public` and `private`, nothing else, always.
    #[error(
        "the change would break the root: it holds the objects `public` and `private` and nothing else"
    )]
    Root,
}

impl Change {
    /// A change that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the value at `at` exactly `value`; its parent must exist. Over an object only the
    /// members that differ are written. `-` or the length as last segment appends to an array.
    pub fn put(self, at: impl ToPointer, value: impl Serialize) -> Self {
        self.put_edit(&at, &value, false)
    }

    /// [`Change::put`] that makes the objects above `at` when they are missing.
    pub fn put_with_parents(self, at: impl ToPointer, value: impl Serialize) -> Self {
        self.put_edit(&at, &value, true)
    }

    /// Makes the value at a typed place exactly `value`, with the objects above it when they are missing.
    pub fn set<T: Serialize>(self, at: &Place<T>, value: &T) -> Self {
        self.put_with_parents(at, value)
    }

    /// Inserts an element before the index that `at` ends with; on an object, the same as `put`.
    pub fn insert(self, at: impl ToPointer, value: impl Serialize) -> Self {
        self.edit(&at, &value, |at, value| Edit::Insert { at, value })
    }

    /// Takes away what is at `at`; nothing there is fine.
    pub fn remove(self, at: impl ToPointer) -> Self {
        self.edit(&at, &(), |at, _| Edit::Remove { at })
    }

    /// Merges `value` into what is at `at` as RFC 7396 does: members are set, `null` members are
    /// removed, others stay; missing objects are made.
    pub fn merge(self, at: impl ToPointer, value: impl Serialize) -> Self {
        self.edit(&at, &value, |at, value| Edit::Merge { at, value })
    }

    /// This change followed by another.
    pub fn then(mut self, other: Self) -> Self {
        self.edits.extend(other.edits);
        self.mistake = self.mistake.or(other.mistake);
        self
    }

    /// Whether it has no edit at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.mistake.is_none()
    }

    fn put_edit(self, at: &impl ToPointer, value: &impl Serialize, parents: bool) -> Self {
        self.edit(at, value, |at, value| Edit::Put { at, value, parents })
    }

    fn edit(
        mut self,
        at: &impl ToPointer,
        value: &impl Serialize,
        make: impl FnOnce(Pointer, Node) -> Edit,
    ) -> Self {
        let edit = at.to_pointer().map_err(ChangeError::from).and_then(|at| {
            let value = Node::of(value).map_err(|error| ChangeError::Encode {
                at: at.clone(),
                reason: error.to_string(),
            })?;
            if at.depth() + value.depth() > MAX_DEPTH || at.as_str().len() > MAX_POINTER_BYTES {
                return Err(ChangeError::TooDeep { at });
            }
            Ok(make(at, value))
        });
        match edit {
            Ok(edit) => self.edits.push(edit),
            Err(mistake) => self.mistake = self.mistake.or(Some(mistake)),
        }
        self
    }

    pub(crate) fn into_edits(self) -> Result<Vec<Edit>, ChangeError> {
        match self.mistake {
            Some(mistake) => Err(mistake),
            None => Ok(self.edits),
        }
    }
}

/// Applies the edits in order. On an error `tree` may be half changed: pass a clone (it is cheap).
pub(crate) fn apply_edits(tree: &mut Node, edits: &[Edit]) -> Result<Vec<Op>, ChangeError> {
    let mut ops = Vec::new();
    for edit in edits {
        let first = ops.len();
        match edit {
            Edit::Put { at, value, parents } => plan_put(tree, at, value, *parents, &mut ops)?,
            Edit::Insert { at, value } => plan_insert(tree, at, value, &mut ops)?,
            Edit::Remove { at } if at.is_root() => return Err(ChangeError::Root),
            Edit::Remove { at } => {
                if tree.at(at).is_some() {
                    ops.push(Op::remove(at.clone()));
                }
            }
            Edit::Merge { at, value } => {
                let old = tree.at(at).unwrap_or(&Node::Null);
                plan_put(tree, at, &merged(old, value), true, &mut ops)?;
            }
        }
        for op in &ops[first..] {
            apply_op(tree, op).map_err(ChangeError::from)?;
        }
    }
    if root_is_whole(tree) {
        Ok(ops)
    } else {
        Err(ChangeError::Root)
    }
}

impl From<ApplyError> for ChangeError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::NoParent(at) | ApplyError::NotAContainer(at) => Self::NotAContainer { at },
            ApplyError::BadIndex(at) | ApplyError::Missing(at) => Self::BadIndex { at },
        }
    }
}

fn root_is_whole(tree: &Node) -> bool {
    tree.as_object().is_some_and(|root| {
        root.len() == 2
            && ["public", "private"]
                .iter()
                .all(|name| matches!(root.get(*name), Some(Node::Object(_))))
    })
}

fn plan_put(
    tree: &Node,
    at: &Pointer,
    value: &Node,
    parents: bool,
    ops: &mut Vec<Op>,
) -> Result<(), ChangeError> {
    if let Some(old) = tree.at(at) {
        diff(at, old, value, ops);
        return Ok(());
    }
    let Some((parent, name)) = at.split_last() else {
        return Err(ChangeError::Root);
    };
    match tree.at(&parent) {
        Some(Node::Object(_)) => ops.push(Op::add(at.clone(), value.clone())),
        Some(Node::Array(items)) => {
            let end = items.len();
            if *name != *"-" && array_index(&name) != Some(end) {
                return Err(ChangeError::BadIndex { at: at.clone() });
            }
            ops.push(Op::add(parent.join(&end.to_string()), value.clone()));
        }
        Some(_) => return Err(ChangeError::NotAContainer { at: at.clone() }),
        // The whole chain of missing objects is one `add` of its outermost.
        None if parents => {
            let wrapped = Node::Object(imbl::OrdMap::unit(name.into(), value.clone()));
            plan_put(tree, &parent, &wrapped, true, ops)?;
        }
        None => {
            let missing = nearest_missing(tree, &parent);
            return Err(ChangeError::MissingParent {
                at: at.clone(),
                parent: missing,
            });
        }
    }
    Ok(())
}

fn nearest_missing(tree: &Node, pointer: &Pointer) -> Pointer {
    let mut at = Pointer::root();
    for segment in pointer.segments() {
        at = at.join(&segment);
        if tree.at(&at).is_none() {
            break;
        }
    }
    at
}

fn plan_insert(
    tree: &Node,
    at: &Pointer,
    value: &Node,
    ops: &mut Vec<Op>,
) -> Result<(), ChangeError> {
    if let Some((parent, name)) = at.split_last()
        && let Some(Node::Array(items)) = tree.at(&parent)
        && let Some(index) = array_index(&name)
        && index < items.len()
    {
        ops.push(Op::add(at.clone(), value.clone()));
        return Ok(());
    }
    plan_put(tree, at, value, false, ops)
}

/// RFC 7396: what `target` becomes when `patch` is merged into it.
fn merged(target: &Node, patch: &Node) -> Node {
    let Node::Object(changes) = patch else {
        return patch.clone();
    };
    let mut members = target.as_object().cloned().unwrap_or_default();
    for (name, change) in changes {
        if *change == Node::Null {
            members.remove(&**name);
        } else {
            let old = members.get(&**name).unwrap_or(&Node::Null);
            let new = merged(old, change);
            members.insert(name.clone(), new);
        }
    }
    Node::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Node {
        Node::from(json!({
            "public": {"a": {"b": 1, "c": 2}, "list": [1, 2, 3]},
            "private": {},
        }))
    }

    /// What the document became, and the operations that made it so, as JSON.
    fn applied(change: Change) -> Result<(Value, Value), ChangeError> {
        let mut tree = document();
        let ops = apply_edits(&mut tree, &change.into_edits()?)?;
        let mut again = document();
        for op in &ops {
            apply_op(&mut again, op).unwrap();
        }
        assert_eq!(again, tree, "the operations are the change");
        let ops: Vec<_> = ops.iter().map(crate::tree::JsonOp).collect();
        Ok((
            tree.to_json()["public"].clone(),
            serde_json::to_value(ops).unwrap(),
        ))
    }

    #[test]
    fn a_put_of_what_is_there_already_needs_no_operation() {
        let change = Change::new().put("/public/a", json!({"c": 2, "b": 1}));
        assert_eq!(applied(change).unwrap().1, json!([]));
    }

    #[test]
    fn a_put_over_an_object_writes_only_what_differs() {
        let (_, ops) = applied(Change::new().put("/public/a", json!({"b": 1, "c": 3}))).unwrap();
        assert_eq!(
            ops,
            json!([{"op": "replace", "path": "/public/a/c", "value": 3}])
        );
    }

    #[test]
    fn a_put_without_parent_is_refused_and_names_what_is_missing() {
        let error = applied(Change::new().put("/public/x/y/z", 1)).unwrap_err();
        assert!(matches!(
            error,
            ChangeError::MissingParent { parent, .. } if parent.as_str() == "/public/x"
        ));
    }

    #[test]
    fn missing_parents_are_made_in_one_operation_when_asked() {
        let (_, ops) = applied(Change::new().put_with_parents("/public/x/y/z", 1)).unwrap();
        assert_eq!(
            ops,
            json!([{"op": "add", "path": "/public/x", "value": {"y": {"z": 1}}}])
        );
    }

    #[test]
    fn array_elements_are_replaced_inserted_appended_and_removed() {
        let change = Change::new()
            .put("/public/list/0", 9)
            .insert("/public/list/1", 8)
            .put("/public/list/-", 7)
            .remove("/public/list/2");
        assert_eq!(applied(change).unwrap().0["list"], json!([9, 8, 3, 7]));
        let error = applied(Change::new().put("/public/list/5", 1)).unwrap_err();
        assert!(matches!(error, ChangeError::BadIndex { .. }));
    }

    #[test]
    fn a_merge_sets_removes_and_keeps() {
        let change = Change::new().merge("/public/a", json!({"b": null, "d": {"e": null, "f": 1}}));
        assert_eq!(
            applied(change).unwrap().0["a"],
            json!({"c": 2, "d": {"f": 1}})
        );
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        assert_eq!(
            applied(Change::new().remove("/public/nothing/here"))
                .unwrap()
                .1,
            json!([])
        );
    }

    #[test]
    fn the_root_keeps_its_two_objects() {
        for change in [
            Change::new().remove("/public"),
            Change::new().remove(""),
            Change::new().put("/public", 1),
            Change::new().put("/other", 1),
            Change::new().put("", json!({"public": {}})),
        ] {
            assert!(matches!(applied(change), Err(ChangeError::Root)));
        }
    }

    #[test]
    fn values_nested_too_deeply_and_bad_pointers_are_refused() {
        let deep = (0..MAX_DEPTH).fold(json!(1), |inner, _| json!([inner]));
        let error = applied(Change::new().put("/public/deep", deep)).unwrap_err();
        assert!(matches!(error, ChangeError::TooDeep { .. }));
        let error = applied(Change::new().put("public", 1)).unwrap_err();
        assert!(matches!(error, ChangeError::Pointer(_)));
        let error = applied(Change::new().put("/public/a/b/c", 1)).unwrap_err();
        assert!(matches!(
            error,
            ChangeError::NotAContainer { .. } | ChangeError::MissingParent { .. }
        ));
    }
}

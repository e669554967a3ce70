//! What a subscriber to one place gets of a change made elsewhere.
//!
//! Law: whoever holds the value at `scope` before a change and applies the scoped operations holds
//! the value at `scope` after it, where a missing value counts as `null`.
//!
//! | the operation's path | becomes |
//! | --- | --- |
//! | inside `scope` or `scope` itself | the same, with the path seen from `scope`; a removal of `scope` itself replaces `""` by null |
//! | above `scope` | replaces `""` by what the new value has at `scope` |
//! | an element that moves the array element `scope` lies in | replaces `""` by what is there after the change |
//! | elsewhere | nothing |

use crate::{
    pointer::{Pointer, array_index},
    tree::{Node, Op, OpKind},
};

/// `after` is the whole document after all of `ops`.
pub(crate) fn scope_ops(ops: &[Op], scope: &Pointer, after: &Node) -> Vec<Op> {
    if scope.is_root() {
        return ops.to_vec();
    }
    if ops.iter().any(|op| moves_scope(op, scope, after)) {
        // The indices in the other operations no longer mean what they meant: say the result.
        let value = after.at(scope).cloned().unwrap_or(Node::Null);
        return vec![Op::replace(Pointer::root(), value)];
    }
    ops.iter().filter_map(|op| scope_op(op, scope)).collect()
}

/// [`scope_ops`] for operations from the history, where the tree of that time is gone. `None` when
/// one of them may have moved the array element that `scope` lies in.
pub(crate) fn scope_history(ops: &[Op], scope: &Pointer) -> Option<Vec<Op>> {
    if ops.iter().any(|op| may_move_scope(op, scope)) {
        return None;
    }
    Some(ops.iter().filter_map(|op| scope_op(op, scope)).collect())
}

fn scope_op(op: &Op, scope: &Pointer) -> Option<Op> {
    if let Some(path) = op.path.relative_to(scope) {
        if path.is_root() && op.kind == OpKind::Remove {
            return Some(Op::replace(path, Node::Null));
        }
        return Some(Op {
            path,
            kind: op.kind.clone(),
        });
    }
    let below = scope.relative_to(&op.path)?;
    let inside = |value: &Node| value.at(&below).cloned().unwrap_or(Node::Null);
    let kind = match &op.kind {
        OpKind::Add(value) => OpKind::Add(inside(value)),
        OpKind::Replace(value) => OpKind::Replace(inside(value)),
        OpKind::Remove => OpKind::Replace(Node::Null),
    };
    Some(Op {
        path: Pointer::root(),
        kind,
    })
}

/// Whether the operation inserts or removes an array element before or at the one that `scope`
/// lies in.
fn moves_scope(op: &Op, scope: &Pointer, after: &Node) -> bool {
    may_move_scope(op, scope)
        && op
            .path
            .split_last()
            .is_some_and(|(array, _)| matches!(after.at(&array), Some(Node::Array(_))))
}

/// The same judged by names only: numbers may also name members of an object.
fn may_move_scope(op: &Op, scope: &Pointer) -> bool {
    if matches!(op.kind, OpKind::Replace(_)) {
        return false;
    }
    let Some((array, name)) = op.path.split_last() else {
        return false;
    };
    let (Some(index), Some(below)) = (array_index(&name), scope.relative_to(&array)) else {
        return false;
    };
    below
        .segments()
        .next()
        .and_then(|segment| array_index(&segment))
        .is_some_and(|mine| mine >= index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        change::apply_edits,
        testing::{any_change, any_document, any_place},
        tree::apply_op,
    };

    fn p(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn scoped(op: Value, scope: &str) -> Vec<Op> {
        let op: Op = serde_json::from_value(op).unwrap();
        scope_ops(&[op], &p(scope), &Node::from(json!({})))
    }

    #[test]
    fn an_operation_inside_keeps_its_kind_and_loses_the_prefix() {
        let op = json!({"op": "add", "path": "/a/b/c", "value": 1});
        assert_eq!(
            scoped(op, "/a/b"),
            [Op::add(p("/c"), Node::Number(1.into()))]
        );
        let op = json!({"op": "replace", "path": "/a/b", "value": 1});
        assert_eq!(
            scoped(op, "/a/b"),
            [Op::replace(p(""), Node::Number(1.into()))]
        );
    }

    #[test]
    fn an_operation_above_gives_the_part_that_is_inside() {
        let op = json!({"op": "add", "path": "/a", "value": {"b": 2}});
        assert_eq!(
            scoped(op.clone(), "/a/b"),
            [Op::add(p(""), Node::Number(2.into()))]
        );
        assert_eq!(scoped(op, "/a/x"), [Op::add(p(""), Node::Null)]);
    }

    #[test]
    fn a_removal_at_or_above_leaves_null() {
        for path in ["/a", "/a/b"] {
            let op = json!({"op": "remove", "path": path});
            assert_eq!(scoped(op, "/a/b"), [Op::replace(p(""), Node::Null)]);
        }
    }

    #[test]
    fn an_operation_elsewhere_is_dropped() {
        for path in ["/b", "/a/bb", "/a/c"] {
            assert_eq!(scoped(json!({"op": "remove", "path": path}), "/a/b"), []);
        }
    }

    proptest! {
        #[test]
        fn scoped_operations_turn_the_old_value_into_the_new(
            document in any_document(),
            changes in proptest::collection::vec(any_change(), 1..4),
            place in any_place(),
        ) {
            let before = Node::from(document);
            let mut after = before.clone();
            let mut edits = Vec::new();
            for change in changes {
                edits.extend(change.into_edits().unwrap());
            }
            if let Ok(ops) = apply_edits(&mut after, &edits) {
                let mut view = before.at(&place).cloned().unwrap_or(Node::Null);
                for op in scope_ops(&ops, &place, &after) {
                    apply_op(&mut view, &op).unwrap();
                }
                prop_assert_eq!(view, after.at(&place).cloned().unwrap_or(Node::Null));
            }
        }
    }
}

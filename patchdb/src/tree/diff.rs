//! The smallest patch we care to find between two values.
//!
//! Law: applying `diff(old, new)` to `old` gives `new`. Objects are compared member by member.
//! Arrays lose their common head and tail; what is left is compared by position, and the whole
//! array is replaced when that is shorter to write. Linear in the parts that are not shared.

use std::sync::Arc;

use super::{Node, Op};
use crate::pointer::Pointer;

pub(crate) fn diff(path: &Pointer, old: &Node, new: &Node, out: &mut Vec<Op>) {
    if old.is_same(new) {
        return;
    }
    match (old, new) {
        (Node::Object(before), Node::Object(after)) => {
            let mut olds = before.iter().peekable();
            let mut news = after.iter().peekable();
            loop {
                match (olds.peek(), news.peek()) {
                    (None, None) => break,
                    (Some((name, _)), Some((other, value))) if name > other => {
                        out.push(Op::add(path.join(other), (*value).clone()));
                        news.next();
                    }
                    (Some((name, a)), Some((other, b))) if name == other => {
                        diff_member(path, name, a, b, out);
                        olds.next();
                        news.next();
                    }
                    (Some((name, _)), _) => {
                        out.push(Op::remove(path.join(name)));
                        olds.next();
                    }
                    (None, Some((name, value))) => {
                        out.push(Op::add(path.join(name), (*value).clone()));
                        news.next();
                    }
                }
            }
        }
        (Node::Array(before), Node::Array(after)) => diff_array(path, before, after, out),
        (old, new) if old == new => {}
        (_, new) => out.push(Op::replace(path.clone(), new.clone())),
    }
}

/// Spares making the member's pointer when there is nothing to say about it: most members of a
/// large object are shared.
fn diff_member(path: &Pointer, name: &str, old: &Node, new: &Node, out: &mut Vec<Op>) {
    let unchanged = old.is_same(new)
        || !matches!(
            (old, new),
            (Node::Object(_), Node::Object(_)) | (Node::Array(_), Node::Array(_))
        ) && old == new;
    if !unchanged {
        diff(&path.join(name), old, new, out);
    }
}

fn diff_array(path: &Pointer, old: &Arc<Vec<Node>>, new: &Arc<Vec<Node>>, out: &mut Vec<Op>) {
    let head = old
        .iter()
        .zip(new.iter())
        .take_while(|(a, b)| a.equals(b))
        .count();
    let tail = old[head..]
        .iter()
        .rev()
        .zip(new[head..].iter().rev())
        .take_while(|(a, b)| a.equals(b))
        .count();
    let gone = &old[head..old.len() - tail];
    let came = &new[head..new.len() - tail];
    let both = gone.len().min(came.len());

    let mut ops = Vec::new();
    for (offset, (a, b)) in gone.iter().zip(came).enumerate() {
        diff(&path.join(&(head + offset).to_string()), a, b, &mut ops);
    }
    for index in (head + both..head + gone.len()).rev() {
        ops.push(Op::remove(path.join(&index.to_string())));
    }
    for (offset, value) in came.iter().enumerate().skip(both) {
        ops.push(Op::add(
            path.join(&(head + offset).to_string()),
            value.clone(),
        ));
    }

    let whole = Op::replace(path.clone(), Node::Array(Arc::clone(new)));
    if ops.len() > 1 && ops.iter().map(Op::weight).sum::<usize>() > whole.weight() {
        out.push(whole);
    } else {
        out.append(&mut ops);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{testing::any_json, tree::apply_op};

    fn ops(old: &Value, new: &Value) -> Vec<Op> {
        let mut out = Vec::new();
        diff(
            &Pointer::root(),
            &Node::from(old.clone()),
            &Node::from(new.clone()),
            &mut out,
        );
        out
    }

    fn p(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    #[test]
    fn equal_values_have_no_diff() {
        let value = json!({"a": [1, {"b": null}], "c": "d"});
        assert_eq!(ops(&value, &value), []);
    }

    #[test]
    fn only_the_changed_member_is_named() {
        let diff = ops(
            &json!({"a": {"b": 1, "c": 2}, "d": 3}),
            &json!({"a": {"b": 1, "c": 4}, "e": 5}),
        );
        assert_eq!(
            diff,
            [
                Op::replace(p("/a/c"), Node::Number(4.into())),
                Op::remove(p("/d")),
                Op::add(p("/e"), Node::Number(5.into())),
            ]
        );
    }

    #[test]
    fn an_element_taken_from_the_middle_is_one_removal() {
        let long = "a long element, so that naming it costs more than removing it".to_owned();
        let old = json!([1, long, 2, long, 3]);
        let new = json!([1, long, long, 3]);
        assert_eq!(ops(&old, &new), [Op::remove(p("/2"))]);
    }

    #[test]
    fn an_array_with_nothing_in_common_is_replaced() {
        assert_eq!(
            ops(&json!([1, 2, 3, 4]), &json!([5, 6, 7, 8])),
            [Op::replace(p(""), Node::from(json!([5, 6, 7, 8])))]
        );
    }

    proptest! {
        #[test]
        fn applying_the_diff_gives_the_new_value(old in any_json(), new in any_json()) {
            let mut tree = Node::from(old.clone());
            for op in ops(&old, &new) {
                apply_op(&mut tree, &op).unwrap();
            }
            prop_assert_eq!(tree, Node::from(new));
        }
    }
}

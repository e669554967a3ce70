//! Random documents and changes for the property tests: few names, so that they meet.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use crate::{change::Change, pointer::Pointer};

fn any_name() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "b", "c/d", "~", "0", "1", ""])
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        select(vec!["", "x", "long enough to matter in an array"]).prop_map(Value::from),
        Just(json!({})),
        Just(json!([])),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((any_name(), inner), 0..5).prop_map(|members| {
                let members: Map<String, Value> = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                Value::from(members)
            }),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    any_json().prop_map(|value| {
        if value.is_object() {
            value
        } else {
            json!({ "a": value })
        }
    })
}

pub(crate) fn any_document() -> impl Strategy<Value = Value> {
    (any_object(), any_object())
        .prop_map(|(public, private)| json!({"public": public, "private": private}))
}

pub(crate) fn any_place() -> impl Strategy<Value = Pointer> {
    (select(vec!["public", "private"]), vec(any_name(), 0..4)).prop_map(|(root, names)| {
        Pointer::from_segments(std::iter::once(root).chain(names)).expect("short")
    })
}

pub(crate) fn any_change() -> impl Strategy<Value = Change> {
    (any_place(), any_json(), 0..5_u8).prop_map(|(at, value, kind)| match kind {
        0 => Change::new().put(at, value),
        1 => Change::new().put_with_parents(at, value),
        2 => Change::new().insert(at, value),
        3 => Change::new().remove(at),
        _ => Change::new().merge(at, value),
    })
}

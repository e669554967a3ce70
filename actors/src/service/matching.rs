//! How a task's accepted input is compared with an action's current input.
//!
//! Pure. Rules of `service-abi.md` §7.1: a *partial* value matches a full one when every part of it
//! is met; it *conflicts* when a part that both have cannot be met.

use serde_json::Value;

/// Whether `partial` is met by `full`. A null in the partial matches a key that is missing.
#[must_use]
pub fn is_met(partial: &Value, full: &Value) -> bool {
    match (partial, full) {
        (Value::Object(partial), Value::Object(full)) => partial
            .iter()
            .all(|(key, part)| is_met(part, full.get(key).unwrap_or(&Value::Null))),
        (Value::Array(partial), Value::Array(full)) => partial
            .iter()
            .all(|part| full.iter().any(|whole| is_met(part, whole))),
        (partial, full) => scalars_equal(partial, full),
    }
}

/// Whether some part that both values have can not be met.
#[must_use]
pub fn conflicts(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => left
            .iter()
            .any(|(key, part)| right.get(key).is_some_and(|other| conflicts(part, other))),
        (Value::Array(left), Value::Array(right)) => left
            .iter()
            .any(|part| right.iter().all(|other| conflicts(part, other))),
        (left, right) => !scalars_equal(left, right),
    }
}

/// JSON has one kind of number: 1 and 1.0 are the same input.
fn scalars_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_of_the_partial_must_be_met() {
        assert!(is_met(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(!is_met(&json!({"a": 1, "b": 3}), &json!({"a": 1, "b": 2})));
        assert!(!is_met(&json!({"a": 1}), &json!({})));
    }

    #[test]
    fn a_null_in_the_partial_matches_a_missing_key() {
        assert!(is_met(&json!({"a": null}), &json!({})));
        assert!(is_met(&json!({"a": null}), &json!({"a": null})));
        assert!(!is_met(&json!({"a": null}), &json!({"a": 1})));
    }

    #[test]
    fn each_element_of_a_partial_array_must_be_met_by_some_element() {
        assert!(is_met(
            &json!([{"x": 1}]),
            &json!([{"x": 2}, {"x": 1, "y": 0}])
        ));
        assert!(!is_met(&json!([1, 4]), &json!([1, 2, 3])));
    }

    #[test]
    fn a_conflict_needs_a_key_that_both_have() {
        assert!(conflicts(&json!({"a": 1}), &json!({"a": 2})));
        assert!(!conflicts(&json!({"a": 1}), &json!({"b": 2})));
        assert!(conflicts(&json!([1, 2]), &json!([1])));
        assert!(!conflicts(&json!([1]), &json!([1, 2])));
    }

    #[test]
    fn one_and_one_point_nought_are_the_same_input() {
        assert!(is_met(&json!({"n": 1}), &json!({"n": 1.0})));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0i64..4).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_meets_itself_and_does_not_conflict_with_itself(value in any_json()) {
            prop_assert!(is_met(&value, &value));
            // An empty array on the right conflicts with any element by the rule's letter.
            prop_assert!(!conflicts(&value, &value));
        }
    }
}

//! Whether a value is as a schema says: the part of JSON Schema that our own document uses, no more.

use coppice_clock::Wall;
use serde_json::Value;

/// Why the value does not fit, with the place in it; nothing when it does.
pub(super) fn misfit(value: &Value, schema: &Value, document: &Value) -> Option<String> {
    at("", value, schema, document)
}

fn at(place: &str, value: &Value, schema: &Value, document: &Value) -> Option<String> {
    let rules = schema.as_object().expect("a schema is an object");
    let fits = |value: &Value, schema: &Value| at(place, value, schema, document).is_none();
    rules.iter().find_map(|(rule, is)| {
        let wrong = || Some(format!("{place}: {rule} {is} does not hold for {value}"));
        let list = || is.as_array().expect("this rule has a list");
        let number = || is.as_f64().expect("this rule has a number");
        let holds = match rule.as_str() {
            "$ref" => {
                let pointer = is.as_str().and_then(|text| text.strip_prefix('#'));
                let target = document.pointer(pointer.expect("it stays in the document"));
                return at(place, value, target.expect("it leads somewhere"), document);
            }
            "properties" => {
                let members = is.as_object().expect("these are members");
                return members.iter().find_map(|(name, schema)| {
                    at(
                        &format!("{place}/{name}"),
                        value.get(name)?,
                        schema,
                        document,
                    )
                });
            }
            "additionalProperties" => {
                let members = value.as_object().into_iter().flatten();
                return members
                    .into_iter()
                    .find_map(|(name, one)| at(&format!("{place}/{name}"), one, is, document));
            }
            "items" => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                return items.iter().enumerate().find_map(|(index, one)| {
                    let schema = is.get(index).unwrap_or(is);
                    at(&format!("{place}/{index}"), one, schema, document)
                });
            }
            "type" => match is.as_str().expect("types are texts") {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "number" => value.is_number(),
                "integer" => value.is_u64() || value.is_i64(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                other => panic!("{other} is no type"),
            },
            "required" => list()
                .iter()
                .all(|name| value.get(name.as_str().expect("names are texts")).is_some()),
            "enum" => list().contains(value),
            "const" => is == value,
            "anyOf" => list().iter().any(|one| fits(value, one)),
            "allOf" => {
                return list()
                    .iter()
                    .find_map(|one| at(place, value, one, document));
            }
            "not" => !fits(value, is),
            "minimum" => value.as_f64().is_none_or(|value| value >= number()),
            "maximum" => value.as_f64().is_none_or(|value| value <= number()),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as f64 >= number()),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as f64 <= number()),
            "format" => match (is.as_str(), value.as_str()) {
                (Some("date-time"), Some(_)) => {
                    serde_json::from_value::<Wall>(value.clone()).is_ok()
                }
                (Some("json-pointer"), Some(text)) => text.is_empty() || text.starts_with('/'),
                _ => true,
            },
            "description" => true,
            other => panic!("{other} is a rule that is not known here"),
        };
        if holds { None } else { wrong() }
    })
}

#[cfg(test)]
mod checks {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_tells_what_fits_from_what_does_not() {
        let document = json!({ "a": { "type": "integer", "minimum": 0 } });
        for (schema, fitting, not) in [
            (json!({ "$ref": "#/a" }), json!(1), json!(-1)),
            (json!({ "type": "integer" }), json!(1), json!(1.5)),
            (json!({ "enum": ["x"] }), json!("x"), json!("y")),
            (
                json!({ "anyOf": [{ "type": "null" }, { "const": 1 }] }),
                json!(null),
                json!(2),
            ),
            (
                json!({ "type": "object", "required": ["b"], "properties": { "b": { "$ref": "#/a" } } }),
                json!({ "b": 1, "c": 2 }),
                json!({ "b": "x" }),
            ),
            (
                json!({ "type": "object", "required": ["b"] }),
                json!({ "b": 1 }),
                json!({}),
            ),
            (
                json!({ "additionalProperties": { "type": "string" } }),
                json!({ "x": "y" }),
                json!({ "x": 1 }),
            ),
            (
                json!({ "items": [{ "type": "string" }, { "type": "number" }], "maxItems": 2 }),
                json!(["x", 1]),
                json!(["x", "y"]),
            ),
            (
                json!({ "items": { "type": "string" } }),
                json!(["x", "y"]),
                json!(["x", 1]),
            ),
            (
                json!({ "allOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
                json!({ "a": 1, "b": 1 }),
                json!({ "a": 1 }),
            ),
            (
                json!({ "format": "date-time" }),
                json!("2026-11-27T04:00:00Z"),
                json!("noon"),
            ),
        ] {
            assert_eq!(misfit(&fitting, &schema, &document), None);
            assert!(
                misfit(&not, &schema, &document).is_some(),
                "{schema}: {not}"
            );
        }
    }
}

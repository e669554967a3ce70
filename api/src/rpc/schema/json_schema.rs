//! JSON Schema (draft 7, as OpenRPC has it) of a type.
//!
//! Objects may have members that are not listed: callers may send more than a method knows, and a newer
//! server may answer more.

use serde_json::{Map, Value, json};

use super::typescript::{Field, Type};

/// Where the schema of a named type stands in the OpenRPC document.
const SCHEMAS: &str = "#/components/schemas/";

/// The schema of a type.
pub(super) fn schema(of: &Type) -> Value {
    match of {
        Type::Unknown => json!({}),
        Type::Never => json!({ "not": {} }),
        Type::Text => json!({ "type": "string" }),
        Type::Number => json!({ "type": "number" }),
        Type::Boolean => json!({ "type": "boolean" }),
        Type::Null => json!({ "type": "null" }),
        Type::Literal(text) => json!({ "const": text }),
        Type::List(of) => json!({ "type": "array", "items": schema(of) }),
        Type::Tuple(of) => {
            let items: Vec<Value> = of.iter().map(schema).collect();
            json!({ "type": "array", "items": items, "minItems": of.len(), "maxItems": of.len() })
        }
        Type::Map(of) => json!({ "type": "object", "additionalProperties": schema(of) }),
        Type::Object(fields) => object(fields),
        Type::Either(of) => match literals(of) {
            Some(texts) => json!({ "enum": texts }),
            None => json!({ "anyOf": of.iter().map(schema).collect::<Vec<_>>() }),
        },
        Type::Both(of) => json!({ "allOf": of.iter().map(schema).collect::<Vec<_>>() }),
        Type::Named(name) => json!({ "$ref": format!("{SCHEMAS}{name}") }),
    }
}

/// The schema, with what it is for.
pub(super) fn described(mut schema: Value, about: &str) -> Value {
    // Beside a `$ref`, draft 7 looks at nothing.
    if let Some(members) = schema.as_object_mut()
        && !about.is_empty()
        && !members.contains_key("$ref")
    {
        members.insert("description".to_owned(), about.into());
    }
    schema
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            (
                field.name.clone(),
                described(schema(&field.of), &field.about),
            )
        })
        .collect();
    let required = fields.iter().filter(|field| !field.optional);
    let required: Vec<&str> = required.map(|field| field.name.as_str()).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn literals(of: &[Type]) -> Option<Vec<&str>> {
    let texts = of.iter().map(|one| match one {
        Type::Literal(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

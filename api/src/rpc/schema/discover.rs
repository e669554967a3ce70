//! `rpc.discover`: the OpenRPC document of this server, made from the table of methods.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use coppice_actors::{Kind, Problem};
use serde_json::{Map, Value, json};

use super::{
    super::{
        METHODS,
        audit::Leaves,
        call::Call,
        failure::Failure,
        method::{Effect, Method, Needs, Reply},
        shapes::{self, JsonObject, Nothing},
    },
    Declarations, Shape,
    json_schema::{described, schema},
    typescript::{self, Field, Type, Unread},
};

/// The version of OpenRPC that the document is written in.
const OPENRPC: &str = "1.3.2";

pub(in super::super) async fn discover(_: Call, _: Nothing) -> Result<JsonObject, Failure> {
    static DOCUMENT: OnceLock<Result<Map<String, Value>, Unread>> = OnceLock::new();
    match DOCUMENT.get_or_init(document) {
        Ok(document) => Ok(JsonObject(document.clone())),
        Err(unread) => Err(Problem::of(Kind::Serialization, unread).into()),
    }
}

/// Every declared type, by name.
type Types = BTreeMap<String, (String, Type)>;

pub(super) fn document() -> Result<Map<String, Value>, Unread> {
    let mut types = Types::new();
    for (name, declared) in Declarations::of_methods().found {
        let about = typescript::words(&declared.about);
        types.insert(
            name,
            (about, typescript::declaration(&declared.typescript)?),
        );
    }
    let methods = METHODS.iter().map(|one| method(one, &types));
    let methods: Vec<Value> = methods.collect::<Result<_, _>>()?;
    let schemas: Map<String, Value> = types
        .iter()
        .map(|(name, (about, of))| {
            let one = shapes::format(name).unwrap_or_else(|| schema(of));
            (name.clone(), described(one, about))
        })
        .collect();
    let info = json!({
        "title": "Coppice",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Calls are made by POST to /rpc/v1, as JSON-RPC 2.0. Parameters are given by name; \
                        those that a method does not know are not looked at.",
    });
    let document = [
        ("openrpc", json!(OPENRPC)),
        ("info", info),
        ("servers", json!([{ "name": "Coppice", "url": "/rpc/v1" }])),
        ("methods", json!(methods)),
        ("components", json!({ "schemas": schemas })),
    ];
    Ok(document
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

fn method(method: &Method, types: &Types) -> Result<Value, Unread> {
    let of = |shape: Shape| typescript::reference(&shape.typescript());
    let mut params = Vec::new();
    fields(&of(method.params)?, types, &mut params);
    // OpenRPC wants those that may be left out last.
    params.sort_by_key(|field| field.optional);
    let params: Vec<Value> = params.iter().map(param).collect();
    let needs = match method.needs {
        Needs::Nobody => "nobody",
        Needs::Role(role) | Needs::Person(role) => role.name(),
        Needs::Root => "root",
    };
    let effect = match method.effect {
        Effect::Reads => "reads",
        Effect::Sets => "sets",
        Effect::Acts => "acts",
    };
    Ok(json!({
        "name": method.name,
        "summary": method.about,
        "paramStructure": "by-name",
        "params": params,
        "result": { "name": "result", "schema": schema(&of(method.result)?) },
        "x-needs": needs,
        "x-effect": effect,
        "x-seconds": method.within.longest().as_secs(),
        "x-audited": method.leaves != Leaves::Nothing,
        "x-sequenced": method.reply == Reply::Sequenced,
    }))
}

fn param(field: &Field) -> Value {
    let mut param = json!({
        "name": field.name,
        "required": !field.optional,
        "schema": schema(&field.of),
    });
    if !field.about.is_empty() {
        param["description"] = field.about.clone().into();
    }
    param
}

/// The members of an object, wherever they are declared.
fn fields(of: &Type, types: &Types, found: &mut Vec<Field>) {
    match of {
        Type::Object(members) => found.extend(members.iter().cloned()),
        Type::Both(parts) => parts.iter().for_each(|part| fields(part, types, found)),
        Type::Named(name) => {
            if let Some((_, of)) = types.get(name) {
                fields(of, types, found);
            }
        }
        // Parameters are objects; a test walks all of them.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Members that OpenRPC 1.3 knows, with those that must be there; `x-` is free.
    fn fits(object: &Value, must: &[&str], may: &[&str]) {
        let members = object.as_object().unwrap();
        for name in must {
            assert!(members.contains_key(*name), "{name} is missing: {object}");
        }
        for name in members.keys() {
            let known = must.contains(&name.as_str()) || may.contains(&name.as_str());
            assert!(
                known || name.starts_with("x-"),
                "{name} is unknown: {object}"
            );
        }
    }

    fn texts(object: &Value, names: &[&str]) {
        for name in names {
            assert!(
                object[*name].is_null() || object[*name].is_string(),
                "{name}: {object}"
            );
        }
    }

    #[test]
    fn the_document_is_as_openrpc_wants_it() {
        let document = Value::Object(document().unwrap());
        fits(
            &document,
            &["openrpc", "info", "methods"],
            &["servers", "components", "externalDocs", "$schema"],
        );
        assert!(document["openrpc"].as_str().unwrap().starts_with("1.3."));
        fits(
            &document["info"],
            &["title", "version"],
            &["description", "termsOfService", "contact", "license"],
        );
        texts(&document["info"], &["title", "version", "description"]);
        fits(
            &document["servers"][0],
            &["url"],
            &["name", "description", "summary", "variables"],
        );
        let mut names = BTreeSet::new();
        for method in document["methods"].as_array().unwrap() {
            fits(
                method,
                &["name", "params"],
                &[
                    "description",
                    "summary",
                    "servers",
                    "tags",
                    "paramStructure",
                    "errors",
                    "links",
                    "examples",
                    "deprecated",
                    "externalDocs",
                    "result",
                ],
            );
            assert!(names.insert(method["name"].as_str().unwrap()), "{method}");
            assert_eq!(method["paramStructure"], "by-name");
            let descriptor = |one: &Value| {
                fits(
                    one,
                    &["name", "schema"],
                    &["summary", "description", "required", "deprecated"],
                );
                assert!(one["schema"].is_object(), "{one}");
            };
            descriptor(&method["result"]);
            let (mut params, mut optional) = (BTreeSet::new(), false);
            for param in method["params"].as_array().unwrap() {
                descriptor(param);
                assert!(params.insert(param["name"].as_str().unwrap()), "{method}");
                assert!(!optional || param["required"] == false, "{method}");
                optional = param["required"] == false;
            }
        }
        assert_eq!(names.len(), METHODS.len());
        fits(
            &document["components"],
            &[],
            &[
                "schemas",
                "contentDescriptors",
                "examples",
                "links",
                "errors",
                "examplePairingObjects",
                "tags",
            ],
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, each: &mut impl FnMut(&str)) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        each(reference);
                    }
                    members.values().for_each(|member| walk(member, each));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, each)),
                _ => {}
            }
        }
        let document = Value::Object(document().unwrap());
        let mut references = 0;
        walk(&document, &mut |reference| {
            references += 1;
            let found = document.pointer(reference.trim_start_matches('#'));
            assert!(found.is_some(), "{reference}");
        });
        assert!(references > 20);
    }

    #[test]
    fn the_parameters_of_every_method_are_one_object() {
        let document = document().unwrap();
        for (method, described) in METHODS.iter().zip(document["methods"].as_array().unwrap()) {
            let name = method.params.typescript();
            let schema = &document["components"]["schemas"][&name];
            assert!(
                schema["type"] == "object" || schema["allOf"].is_array(),
                "{}: {schema}",
                method.name
            );
            // What is an object without members has none here either.
            let none = schema["properties"].as_object().is_some_and(Map::is_empty);
            assert_eq!(
                described["params"].as_array().unwrap().is_empty(),
                none,
                "{name}"
            );
        }
    }
}

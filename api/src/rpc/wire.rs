//! JSON-RPC 2.0 on the wire: from a body to calls, from results to an answer.
//!
//! A call without `id` is a notification and gets no answer. A call with neither `id` nor `jsonrpc` is of
//! the older shape that StartOS's clients may send; its answer has the id null (`rpc-api.md` §1).
//!
//! Invariants: whatever the bytes are, something is said about each of them that is no notification, and
//! nothing here takes more stack or memory than the body's own size allows. Nothing here does a call, nor knows
//! anything of ours: `fuzz/` has this file by its path.

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

/// The request is not JSON.
pub(super) const PARSE: i32 = -32700;
/// The request is no call.
pub(super) const REQUEST: i32 = -32600;
/// There is no such method.
pub(super) const METHOD: i32 = -32601;
/// The parameters do not fit the method.
pub(super) const PARAMS: i32 = -32602;

/// Calls in one batch.
pub(super) const MAX_BATCH: usize = 64;
/// Lists and objects within one another.
const MAX_DEPTH: usize = 64;

/// Why something is no call that can be made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// The `error` member of an answer.
    pub(super) fn object(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "data": null })
    }
}

/// What a body asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    One(Asked),
    Batch(Vec<Asked>),
    /// Not even a call; answered with the id null.
    Unreadable(Fault),
}

/// One call of a body.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// The `id` of the answer; `None` when none is wanted.
    pub(super) id: Option<Value>,
    pub(super) what: Result<Wanted, Fault>,
}

/// What is to be called, with what.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Body {
    if depth(body) > MAX_DEPTH {
        let why = format!("the request is nested more than {MAX_DEPTH} deep; send it flatter");
        return Body::Unreadable(Fault::new(REQUEST, why));
    }
    if let Some(call) = plain(body) {
        return Body::One(call);
    }
    match serde_json::from_slice(body) {
        Err(error) => {
            let why = format!("the request is not JSON: {error}");
            Body::Unreadable(Fault::new(PARSE, why))
        }
        Ok(Value::Array(calls)) if calls.is_empty() || calls.len() > MAX_BATCH => {
            let why = format!("a batch holds 1 to {MAX_BATCH} calls; send several");
            Body::Unreadable(Fault::new(REQUEST, why))
        }
        Ok(Value::Array(calls)) => Body::Batch(calls.into_iter().map(asked).collect()),
        Ok(call) => Body::One(asked(call)),
    }
}

/// A call as most are: read without a tree of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    jsonrpc: String,
    id: Value,
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
}

/// Reads a body if it is one such call.
fn plain(body: &[u8]) -> Option<Asked> {
    let Plain {
        jsonrpc,
        id,
        method,
        params,
    } = serde_json::from_slice(body).ok()?;
    (jsonrpc == "2.0" && is_id(&id)).then(|| Asked {
        id: Some(id),
        what: Ok(Wanted { method, params }),
    })
}

/// How deep lists and objects lie within one another, as far as brackets tell; of what is no JSON, at least as deep
/// as a parser would get.
fn depth(body: &[u8]) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                now += 1;
                deepest = deepest.max(now);
            }
            (false, b']' | b'}') => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn asked(call: Value) -> Asked {
    let Value::Object(mut call) = call else {
        return Asked::refused("a call is an object with `method` and `params`");
    };
    let version = call.remove("jsonrpc");
    let id = match (call.remove("id"), &version) {
        (Some(id), _) if is_id(&id) => Some(id),
        (Some(_), _) => return Asked::refused("an `id` is a text, a whole number or null"),
        (None, Some(_)) => None,
        (None, None) => Some(Value::Null),
    };
    if version.is_some_and(|version| version != "2.0") {
        return Asked::refused_as(id, "`jsonrpc` is \"2.0\" here, or not there");
    }
    let Some(Value::String(method)) = call.remove("method") else {
        return Asked::refused_as(id, "`method` is missing, or is not a text");
    };
    let params = match call.remove("params") {
        None => Ok(Map::new()),
        Some(Value::Object(params)) => Ok(params),
        Some(_) => {
            let why = format!("the `params` of `{}` are an object", shown(&method));
            Err(Fault::new(PARAMS, why))
        }
    };
    Asked {
        id,
        what: params.map(|params| Wanted { method, params }),
    }
}

/// Only what comes back exactly as it was sent.
fn is_id(id: &Value) -> bool {
    match id {
        Value::Null | Value::String(_) => true,
        Value::Number(number) => !number.is_f64(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

impl Asked {
    /// No call, so it is not known whether an answer is wanted: it gets one.
    fn refused(why: &str) -> Self {
        Self::refused_as(None, why)
    }

    fn refused_as(id: Option<Value>, why: &str) -> Self {
        Self {
            id: Some(id.unwrap_or_default()),
            what: Err(Fault::new(REQUEST, why)),
        }
    }
}

/// What somebody called a method, cut to what can be shown.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// The answer to one call.
pub(super) fn answer(id: &Value, done: Result<Box<RawValue>, Value>) -> String {
    match done {
        Ok(result) => {
            let (result, id) = (result.get(), id.to_string());
            [
                r#"{"jsonrpc":"2.0","result":"#,
                result,
                r#","id":"#,
                &id,
                "}",
            ]
            .concat()
        }
        Err(error) => json!({ "jsonrpc": "2.0", "error": error, "id": id }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(body: Value) -> Asked {
        match read(body.to_string().as_bytes()) {
            Body::One(asked) => asked,
            other => panic!("{other:?}"),
        }
    }

    fn code(asked: &Asked) -> Option<i32> {
        asked.what.as_ref().err().map(|failure| failure.code)
    }

    #[test]
    fn an_id_is_a_text_a_whole_number_or_null_and_comes_back_as_it_was() {
        for id in [
            json!("a"),
            json!(""),
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(null),
        ] {
            let asked = one(json!({ "jsonrpc": "2.0", "method": "echo", "id": id }));
            assert_eq!(asked.id, Some(id));
            assert!(asked.what.is_ok());
        }
        for id in [json!(1.5), json!(true), json!([]), json!({})] {
            let asked = one(json!({ "jsonrpc": "2.0", "method": "echo", "id": id }));
            assert_eq!(
                (asked.id.clone(), code(&asked)),
                (Some(Value::Null), Some(REQUEST))
            );
        }
        let long = br#"{"method":"echo","id":123456789012345678901234567890}"#;
        assert!(matches!(read(long), Body::One(asked) if code(&asked) == Some(REQUEST)));
    }

    #[test]
    fn a_call_without_an_id_wants_no_answer_unless_it_is_of_the_older_shape() {
        assert_eq!(one(json!({ "jsonrpc": "2.0", "method": "echo" })).id, None);
        assert_eq!(one(json!({ "method": "echo" })).id, Some(Value::Null));
    }

    #[test]
    fn what_is_no_call_is_answered_though_it_has_no_id() {
        for bad in [
            json!(1),
            json!("x"),
            json!({ "jsonrpc": "2.0", "method": 1 }),
            json!({ "jsonrpc": "2.0" }),
            json!({ "jsonrpc": "1.0", "method": "echo" }),
            json!({ "jsonrpc": 2.0, "method": "echo" }),
        ] {
            let asked = one(bad);
            assert_eq!(
                (asked.id.clone(), code(&asked)),
                (Some(Value::Null), Some(REQUEST))
            );
        }
    }

    #[test]
    fn params_are_an_object_or_not_there() {
        assert_eq!(
            one(json!({ "method": "echo" })).what.unwrap().params,
            Map::new()
        );
        for params in [json!([1]), json!(null), json!("x")] {
            let asked = one(json!({ "method": "echo", "id": 7, "params": params }));
            assert_eq!(
                (asked.id.clone(), code(&asked)),
                (Some(json!(7)), Some(PARAMS))
            );
        }
        // A notification is not even told that.
        let asked = one(json!({ "jsonrpc": "2.0", "method": "echo", "params": [1] }));
        assert_eq!((asked.id.clone(), code(&asked)), (None, Some(PARAMS)));
    }

    #[test]
    fn a_batch_has_a_first_call_and_no_more_than_the_limit() {
        let batch = |calls: usize| {
            let call = json!({ "method": "state", "id": 1 });
            read(Value::Array(vec![call; calls]).to_string().as_bytes())
        };
        assert!(matches!(batch(0), Body::Unreadable(failure) if failure.code == REQUEST));
        assert!(matches!(batch(MAX_BATCH), Body::Batch(calls) if calls.len() == MAX_BATCH));
        assert!(
            matches!(batch(MAX_BATCH + 1), Body::Unreadable(failure) if failure.code == REQUEST)
        );
        let mixed = read(br#"[1, {"method":"state","id":2}]"#);
        assert!(
            matches!(mixed, Body::Batch(calls) if code(&calls[0]) == Some(REQUEST) && code(&calls[1]).is_none())
        );
    }

    #[test]
    fn a_body_is_so_deep_and_no_deeper() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            // The call itself is one, its params are another.
            format!(r#"{{"method":"echo","id":1,"params":{{"message":{open}{close}}}}}"#)
        };
        assert!(matches!(
            read(nested(MAX_DEPTH - 2).as_bytes()),
            Body::One(_)
        ));
        let refused = read(nested(MAX_DEPTH - 1).as_bytes());
        assert!(matches!(refused, Body::Unreadable(failure) if failure.code == REQUEST));
        let endless = "[".repeat(1 << 20);
        assert!(matches!(read(endless.as_bytes()), Body::Unreadable(_)));
        let in_a_text = json!({ "method": "echo", "id": 1, "params": { "message": "[".repeat(500) + "\\\"[" } });
        assert!(matches!(
            read(in_a_text.to_string().as_bytes()),
            Body::One(_)
        ));
    }

    #[test]
    fn an_answer_is_what_json_rpc_says() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let parsed: Value = serde_json::from_str(&answer(&json!("a\"b"), Ok(raw("[1]")))).unwrap();
        assert_eq!(
            parsed,
            json!({ "jsonrpc": "2.0", "result": [1], "id": "a\"b" })
        );
        let failed = answer(&Value::Null, Err(Fault::new(REQUEST, "no").object()));
        let parsed: Value = serde_json::from_str(&failed).unwrap();
        let error = json!({ "code": REQUEST, "message": "no", "data": null });
        assert_eq!(
            parsed,
            json!({ "jsonrpc": "2.0", "error": error, "id": null })
        );
    }

    /// Calls that are nearly such as most are.
    fn nearly_plain() -> impl Strategy<Value = Value> {
        let id = prop_oneof![
            Just(json!(7)),
            Just(json!("x")),
            Just(json!(null)),
            Just(json!(1.5))
        ];
        let params = prop_oneof![Just(json!({ "a": 1 })), Just(json!(null)), Just(json!([]))];
        let version = prop_oneof![Just(json!("2.0")), Just(json!("1.0"))];
        let members = (
            prop::option::of(version),
            prop::option::of(id),
            prop::option::of(params),
            any::<bool>(),
            any::<bool>(),
        );
        members.prop_map(|(version, id, params, named, more)| {
            let mut call = Map::new();
            let named = named.then(|| json!("echo"));
            let more = more.then(|| json!(true));
            for (name, value) in [
                ("jsonrpc", version),
                ("id", id),
                ("method", named),
                ("params", params),
                ("more", more),
            ] {
                call.extend(value.map(|value| (name.to_owned(), value)));
            }
            Value::Object(call)
        })
    }

    proptest! {
        #[test]
        fn a_plain_call_is_what_the_tree_of_it_says(call in nearly_plain()) {
            if let Some(plain) = plain(call.to_string().as_bytes()) {
                prop_assert_eq!(plain, asked(call));
            } else {
                let is_plain = asked(call.clone()).what.is_ok() && call.as_object().is_some_and(|call| {
                    call.len() == 3 + usize::from(call.contains_key("params"))
                        && call.contains_key("jsonrpc")
                        && call.contains_key("id")
                });
                prop_assert!(!is_plain, "{} was not read at once", call);
            }
        }

        #[test]
        fn whatever_the_bytes_are_they_are_read(body in prop::collection::vec(any::<u8>(), 0..512)) {
            read(&body);
        }

        /// Bytes that are nearly JSON get further.
        #[test]
        fn whatever_the_text_is_it_is_read(body in r#"[\[\]{}",:\\ \-0-9a-ejdonprcimths.]{0,200}"#) {
            read(body.as_bytes());
        }
    }
}

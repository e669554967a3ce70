//! The reader of JSON-RPC bodies. Whatever the bytes are: it says something about them, what it says is
//! JSON-RPC, and it is done in time.

#![no_main]

#[path = "../../api/src/rpc/wire.rs"]
#[allow(dead_code)]
mod wire;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, value::to_raw_value};
use wire::{Asked, Body};

fn check(asked: Asked) {
    let Some(id) = asked.id else { return };
    assert!(matches!(
        id,
        Value::Null | Value::String(_) | Value::Number(_)
    ));
    let done = match asked.what {
        Ok(wanted) => {
            assert!(wanted.method.len() <= 1 << 20);
            Ok(to_raw_value(&wanted.params).unwrap())
        }
        Err(fault) => Err(fault.object()),
    };
    let answer = wire::answer(&id, done);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&"2.0".into(), &id));
    assert_ne!(
        answer.get("result").is_some(),
        answer.get("error").is_some()
    );
}

fuzz_target!(|body: &[u8]| {
    match wire::read(body) {
        Body::One(asked) => check(asked),
        Body::Batch(calls) => {
            assert!((1..=wire::MAX_BATCH).contains(&calls.len()));
            calls.into_iter().for_each(check);
        }
        Body::Unreadable(fault) => assert!(fault.code < -32000 && !fault.message.is_empty()),
    }
});

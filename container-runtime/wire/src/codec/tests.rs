//! The decoder against cut, joined, overlong and arbitrary bytes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::message::{Id, RpcError};

fn drain(decoder: &mut Decoder) -> Vec<Result<Message, DecodeError>> {
    std::iter::from_fn(|| decoder.next()).collect()
}

#[test]
fn a_line_cut_anywhere_gives_the_same_message() {
    let line = encode(&Message::request(7, "spawn", &json!({"id": "ä\n\"x"})).unwrap()).unwrap();
    for cut in 0..line.len() {
        let mut decoder = Decoder::new();
        decoder.push(&line[..cut]);
        assert!(decoder.next().is_none());
        decoder.push(&line[cut..]);
        assert!(matches!(
            decoder.next(),
            Some(Ok(Message::Request {
                id: Id::Number(7),
                ..
            }))
        ));
        assert!(decoder.next().is_none());
    }
}

#[test]
fn a_bad_line_costs_only_itself() {
    let mut decoder = Decoder::new();
    decoder.push(b"garbage\n[1,2]\n\n  \n\xff\xfe\n{\"jsonrpc\":\"2.0\",\"method\":\"ok\"}\n");
    let read = drain(&mut decoder);
    assert!(matches!(read[0], Err(DecodeError::NotJson(_))));
    assert!(matches!(read[1], Err(DecodeError::NotAMessage(_))));
    assert!(matches!(read[2], Err(DecodeError::NotJson(_))));
    assert!(matches!(read[3], Ok(Message::Notification { .. })));
    assert_eq!(read.len(), 4);
}

#[test]
fn a_line_over_the_limit_closes_the_stream_once_and_frees_its_memory() {
    let mut decoder = Decoder::with_limit(16);
    decoder.push(&[b'x'; 17]);
    assert!(
        decoder
            .next()
            .is_some_and(|read| read.is_err_and(|error| error.is_fatal()))
    );
    decoder.push(b"{\"jsonrpc\":\"2.0\",\"method\":\"ok\"}\n");
    assert!(decoder.next().is_none());
    assert_eq!(decoder.buffer.capacity(), 0);
}

#[test]
fn the_memory_of_a_long_line_is_given_back_with_the_next_bytes() {
    let mut decoder = Decoder::new();
    decoder.push(&vec![b' '; 2 * 1024 * 1024]);
    decoder.push(b"\n");
    assert!(decoder.next().is_none());
    decoder.push(b"{");
    assert!(decoder.buffer.capacity() <= KEPT_BYTES);
    assert_eq!(decoder.partial_bytes(), 1);
}

#[test]
fn a_limit_that_is_raised_counts_for_the_lines_that_follow() {
    let mut decoder = Decoder::with_limit(8);
    decoder.push(b"[1]\n");
    assert_eq!(decoder.next_line().unwrap().unwrap(), b"[1]");
    decoder.set_limit(16);
    decoder.push(b"[1,2,3,4,5]\n");
    assert_eq!(decoder.next_line().unwrap().unwrap(), b"[1,2,3,4,5]");
}

#[test]
fn a_line_of_exactly_the_limit_is_read() {
    let line = b"{\"jsonrpc\":\"2.0\",\"method\":\"ok\"}";
    let mut decoder = Decoder::with_limit(line.len());
    decoder.push(line);
    assert!(decoder.next().is_none());
    decoder.push(b"\n");
    assert!(matches!(decoder.next(), Some(Ok(_))));
}

#[test]
fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
    let mut decoder = Decoder::new();
    decoder.push(&vec![b'['; 1_000_000]);
    decoder.push(b"\n");
    assert!(matches!(decoder.next(), Some(Err(_))));
}

#[test]
fn a_message_over_the_limit_is_not_written() {
    let big = Message::notification("x", &"y".repeat(MAX_LINE_BYTES)).unwrap();
    assert!(matches!(encode(&big), Err(EncodeError::TooLong { .. })));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_id() -> impl Strategy<Value = Id> {
    prop_oneof![
        any::<i64>().prop_map(Id::Number),
        ".{0,8}".prop_map(Id::Text)
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let error = (any::<i64>(), ".{0,12}", proptest::option::of(any_json())).prop_map(
        |(code, message, data)| RpcError {
            code,
            message,
            // A null is written as absent: both mean that there is nothing to add.
            data: data.filter(|data| !data.is_null()),
        },
    );
    prop_oneof![
        (any_id(), ".{0,12}", any_json()).prop_map(|(id, method, params)| Message::Request {
            id,
            method,
            params
        }),
        (".{0,12}", any_json())
            .prop_map(|(method, params)| Message::Notification { method, params }),
        (any_id(), any_json()).prop_map(|(id, value)| Message::response(id, Ok(value))),
        (proptest::option::of(any_id()), error).prop_map(|(id, error)| Message::Response {
            id,
            result: Err(error)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_messages_survive_any_chunking(
        messages in proptest::collection::vec(any_message(), 0..6),
        chunk in 1usize..40,
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| encode(message).unwrap()).collect();
        let mut decoder = Decoder::new();
        let mut read = Vec::new();
        for piece in bytes.chunks(chunk) {
            decoder.push(piece);
            read.extend(drain(&mut decoder).into_iter().map(|message| message.unwrap()));
        }
        prop_assert_eq!(read, messages);
        prop_assert!(!decoder.has_partial_line());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_pile_up(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..32),
    ) {
        let mut decoder = Decoder::with_limit(48);
        for piece in pieces {
            decoder.push(&piece);
            drain(&mut decoder);
            prop_assert!(decoder.buffer.len() - decoder.start <= 48);
        }
    }

    #[test]
    fn a_damaged_line_does_not_damage_the_next(
        message in any_message(), at in any::<prop::sample::Index>(), with in any::<u8>(),
    ) {
        let mut line = encode(&message).unwrap();
        let last = line.len() - 1;
        let at = at.index(last.max(1));
        line[at] = if with == b'\n' { b' ' } else { with };
        let mut decoder = Decoder::new();
        decoder.push(&line);
        drain(&mut decoder);
        decoder.push(&encode(&message).unwrap());
        let read = decoder.next().unwrap().unwrap();
        prop_assert_eq!(read, message);
    }
}

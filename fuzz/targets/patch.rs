//! Changes of the document. Whatever is put, merged and removed: the frames that a client gets lead, applied by
//! a library that is not ours, from the value before to the value after.

#![no_main]

use std::{sync::OnceLock, time::Duration};

use json_patch::{Patch, patch};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use patchdb::{Change, Options, PublicEvent, PublicPointer, Store};
use serde_json::{Value, json};

const PLACE: &str = "/public/fuzz";
/// Names that mean something to a pointer or to a list, and some that do not.
const NAMES: [&str; 8] = ["a", "b", "0", "1", "-", "", "~0~1", "__proto__"];

#[derive(Debug, Arbitrary)]
struct Step {
    kind: Kind,
    place: Vec<u8>,
    value: Json,
}

#[derive(Debug, Arbitrary)]
enum Kind {
    Put,
    PutWithParents,
    Insert,
    Merge,
    Remove,
}

#[derive(Debug, Arbitrary)]
enum Json {
    Null,
    True,
    Number(i32),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(u8, Json)>),
}

fn name(number: u8) -> &'static str {
    NAMES[usize::from(number) % NAMES.len()]
}

impl Json {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::True => true.into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Object(members) => members
                .iter()
                .map(|(number, of)| (name(*number).to_owned(), of.value()))
                .collect(),
        }
    }
}

fn store() -> &'static Store {
    static STORE: OnceLock<(Store, tempfile::TempDir)> = OnceLock::new();
    &STORE
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let options = Options {
                map_size: 64 << 20,
                ..Options::default()
            };
            (Store::open(folder.path(), options).unwrap(), folder)
        })
        .0
}

fuzz_target!(|steps: Vec<Step>| {
    let store = store();
    store
        .publish(Change::new().put_with_parents(PLACE, json!({})))
        .unwrap();
    let at = PublicPointer::parse(PLACE).unwrap();
    let public = store.public_store();
    let mut followed = public.subscribe(&at, None);
    let start = json!(followed.take_start());
    let mut value = start["dump"]["value"].clone();
    for step in steps.iter().take(32) {
        let names = step.place.iter().take(6).map(|number| name(*number));
        let place = names.fold(PLACE.to_owned(), |place, name| place + "/" + name);
        let value = step.value.value();
        let change = Change::new();
        let change = match step.kind {
            Kind::Put => change.put(place.as_str(), value),
            Kind::PutWithParents => change.put_with_parents(place.as_str(), value),
            Kind::Insert => change.insert(place.as_str(), value),
            Kind::Merge => change.merge(place.as_str(), value),
            Kind::Remove => change.remove(place.as_str()),
        };
        // Many do not fit what is there; then nothing is changed.
        let _ = store.publish(change);
    }
    public.keep_up();
    let last = public.sequence();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        while followed.seen() < last {
            let next = tokio::time::timeout(Duration::from_secs(10), followed.next());
            match next.await.expect("every revision is told of") {
                Some(PublicEvent::Frame(frame)) => {
                    let frame: Value = serde_json::from_str(frame.as_str()).unwrap();
                    let ops: Patch = serde_json::from_value(frame["patch"].clone()).unwrap();
                    patch(&mut value, &ops).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(value, json!(public.dump(&at))["value"]);
});

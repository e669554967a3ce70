//! What subscribers get, in every order things can happen.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod laws;

use std::path::Path;

use patchdb::{
    Change, Event, Node, Op, Options, PublicEvent, PublicPointer, ResyncReason, Start, Store,
    Subscription, Why,
};
use serde_json::{Value, json};

fn open(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap()
}

async fn commit(store: &Store, change: Change) {
    store.commit(change, Why::actor("test")).await.unwrap();
}

/// Applies operations the way any RFC 6902 client would, on plain JSON.
fn apply(value: &mut Value, ops: &[Op]) {
    for op in ops {
        let path = op.path.as_str();
        let Some((parent, _)) = path.rsplit_once('/') else {
            *value = op.value().map_or(Value::Null, Node::to_json);
            continue;
        };
        let name = op.path.segments().next_back().unwrap().into_owned();
        match value.pointer_mut(parent).unwrap() {
            Value::Object(members) => match op.value() {
                Some(new) => {
                    members.insert(name, new.to_json());
                }
                None => {
                    members.remove(&name).unwrap();
                }
            },
            Value::Array(items) => {
                let index: usize = name.parse().unwrap();
                match &op.kind {
                    patchdb::OpKind::Add(new) => items.insert(index, new.to_json()),
                    patchdb::OpKind::Replace(new) => items[index] = new.to_json(),
                    patchdb::OpKind::Remove => {
                        items.remove(index);
                    }
                }
            }
            other => panic!("{path} is inside {other}"),
        }
    }
}

/// A client that keeps the durable and the visible value, as the TypeScript one does.
struct Client {
    base: Value,
    visible: Value,
}

impl Client {
    fn begin(subscription: &mut Subscription) -> Self {
        let (Start::Dump(dump) | Start::Resync { dump, .. }) = subscription.take_start().unwrap()
        else {
            panic!("a dump was expected");
        };
        let visible = dump.value.to_json();
        let mut base = visible.clone();
        apply(&mut base, &dump.undo);
        Self { base, visible }
    }

    fn resume(&mut self, start: Start) {
        let Start::Missed(missed) = start else {
            panic!("a resume was expected, not {start:?}");
        };
        apply(&mut self.base, &missed.base);
        self.visible = self.base.clone();
        apply(&mut self.visible, &missed.overlay);
    }

    /// Takes events until the stream has caught up with the store.
    async fn follow(&mut self, store: &Store, subscription: &mut Subscription) {
        store.public_store().keep_up();
        while subscription.seen() < store.position().id {
            let Some(Event::Revision(revision)) = subscription.next().await else {
                panic!("the stream ended");
            };
            assert!(revision.prev < revision.position.id);
            apply(&mut self.visible, &revision.patch);
            if revision.kind == patchdb::RevisionKind::Durable {
                apply(
                    &mut self.base,
                    revision.base.as_ref().unwrap_or(&revision.patch),
                );
            }
        }
    }
}

#[tokio::test]
async fn a_subscriber_gets_the_value_and_then_what_touches_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(&store, Change::new().put("/public/a", json!({"b": 1}))).await;
    let mut subscription = store.subscribe("/public/a", None).unwrap();
    let mut client = Client::begin(&mut subscription);
    assert_eq!(client.visible, json!({"b": 1}));
    commit(&store, Change::new().put("/public/elsewhere", 1)).await;
    commit(&store, Change::new().put("/public/a/b", 2)).await;
    store.publish(Change::new().put("/public/a/c", 3)).unwrap();
    client.follow(&store, &mut subscription).await;
    assert_eq!(client.visible, json!({"b": 2, "c": 3}));
    assert_eq!(client.base, json!({"b": 2}));
}

#[tokio::test]
async fn frames_have_the_shape_of_the_protocol_and_are_small() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(
        &store,
        Change::new().put(
            "/public/packageData",
            json!({"hello": {"desired": {"main": "stopped"}}}),
        ),
    )
    .await;
    let root = PublicPointer::root();
    let mut subscription = store.subscribe_public(&root, None);
    let start = serde_json::to_value(subscription.take_start().unwrap()).unwrap();
    let now = store.position();
    assert_eq!(
        start["dump"],
        json!({
            "id": now.id,
            "value": {"packageData": {"hello": {"desired": {"main": "stopped"}}}},
            "position": {"epoch": now.epoch, "durable": now.durable, "volatile": 0},
        })
    );
    commit(
        &store,
        Change::new().put("/public/packageData/hello/desired/main", "running"),
    )
    .await;
    let Some(PublicEvent::Frame(frame)) = subscription.next().await else {
        panic!()
    };
    let value: Value = serde_json::from_str(frame.as_str()).unwrap();
    assert_eq!(
        value,
        json!({
            "id": now.id + 1,
            "prev": 0,
            "durable": now.durable + 1,
            "patch": [{"op": "replace", "path": "/packageData/hello/desired/main", "value": "running"}],
        })
    );
    assert!(frame.as_str().len() < 200, "{} bytes", frame.as_str().len());
    // Nothing happened in the scope, but a caller waits for its number to come by.
    commit(&store, Change::new().put("/private/x", 1)).await;
    let gateway = store.public_store();
    gateway.keep_up();
    let Some(PublicEvent::Frame(frame)) = subscription.next().await else {
        panic!()
    };
    let value: Value = serde_json::from_str(frame.as_str()).unwrap();
    assert_eq!(
        (&value["id"], &value["patch"]),
        (&json!(gateway.sequence()), &json!([]))
    );
    assert_eq!(subscription.seen(), gateway.sequence());
}

#[tokio::test]
async fn clients_of_one_scope_share_one_frame() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let root = PublicPointer::root();
    let mut streams = [
        store.subscribe_public(&root, None),
        store.subscribe_public(&root, None),
    ];
    commit(&store, Change::new().put("/public/a", 1)).await;
    let mut texts = Vec::new();
    for stream in &mut streams {
        let Some(PublicEvent::Frame(frame)) = stream.next().await else {
            panic!()
        };
        texts.push(frame.into_text());
    }
    assert!(std::sync::Arc::ptr_eq(&texts[0], &texts[1]));
}

#[tokio::test]
async fn nothing_private_reaches_a_public_subscriber() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(
        &store,
        Change::new()
            .put("/private/before", "MARKER-1")
            .put("/public/a", 1),
    )
    .await;
    let mut stream = store.subscribe_public(&PublicPointer::root(), None);
    let mut seen = serde_json::to_string(&stream.take_start().unwrap()).unwrap();
    let position = store.position();
    commit(
        &store,
        Change::new().put("/private/after", json!({"MARKER-2": "MARKER-3"})),
    )
    .await;
    store
        .publish(Change::new().put("/private/volatile", "MARKER-4"))
        .unwrap();
    let whole = json!({"public": {"a": 2}, "private": {"b": "MARKER-5"}});
    commit(&store, Change::new().put("", whole)).await;
    let store_public = store.public_store();
    store_public.keep_up();
    while stream.seen() < store_public.sequence() {
        let Some(PublicEvent::Frame(frame)) = stream.next().await else {
            panic!()
        };
        seen.push_str(frame.as_str());
    }
    let mut resumed = store.subscribe_public(&PublicPointer::root(), Some(position));
    seen.push_str(&serde_json::to_string(&resumed.take_start().unwrap()).unwrap());
    seen.push_str(&serde_json::to_string(&store.public()).unwrap());
    seen.push_str(&serde_json::to_string(&store_public.dump(&PublicPointer::root())).unwrap());
    assert!(seen.contains("/a"));
    assert!(!seen.contains("MARKER"), "{seen}");
}

#[tokio::test]
async fn a_client_resumes_in_the_same_process_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(
        &store,
        Change::new().put("/public/a", json!({"x": 1, "list": [1]})),
    )
    .await;
    store
        .publish(
            Change::new()
                .put("/public/a/usage", 10)
                .remove("/public/a/x"),
        )
        .unwrap();
    let mut subscription = store.subscribe("/public", None).unwrap();
    let mut client = Client::begin(&mut subscription);
    client.follow(&store, &mut subscription).await;
    assert_eq!(client.visible, json!({"a": {"usage": 10, "list": [1]}}));
    drop(subscription);

    // It misses some of each kind.
    let left = store.position();
    commit(
        &store,
        Change::new()
            .put("/public/a/list/-", 2)
            .put("/private/p", 1),
    )
    .await;
    commit(&store, Change::new().put("/public/b", "new")).await;
    store
        .publish(Change::new().put("/public/a/usage", 20))
        .unwrap();
    let mut subscription = store.subscribe("/public", Some(left)).unwrap();
    client.resume(subscription.take_start().unwrap());
    assert_eq!(client.visible, store.snapshot().reveal("/public").unwrap());
    store
        .publish(Change::new().put("/public/a/usage", 30))
        .unwrap();
    client.follow(&store, &mut subscription).await;
    assert_eq!(client.visible["a"]["usage"], json!(30));

    // The process goes, and with it the volatile values.
    let left = store.position();
    drop(subscription);
    store.close().await;
    let store = open(dir.path());
    commit(&store, Change::new().put("/public/c", 3)).await;
    let mut subscription = store.subscribe("/public", Some(left)).unwrap();
    client.resume(subscription.take_start().unwrap());
    assert_eq!(
        client.visible,
        json!({"a": {"x": 1, "list": [1, 2]}, "b": "new", "c": 3})
    );
    assert_eq!(client.visible, store.snapshot().reveal("/public").unwrap());
    commit(&store, Change::new().put("/public/c", 4)).await;
    client.follow(&store, &mut subscription).await;
    assert_eq!(client.visible["c"], json!(4));
}

#[tokio::test]
async fn who_is_too_far_back_or_from_elsewhere_gets_the_whole_value() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        dir.path(),
        Options {
            history: 3,
            ..Options::default()
        },
    )
    .unwrap();
    let old = store.position();
    for n in 0..10 {
        commit(&store, Change::new().put("/public/n", n)).await;
    }
    let now = store.position();
    let cases = [
        (old, ResyncReason::TooFarBehind),
        (
            patchdb::Position {
                durable: now.durable + 1,
                ..now
            },
            ResyncReason::OtherPast,
        ),
        (
            patchdb::Position {
                volatile: now.volatile + 1,
                ..now
            },
            ResyncReason::OtherPast,
        ),
        (
            patchdb::Position {
                epoch: 12345,
                ..now
            },
            ResyncReason::OtherPast,
        ),
    ];
    for (from, expected) in cases {
        let mut subscription = store.subscribe("/public", Some(from)).unwrap();
        let Some(Start::Resync { reason, dump }) = subscription.take_start() else {
            panic!("{from:?} was accepted");
        };
        assert_eq!(reason, expected);
        assert_eq!(dump.value.to_json(), json!({"n": 9}));
    }
}

#[tokio::test]
async fn a_resume_after_a_thousand_small_changes_is_small() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let services: serde_json::Map<String, Value> = (0..1000)
        .map(|n| {
            (
                format!("service-{n}"),
                json!({"title": "x".repeat(200), "n": 0}),
            )
        })
        .collect();
    commit(&store, Change::new().put("/public/packageData", services)).await;
    let from = store.position();
    let mut changes = Vec::new();
    for n in 0..1000 {
        let name = format!("service-{n}");
        let change = Change::new().put(["public", "packageData", &name, "n"], n);
        changes.push(tokio::spawn({
            let store = store.clone();
            async move { commit(&store, change).await }
        }));
    }
    for change in changes {
        change.await.unwrap();
    }
    let mut stream = store.subscribe_public(&PublicPointer::root(), Some(from));
    let start = stream.take_start().unwrap();
    assert_eq!(start.resync_reason(), None);
    let bytes = serde_json::to_string(&start).unwrap().len();
    assert!(bytes < 100_000, "{bytes} bytes");
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_to_resync_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut slow = store.subscribe("/public", None).unwrap();
    let mut quick = store.subscribe("/public", None).unwrap();
    let mut client = Client::begin(&mut quick);
    for round in 0..30 {
        for n in 0..100 {
            store
                .publish(Change::new().put("/public/n", round * 100 + n))
                .unwrap();
        }
        client.follow(&store, &mut quick).await;
    }
    assert_eq!(client.visible, json!({"n": 2999}));
    assert!(matches!(slow.next().await, Some(Event::Resync)));
    assert!(slow.next().await.is_none());
    let mut again = store.subscribe("/public", None).unwrap();
    assert_eq!(Client::begin(&mut again).visible, json!({"n": 2999}));
}

#[tokio::test]
async fn streams_end_when_the_store_closes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut subscription = store.subscribe("/public", None).unwrap();
    commit(&store, Change::new().put("/public/last", 1)).await;
    store.close().await;
    assert!(matches!(
        subscription.next().await,
        Some(Event::Revision(_))
    ));
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn the_streams_of_clients_are_counted_while_they_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let _own = store.subscribe("/public", None).unwrap();
    assert_eq!(store.stats().public_streams, 0, "not one of ours");
    let root = PublicPointer::root();
    let first = store.public_store().subscribe(&root, None);
    let second = store.public_store().subscribe(&root, None);
    assert_eq!(store.stats().public_streams, 2);
    drop(first);
    assert_eq!(store.stats().public_streams, 1);
    drop(second);
    assert_eq!(store.stats().public_streams, 0);
}

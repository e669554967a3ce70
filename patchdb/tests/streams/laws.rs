//! Random changes of both kinds, several scopes, readers that come, go and resume.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Durable(String, Value),
    Volatile(String, Value),
    Remove(bool, String),
    Leave,
    Restart,
}

fn place() -> impl Strategy<Value = String> {
    (
        select(vec!["public", "private"]),
        vec(select(vec!["a", "b", "0", "1"]), 1..4),
    )
        .prop_map(|(root, names)| format!("/{root}/{}", names.join("/")))
}

fn value() -> impl Strategy<Value = Value> {
    select(vec![
        json!(1),
        json!("two"),
        json!({}),
        json!([]),
        json!([1, 2]),
        json!([{"a": 1}, [3]]),
        json!({"a": {"b": 1}, "0": [1]}),
    ])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (place(), value()).prop_map(|(at, value)| Step::Durable(at, value)),
        4 => (place(), value()).prop_map(|(at, value)| Step::Volatile(at, value)),
        3 => (any::<bool>(), place()).prop_map(|(durable, at)| Step::Remove(durable, at)),
        1 => Just(Step::Leave),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_ends_with_the_documents_value(steps in vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let scopes = ["", "/public", "/public/a", "/public/a/0", "/private/b"];
    let mut readers: Vec<_> = scopes
        .iter()
        .map(|scope| {
            let mut subscription = store.subscribe(*scope, None).unwrap();
            (Client::begin(&mut subscription), subscription)
        })
        .collect();
    for step in steps {
        // What does not fit is refused; that is tested elsewhere.
        match step {
            Step::Durable(at, value) => {
                let change = Change::new().put_with_parents(at, value);
                let _ = store.commit(change, Why::actor("test")).await;
            }
            Step::Volatile(at, value) => {
                let _ = store.publish(Change::new().put_with_parents(at, value));
            }
            Step::Remove(true, at) => {
                let _ = store
                    .commit(Change::new().remove(at), Why::actor("test"))
                    .await;
            }
            Step::Remove(false, at) => {
                let _ = store.publish(Change::new().remove(at));
            }
            leave @ (Step::Leave | Step::Restart) => {
                catch_up(&store, &mut readers).await;
                let left = store.position();
                let clients: Vec<_> = readers.drain(..).map(|(client, _)| client).collect();
                let change = Change::new().put_with_parents("/public/a/b", "while away");
                let _ = store.commit(change, Why::actor("test")).await;
                if matches!(leave, Step::Restart) {
                    store.close().await;
                    store = open(dir.path());
                }
                for (mut client, scope) in clients.into_iter().zip(scopes) {
                    let mut subscription = store.subscribe(scope, Some(left)).unwrap();
                    match subscription.take_start().unwrap() {
                        missed @ Start::Missed(_) => client.resume(missed),
                        Start::Resync {
                            reason: ResyncReason::TooFarBehind,
                            ..
                        } => {
                            subscription = store.subscribe(scope, None).unwrap();
                            client = Client::begin(&mut subscription);
                        }
                        other => panic!("{other:?}"),
                    }
                    readers.push((client, subscription));
                }
            }
        }
    }
    catch_up(&store, &mut readers).await;
    for (scope, (client, _)) in scopes.iter().zip(&readers) {
        let snapshot = store.snapshot();
        assert_eq!(
            client.visible,
            snapshot.reveal(*scope).unwrap_or_default(),
            "{scope}"
        );
        let durable = snapshot
            .durable_node(*scope)
            .map_or(Value::Null, |node| node.to_json());
        assert_eq!(client.base, durable, "{scope}");
    }
    assert!(store.check().await.unwrap().is_sound());
}

async fn catch_up(store: &Store, readers: &mut [(Client, Subscription)]) {
    for (client, subscription) in readers {
        client.follow(store, subscription).await;
    }
}

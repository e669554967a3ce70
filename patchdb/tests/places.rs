//! Typed places are where serde puts the members.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::collections::BTreeMap;

use patchdb::{Change, Options, Place, Places, Store, Why};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Default, Serialize, Deserialize, Places)]
struct Root {
    public: Public,
    private: Private,
}

#[derive(Default, Serialize, Deserialize, Places)]
#[serde(rename_all = "camelCase")]
struct Public {
    server_info: Info,
    #[serde(default, rename = "services")]
    packages: BTreeMap<String, Package>,
}

#[derive(Default, Serialize, Deserialize, Places)]
#[serde(rename_all = "kebab-case", default)]
struct Info {
    host_name: String,
    r#type: Option<Kind>,
    #[serde(skip)]
    cached: u64,
}

#[derive(Default, Serialize, Deserialize, Places)]
struct Kind {
    name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Places)]
struct Package {
    wanted: bool,
}

#[derive(Default, Serialize, Deserialize, Places)]
struct Private {
    next_port: u16,
}

fn root() -> Place<Root> {
    Place::root()
}

#[test]
fn every_place_is_where_serde_puts_the_member() {
    let document = json!({
        "public": {
            "serverInfo": {"host-name": "attic", "type": {"name": "box"}},
            "services": {"a/b": {"wanted": true}},
        },
        "private": {"next_port": 7},
    });
    let typed: Root = serde_json::from_value(document).unwrap();
    let written = serde_json::to_value(&typed).unwrap();
    let at = |pointer: &patchdb::Pointer| written.pointer(pointer.as_str()).cloned();
    let info = root().public().server_info();
    for (pointer, value) in [
        (info.host_name().pointer(), json!("attic")),
        (info.r#type().some().name().pointer(), json!("box")),
        (
            root().public().packages().entry("a/b").wanted().pointer(),
            json!(true),
        ),
        (root().private().next_port().pointer(), json!(7)),
    ] {
        assert_eq!(at(pointer), Some(value), "{pointer}");
    }
}

#[tokio::test]
async fn what_is_set_at_a_place_is_read_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let package = root().public().packages().entry("hello");
    assert_eq!(store.snapshot().read(&package).unwrap(), None);
    let wanted = Package { wanted: true };
    let change = Change::new()
        .set(&package, &wanted)
        .set(&root().private().next_port(), &8);
    store.commit(change, Why::actor("test")).await.unwrap();
    assert_eq!(store.snapshot().read(&package).unwrap(), Some(wanted));
    assert_eq!(
        store
            .snapshot()
            .read(&root().private().next_port())
            .unwrap(),
        Some(8)
    );
    // A place is a pointer wherever one is wanted.
    store
        .commit(Change::new().remove(&package), Why::actor("test"))
        .await
        .unwrap();
    assert!(!store.snapshot().exists(&package));
    let all: Value = store.snapshot().reveal("/public/services").unwrap();
    assert_eq!(all, json!({}));
}
